"""What the training script does beside its steps, in this process."""

import json
import pathlib

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from huggingface_hub import constants
from safetensors.torch import load_file

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.drawn_scenes import DRAWN_VOCABULARY
from score_hf.output_places import exclusively
from score_hf.training import train as script
from score_hf.training.recipe import load_recipe
from tests.conversion.hub_stand_in import OWNER, TOKEN, hub_stand_in
from tests.training.prepared_set import drawn_scene, write_drawn_set


@pytest.fixture(autouse=True)
def own_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return write_drawn_set(tmp_path_factory.mktemp("set") / "drawn")


def recipe_for(prepared, start, *changes):
    return load_recipe(
        "isaid",
        [
            "steps=3",
            "log_every=1",
            "mixed_precision=no",
            "trackers=[]",
            f"data.dataset={prepared}",
            "data.workers=0",
            "data.augmentation.crop_size=64",
            f"model.init_from={start}",
            "model.config.region_dropout=0.0",
            "model.config.region_kernel=fixed",
            "optimizer.learning_rate=1e-3",
            *changes,
        ],
    )


def train(recipe, output, **options):
    folder = script.train(recipe, output, **options)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return folder, rows


def test_a_run_leaves_a_model_that_loads_and_knows_its_classes(
    prepared, tiny_folder, tmp_path, capsys
):
    output = tmp_path / "run"
    recipe = recipe_for(prepared, tiny_folder, "trackers=[tensorboard]")
    folder, rows = train(recipe, output)

    assert folder == output / "last"
    assert [row["step"] for row in rows] == [1, 2, 3]
    # A bar whose states are not kept in a log one below the other: the first and the last.
    assert capsys.readouterr().err.count("training:") == 2
    assert load_recipe(output / "recipe.yaml") == recipe
    assert list((output / "logs").rglob("events.out.tfevents*"))
    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    processor = ScoreProcessor.from_pretrained(folder)
    assert list(model.config.id2label.values()) == list(DRAWN_VOCABULARY)
    assert processor.seen_classes == list(DRAWN_VOCABULARY)
    with torch.no_grad():
        outputs = model(**processor(images=drawn_scene(0).image, return_tensors="pt"))
    assert outputs.seen_classes.all() and outputs.class_queries_logits.isfinite().all()
    start = load_file(tiny_folder / "model.safetensors")
    assert not torch.equal(model.void_embedding.weight, start["void_embedding.weight"])
    trunk = "general_trunk.stages.0.layers.0.dwconv.weight"
    assert torch.equal(model.state_dict()[trunk], start[trunk])
    optimizer = torch.load(output / "checkpoints" / "step-00000003" / "optimizer.bin")
    learned = sum(len(group["params"]) for group in optimizer["param_groups"])
    assert learned == sum(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    "change", ["gradient_checkpointing=true", "data.workers=2", "cached_contexts=9"]
)
def test_what_saves_memory_or_time_changes_nothing(prepared, tiny_folder, tmp_path, change):
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    _, other = train(recipe_for(prepared, tiny_folder, change), tmp_path / "other")
    for ours, theirs in zip(plain, other, strict=True):
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-5)
        assert theirs["gradient_norm"] == pytest.approx(ours["gradient_norm"], rel=1e-4)


@pytest.mark.slow
def test_compiled_parts_compute_the_same(prepared, tiny_folder, tmp_path, monkeypatch):
    original = torch.nn.Module.compile
    # Everything of a compilation but the code for this machine, which takes minutes.
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module: original(module, backend="aot_eager")
    )
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    folder, other = train(recipe_for(prepared, tiny_folder, "compile=true"), tmp_path / "other")
    for ours, theirs in zip(plain, other, strict=True):
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-5)
    ScoreForInstanceSegmentation.from_pretrained(folder)


@pytest.mark.slow
def test_a_launcher_may_compile_the_whole_model(prepared, tiny_folder, tmp_path, monkeypatch):
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    folder, other = train(recipe_for(prepared, tiny_folder), tmp_path / "other")
    for ours, theirs in zip(plain, other, strict=True):
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-5)
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == load_file(tmp_path / "plain" / "last" / "model.safetensors").keys()


def test_bfloat16_is_near(prepared, tiny_folder, tmp_path):
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    _, other = train(recipe_for(prepared, tiny_folder, "mixed_precision=bf16"), tmp_path / "other")
    for ours, theirs in zip(plain, other, strict=True):
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=0.05)
        assert theirs["loss"] != ours["loss"]


def test_float16_waits_for_a_gpu(prepared, tiny_folder, tmp_path, capsys):
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    _, other = train(recipe_for(prepared, tiny_folder, "mixed_precision=fp16"), tmp_path / "other")
    assert [row["loss"] for row in other] == [row["loss"] for row in plain]
    assert "computes in float32" in capsys.readouterr().out


