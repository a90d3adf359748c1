"""Models that are spread over processes: what can be shown without a GPU."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from score_hf.training.recipe import load_recipe
from score_hf.training.sharding import prepare_sharding, whole_model
from tests.tiny import make_inputs
from tests.training.prepared_set import write_drawn_set

REPOSITORY = Path(__file__).parents[2]
SHARDED = SimpleNamespace(
    distributed_type=DistributedType.FSDP,
    state=SimpleNamespace(fsdp_plugin=None),
    is_main_process=True,
    unwrap_model=lambda model, keep_torch_compile: model,
    get_state_dict=lambda model: model.state_dict(),
)


def test_scalars_get_an_axis_and_lose_it_when_saved(tiny_model):
    model = copy.deepcopy(tiny_model)
    prepare_sharding(SHARDED, model, load_recipe("isaid"))
    parameters = dict(model.named_parameters())
    assert min(parameter.ndim for parameter in parameters.values()) == 1
    for name, parameter in tiny_model.named_parameters():
        assert parameters[name].requires_grad == parameter.requires_grad
    inputs = make_inputs(model.config, 2)
    with torch.no_grad():
        ours, theirs = model(**inputs), tiny_model(**inputs)
    torch.testing.assert_close(ours.class_queries_logits, theirs.class_queries_logits)

    whole = whole_model(SHARDED, model)
    assert whole is not model
    for name, value in tiny_model.state_dict().items():
        assert torch.equal(whole.state_dict()[name], value), name


def test_one_process_keeps_its_model(tiny_model):
    alone = SimpleNamespace(**{**vars(SHARDED), "distributed_type": DistributedType.MULTI_GPU})
    prepare_sharding(alone, tiny_model, load_recipe("isaid"))
    assert tiny_model.class_head.logit_scale.ndim == 0
    assert whole_model(alone, tiny_model) is tiny_model


@pytest.mark.parametrize(
    ("recipe", "change", "named"),
    [
        ("isaid", "evaluation.dataset=somewhere", "recipe.evaluation"),
        ("isaid", "ema_decay=0.9", "recipe.ema_decay"),
    ],
)
def test_what_needs_the_whole_model_is_refused(tiny_model, recipe, change, named):
    with pytest.raises(ValueError, match=f"`{named}` needs the whole model in each process"):
        prepare_sharding(SHARDED, tiny_model, load_recipe(recipe, [change]))


def test_layers_are_not_cut_by_themselves(tiny_model):
    layered = SimpleNamespace(fsdp_plugin=SimpleNamespace(auto_wrap_policy=print))
    accelerator = SimpleNamespace(**{**vars(SHARDED), "state": layered})
    with pytest.raises(ValueError, match="`fsdp_auto_wrap_policy` must be NO_WRAP"):
        prepare_sharding(accelerator, tiny_model, load_recipe("isaid"))


def test_frozen_parameters_may_lie_beside_others_in_the_first_fsdp(tiny_model):
    plugin = SimpleNamespace(auto_wrap_policy=None, fsdp_version=1, use_orig_params=False)
    state = SimpleNamespace(fsdp_plugin=plugin)
    accelerator = SimpleNamespace(**{**vars(SHARDED), "state": state})
    prepare_sharding(accelerator, copy.deepcopy(tiny_model), load_recipe("isaid"))
    assert plugin.use_orig_params


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_fsdp_trains_and_goes_on_as_whole_models_do(tiny_folder, tmp_path, version):
    prepared = write_drawn_set(tmp_path / "set")

    def run(name: str, module: list[str], *options: str) -> list[float]:
        changes = ["mixed_precision=no", "trackers=[]", "log_every=1", "data.workers=0"]
        changes += ["data.augmentation.crop_size=64", "optimizer.learning_rate=1e-3"]
        # The rate must not depend on how many steps there will be.
        changes += ["schedule.milestones=[]"]
        # The kernel's choice is learned at first, then fixed.
        changes += ["model.config.kernel_learning_calls=3", "model.config.region_dropout=0.0"]
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc_per_node", "2", "-m", *module, "isaid", *options]
        command += ["--output", str(tmp_path / name)]
        command += ["--dataset", str(prepared), "--init-from", str(tiny_folder)]
        command += [part for change in changes for part in ("--set", change)]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rows = (tmp_path / name / "log.jsonl").read_text().splitlines()
        return [json.loads(row)[what] for row in rows for what in ("loss", "gradient_norm")]

    sharding = ["tests.training.fsdp_on_cpus", str(version)]
    expected = run("whole", ["score_hf.training.train"], "--steps", "4")
    if version == 2:
        # The first FSDP gathers all of Adam's means in one buffer, of which only GPUs make copies:
        # on CPUs it saves the last of them for each.
        run("sharded", sharding, "--steps", "2")
    found = run("sharded", sharding, "--steps", "4", "--resume")
    assert found == pytest.approx(expected, rel=1e-4)
    ours, theirs = (
        load_file(tmp_path / name / "last" / "model.safetensors") for name in ("sharded", "whole")
    )
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].shape == value.shape
        if name.endswith("kernel_logits"):
            # With a gradient of 0 in place of none they go on to move, though nothing asks them.
            continue
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=2e-4, msg=name)
