"""Whole trainings of a tiny model: the same however they are spread, resumed, and stopped."""

import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.training.prepared_set import write_drawn_set

REPOSITORY = Path(__file__).parents[2]
STEPS = 30
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    return write_drawn_set(tmp_path_factory.mktemp("set") / "drawn")


def write_recipe(folder: Path, dataset: Path, start: Path, **changes) -> Path:
    recipe = {
        "steps": 20,
        "batch_size": 4,
        "log_every": 1,
        "checkpoint_every": 100,
        "trackers": [],
        "model": {
            "init_from": str(start),
            # The kernel's learning ends within the run, and within a step.
            "config": {"region_dropout": 0.0, "kernel_learning_calls": 25},
        },
        "data": {"dataset": str(dataset), "workers": 0, "augmentation": {"crop_size": 64}},
        "optimizer": {"learning_rate": 1.0e-4},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**recipe, **changes}))
    return path


def command(recipe: Path, output: Path, *options: str, processes: int = 1) -> list[str]:
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone"]
        launcher += ["--nproc_per_node", str(processes)]
    module = ["-m", "score_hf.training.train", str(recipe), "--output", str(output)]
    return [*launcher, *module, *options]


def run(*arguments, **options) -> str:
    done = subprocess.run(
        command(*arguments, **options),
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def losses(output: Path) -> list[tuple]:
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    names = ("step", "loss", "loss_class", "loss_mask", "loss_dice", "gradient_norm")
    return [tuple(row[name] for name in names) for row in rows]


def weights(output: Path) -> dict[str, torch.Tensor]:
    (checkpoint,) = (output / "checkpoints").iterdir()
    return load_file(checkpoint / "model.safetensors")


def distance(ours: dict, theirs: dict, start: dict) -> float:
    """How far two trainings are apart, in units of what the training moved."""
    assert ours.keys() == theirs.keys()
    names = [n for n in ours if ours[n].is_floating_point() and "stored_" not in n]
    apart = math.sqrt(sum(float((ours[n] - theirs[n]).double().square().sum()) for n in names))
    moved = math.sqrt(sum(float((ours[n] - start[n]).double().square().sum()) for n in names))
    assert moved > 0
    return apart / moved


def test_it_is_the_same_training_however_it_is_spread(tmp_path, prepared, tiny_folder):
    recipe = write_recipe(tmp_path, prepared, tiny_folder)
    run(recipe, tmp_path / "one")
    run(recipe, tmp_path / "two", processes=2)
    run(recipe, tmp_path / "passes", "--set", "accumulation=2")

    start = load_file(tiny_folder / "model.safetensors")
    one = weights(tmp_path / "one")
    formation = "region_integration.formation."
    assert int(one[formation + "calls"]) == 25 and int(one[formation + "chosen"]) >= 0
    kernel = one[formation + "kernel_logits"]
    assert not torch.equal(kernel, start[formation + "kernel_logits"]), "the kernel has learned"
    for other in ("two", "passes"):
        for ours, theirs in zip(losses(tmp_path / "one"), losses(tmp_path / other), strict=True):
            assert theirs == pytest.approx(ours, rel=2e-4)
        assert distance(one, weights(tmp_path / other), start) < 0.005
    # Frozen trunks have not moved by a bit.
    for name in one:
        if name.startswith(("general_trunk", "context_trunk", "text_tower")):
            assert torch.equal(one[name], start[name]), name


def kill_when(arguments: list[str], is_time, delay: float = 0.0) -> bool:
    """Starts a training and kills it with all its processes; False: it was over before."""
    process = subprocess.Popen(
        arguments,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 900
    while process.poll() is None and not is_time():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(delay)
    over = process.poll() is not None
    if not over:
        # What a launcher starts outlives it: each is killed by itself, the launcher first.
        launcher = psutil.Process(process.pid)
        for one in (launcher, *launcher.children(recursive=True)):
            one.kill()
    process.wait()
    return not over


def whole_checkpoints(output: Path) -> list[Path]:
    return sorted((output / "checkpoints").glob("step-*"))


def assert_same_run(output: Path, undisturbed: Path) -> None:
    assert losses(output) == losses(undisturbed)
    assert [path.name for path in (output / "checkpoints").iterdir()] == [f"step-{STEPS:08d}"]
    # The model at the end is the running mean.
    saved = [load_file(folder / "last" / "model.safetensors") for folder in (output, undisturbed)]
    for ours, theirs in (saved, (weights(output), weights(undisturbed))):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert torch.equal(ours[name], theirs[name]), name
    assert not torch.equal(
        saved[0]["void_embedding.weight"], weights(output)["void_embedding.weight"]
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, prepared, tiny_folder) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = write_recipe(
        folder,
        prepared,
        tiny_folder,
        steps=STEPS,
        checkpoint_every=2,
        ema_decay=0.9,
        # Chance beyond points and kernel must be restored too.
        model={"init_from": str(tiny_folder), "config": {"region_dropout": 0.1}},
    )
    run(recipe, folder / "run")
    return recipe, folder / "run"


def test_killed_while_writing_a_checkpoint_it_resumes_from_the_one_before(undisturbed, tmp_path):
    recipe, expected = undisturbed
    output = tmp_path / "run"
    unfinished = output / "checkpoints" / "unfinished" / "model.safetensors"
    caught = kill_when(
        command(recipe, output),
        lambda: len(whole_checkpoints(output)) == 1 and unfinished.exists(),
    )
    assert caught and len(whole_checkpoints(output)) == 1
    run(recipe, output, "--resume")
    assert_same_run(output, expected)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_ten_times_it_ends_with_the_same_weights(undisturbed, tmp_path, processes):
    recipe, expected = undisturbed
    if processes == 2:
        run(recipe, tmp_path / "expected", processes=2)
        expected = tmp_path / "expected"
    output, rng = tmp_path / "run", random.Random(0)
    for _ in range(10):
        # At random moments of the first steps after each start, writing among them.
        target = len(rows_of(output)) + rng.randrange(1, 3)
        arguments = command(recipe, output, "--resume", processes=processes)
        delay = rng.random() * 0.3
        assert kill_when(arguments, lambda at=target: len(rows_of(output)) >= at, delay)
    run(recipe, output, "--resume", processes=processes)
    assert_same_run(output, expected)


def rows_of(output: Path) -> list[str]:
    log = output / "log.jsonl"
    return log.read_text().splitlines() if log.is_file() else []