def test_the_best_model_is_kept_beside_the_last(prepared, tiny_folder, tmp_path, monkeypatch):
    figures = iter([{"AP": 0.2, "per_class": {}}, {"AP": 0.5}, {"AP": 0.5}])
    monkeypatch.setattr(
        "score_hf.evaluation.evaluator.evaluate_model", lambda *args, **options: next(figures)
    )
    recipe = recipe_for(
        prepared,
        tiny_folder,
        "steps=5",
        f"evaluation.dataset={prepared}",
        "evaluation.split=train",
        "evaluation.every=2",
    )
    output = tmp_path / "run"
    folder, rows = train(recipe, output)

    assert folder == output / "best"
    assert (output / "best").resolve().name == "step-00000004"
    assert (output / "last").resolve().name == "step-00000005"
    assert len(list((output / "models").iterdir())) == 2
    assert [row["evaluation/AP"] for row in rows if "evaluation/AP" in row] == [0.2, 0.5, 0.5]
    assert "0.5" in (output / "best" / "README.md").read_text()
    state = json.loads((output / "checkpoints" / "step-00000005" / "state.json").read_text())
    assert state == {"step": 5, "best": 0.5}


def test_a_real_evaluation_does_not_change_the_training(prepared, tiny_folder, tmp_path):
    changes = [f"evaluation.dataset={prepared}", "evaluation.split=train", "evaluation.every=1"]
    _, plain = train(recipe_for(prepared, tiny_folder), tmp_path / "plain")
    _, rows = train(recipe_for(prepared, tiny_folder, *changes), tmp_path / "measured")
    assert [row["loss"] for row in rows if "loss" in row] == [row["loss"] for row in plain]
    assert sum("evaluation/AP50" in row for row in rows) == 3


def test_an_unknown_figure_is_told(prepared, tiny_folder, tmp_path):
    recipe = recipe_for(
        prepared,
        tiny_folder,
        f"evaluation.dataset={prepared}",
        "evaluation.split=train",
        "evaluation.every=1",
        "evaluation.metric=mAP",
    )
    with pytest.raises(ValueError, match=r"`recipe.evaluation.metric` must be one of .*AP50"):
        script.train(recipe, tmp_path / "run")


def test_a_loss_that_is_no_number_stops_with_the_images(
    prepared, tiny_folder, tmp_path, monkeypatch
):
    calls = []
    original = ScoreForInstanceSegmentation.forward

    def spoiled(self, *arguments, **options):
        outputs = original(self, *arguments, **options)
        calls.append(outputs)
        if len(calls) == 2:
            outputs.loss = outputs.loss * float("nan")
        return outputs

    monkeypatch.setattr(ScoreForInstanceSegmentation, "forward", spoiled)
    recipe = recipe_for(prepared, tiny_folder, "checkpoint_every=1")
    with pytest.raises(
        FloatingPointError, match=r"loss became nan at step 2 on the images \d \(drawn_\d.png\), \d"
    ):
        script.train(recipe, tmp_path / "run")
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert checkpoint.name == "step-00000001"
    weights = load_file(checkpoint / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_gradient_that_is_no_number_stops_before_the_weights(
    prepared, tiny_folder, tmp_path, monkeypatch
):
    original = ScoreForInstanceSegmentation.forward

    def spoiled(self, *arguments, **options):
        outputs = original(self, *arguments, **options)
        outputs.loss = outputs.loss + (0 * outputs.loss).sqrt()
        return outputs

    monkeypatch.setattr(ScoreForInstanceSegmentation, "forward", spoiled)
    with pytest.raises(FloatingPointError, match=r"gradient became nan at step 1 on the images"):
        script.train(recipe_for(prepared, tiny_folder), tmp_path / "run")


def test_another_run_is_not_overwritten(prepared, tiny_folder, tmp_path):
    recipe = recipe_for(prepared, tiny_folder)
    _, rows = train(recipe, tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run already: go on with `--resume`"):
        script.train(recipe, tmp_path / "run")
    PartialState._reset_state()
    AcceleratorState._reset_state()
    # A run that is over stays as it is.
    _, again = train(recipe, tmp_path / "run", resume=True)
    assert again == rows


def test_what_a_kill_or_an_editor_left_of_log_and_recipe_does_no_harm(
    prepared, tiny_folder, tmp_path, monkeypatch
):
    recipe = recipe_for(prepared, tiny_folder, "steps=2")
    _, rows = train(recipe, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(b'[1]\n{"a": 1}\n\n\xff\n' + log.read_bytes() + b'{"step": 3, "lo')

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            script.write_recipe(load_recipe("isaid"), tmp_path / "run", 2)
    _, again = train(recipe, tmp_path / "run", resume=True)
    assert again == rows


def test_a_run_that_goes_on_by_another_recipe_is_told(prepared, tiny_folder, tmp_path, capsys):
    train(recipe_for(prepared, tiny_folder), tmp_path / "run")
    assert "another" not in capsys.readouterr().out
    recipe = recipe_for(prepared, tiny_folder, "steps=4", "model.config.region_dropout=0.1")
    _, rows = train(recipe, tmp_path / "run", resume=True)
    assert len(rows) == 4
    told = capsys.readouterr().out
    for name in ("steps", "model.config.region_dropout"):
        assert f"goes on with another `{name}` than it began with" in told


def test_free_trunks_learn_with_the_prompts_of_each_step(tmp_path):
    changes = ["steps=2", "batch_size=4", "data.drawn_size=64", "log_every=1", "trackers=[]"]
    recipe = load_recipe("drawn", changes)
    folder, rows = train(recipe, tmp_path / "run")

    assert all(row["loss_region_text"] > 0 for row in rows)
    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    assert model.config.stored_synonyms == sum(map(len, DRAWN_VOCABULARY.values()))
    processor = ScoreProcessor.from_pretrained(folder)
    names = [", ".join(synonyms) for synonyms in DRAWN_VOCABULARY.values()]
    with torch.no_grad():
        fresh = model.build_classifier(**processor.tokenize_classes(names))
    torch.testing.assert_close(model.stored_embeddings, fresh.embeddings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["isayd"], "train: There is no recipe 'isayd'"),
        (["isaid"], "train: `recipe.data.dataset` must name the training set"),
        (["drawn", "--set", "model.init_from=null"], "train: `recipe.model.init_from` must name"),
        (["drawn", "--set", "trackers=[tensorbord]"], "train: `recipe.trackers` has 'tensorbord'"),
        (
            ["drawn", "--set", "model.config={frozen_trunks: true}"],
            "train: `recipe.region_text_weight` must be 0 with frozen trunks",
        ),
        (["drawn", "--set", "cached_contexts=9"], "train: `recipe.cached_contexts` needs a frozen"),
        (["drawn", "--set", "accumulation=3"], "train: `recipe.batch_size` counts the images of"),
        (
            ["drawn", "--set", "data.class_names={boat: ship}"],
            "train: `recipe.data.class_names` has 'boat', but the classes are",
        ),
        (["isaid", "--dataset", "nowhere"], "train: `recipe.data.dataset` 'nowhere' is neither"),
        (["drawn", "--output", __file__], "train: `--output` needs the folder"),
        (["drawn", "--output", f"{__file__}/run"], "train: `--output` needs the folder"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    options = ["--output", str(tmp_path / "run"), "--mixed-precision", "no"]
    monkeypatch.setattr("sys.argv", ["train", *options, *arguments])
    with pytest.raises(SystemExit, match=message) as raised:
        script.main()
    assert "\n" not in str(raised.value)


def test_two_trainings_do_not_write_one_folder_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(script, "train", lambda *_: tmp_path / "last")
    monkeypatch.setattr("sys.argv", ["train", "drawn", "--output", str(tmp_path)])
    with exclusively(tmp_path / ".training.lock", "the test holds it"):
        with pytest.raises(SystemExit, match=r"`--output` .*: another training writes to it"):
            script.main()
        # The first process of a training holds it for all of them.
        monkeypatch.setenv("RANK", "1")
        script.main()
    monkeypatch.setenv("RANK", "0")
    script.main()
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_with_one_sentence(monkeypatch, tmp_path, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "train", stop)
    monkeypatch.setattr("sys.argv", ["train", "drawn", "--output", str(tmp_path)])
    for rank, told in (("0", "Stopped: the same command with `--resume` goes on"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(SystemExit) as raised:
            script.main()
        assert raised.value.code == 130
        error = capsys.readouterr().err
        assert error.startswith(told) and error.count("\n") == bool(told)


def test_the_model_is_pushed_at_the_end(prepared, tiny_folder, tmp_path, monkeypatch, capsys):
    arguments = ["isaid", "--output", str(tmp_path / "run"), "--push-to-hub", f"{OWNER}/trained"]
    arguments += ["--dataset", str(prepared), "--init-from", str(tiny_folder), "--steps", "1"]
    arguments += ["--workers", "0", "--set", "data.augmentation.crop_size=64"]
    monkeypatch.setattr("sys.argv", ["train", *arguments, "--set", "trackers=[]"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit, match="train: Pushing needs the Hub"):
        script.main()
    assert not (tmp_path / "run").exists(), "told before anything is computed"

    with hub_stand_in() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        script.main()
        files = server.files(f"{OWNER}/trained")
    weights = (tmp_path / "run" / "last" / "model.safetensors").read_bytes()
    assert files["model.safetensors"] == weights and "config.json" in files
    assert f"{server.url}/{OWNER}/trained" in capsys.readouterr().out
