import json
import os
import pathlib
import shutil

import pytest
import torch
from torch import nn

from score_hf.training.checkpoints import Checkpoints, point_to, write_through
from score_hf.training.parameters import WeightAverage


class Killed(BaseException):
    pass


class Process:
    """What a checkpoint needs of Accelerate: one file of state, and a moment at which it dies."""

    is_main_process = True

    def __init__(self):
        self.state, self.dies = 0, False

    def wait_for_everyone(self):
        pass

    def save_state(self, folder):
        with open(f"{folder}/weights", "w") as file:
            if self.dies:
                raise Killed
            file.write(str(self.state))

    def load_state(self, folder):
        with open(f"{folder}/weights") as file:
            self.state = int(file.read())


def save(checkpoints, process, step):
    process.state = step
    checkpoints.save(process, step, {"best": step / 10})


def test_the_newest_is_kept_and_loaded(tmp_path):
    checkpoints, process = Checkpoints(tmp_path), Process()
    assert checkpoints.newest() is None and checkpoints.load(process) is None
    for step in (9, 10, 100):
        save(checkpoints, process, step)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000100"]
    process.state = 0
    assert checkpoints.load(process) == {"step": 100, "best": 10.0}
    assert process.state == 100


def test_a_step_that_comes_again_replaces_its_checkpoint(tmp_path):
    checkpoints, process = Checkpoints(tmp_path), Process()
    save(checkpoints, process, 5)
    process.state = 6
    checkpoints.save(process, 5, {"best": None})
    assert checkpoints.load(process) == {"step": 5, "best": None} and process.state == 6
    assert len(list(tmp_path.iterdir())) == 1


def test_killed_while_the_state_is_written_the_old_one_stays(tmp_path):
    checkpoints, process = Checkpoints(tmp_path), Process()
    save(checkpoints, process, 1)
    process.dies = True
    with pytest.raises(Killed):
        save(checkpoints, process, 2)
    assert (tmp_path / "unfinished" / "weights").exists()

    process = Process()
    assert checkpoints.load(process)["step"] == 1 and process.state == 1
    save(checkpoints, process, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_a_full_disk_is_told_and_the_old_one_stays(tmp_path):
    class Full(Process):
        def save_state(self, folder):
            raise RuntimeError("unexpected pos 64 vs 0\nno space left")

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(OSError, match=r"step 2 cannot be written to .*unexpected pos.*one is none"):
        save(checkpoints, Full(), 2)
    save(checkpoints, Process(), 2)
    with pytest.raises(OSError, match="the newest whole one is step-00000002"):
        save(checkpoints, Full(), 3)
    assert checkpoints.load(Process())["step"] == 2


def test_a_checkpoint_that_does_not_fit_is_told(tmp_path):
    class Other(Process):
        def load_state(self, folder):
            raise RuntimeError("Error(s) in loading state_dict for Model:\n\tsize mismatch for x")

    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, Process(), 2)
    with pytest.raises(ValueError, match=r"by this recipe \(Error.*size mismatch for x\): go on"):
        checkpoints.load(Other())


@pytest.mark.parametrize("moment", range(12))
def test_killed_at_any_operation_there_is_always_a_whole_one(tmp_path, monkeypatch, moment):
    """Every call that changes the folder may be the last one."""
    checkpoints, process = Checkpoints(tmp_path), Process()
    save(checkpoints, process, 1)
    left = [moment]

    def dying(function):
        def call(*arguments, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patches:
        for owner, name in (
            (pathlib.Path, "rename"),
            (pathlib.Path, "write_text"),
            (pathlib.Path, "mkdir"),
            (shutil, "rmtree"),
            (os, "fsync"),
        ):
            patches.setattr(owner, name, dying(getattr(owner, name)))
        died = False
        try:
            save(checkpoints, process, 2)
        except Killed:
            died = True
    process = Process()
    loaded = checkpoints.load(process)
    assert loaded["step"] == process.state and loaded["step"] in ((1, 2) if died else (2,))
    save(checkpoints, process, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"best": 1}', '{"step": "3"}', "[" * 100_000])
def test_a_damaged_state_is_told(tmp_path, content):
    checkpoints, process = Checkpoints(tmp_path), Process()
    save(checkpoints, process, 5)
    (tmp_path / "step-00000005" / "state.json").write_text(content)
    with pytest.raises(ValueError, match=r"step-00000005' cannot be loaded by this recipe \("):
        checkpoints.load(process)


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_the_mean_of_the_weights_goes_along_and_runs_nothing(tmp_path):
    checkpoints, process = Checkpoints(tmp_path / "run"), Process()
    average = WeightAverage(nn.Linear(2, 1), 0.5)
    wanted = {name: mean.clone() for name, mean in average.means.items()}
    checkpoints.save(process, 5, {}, average)
    for mean in average.means.values():
        mean.zero_()
    checkpoints.load(process, average)
    assert all(torch.equal(average.means[name], wanted[name]) for name in wanted)

    (held,) = (tmp_path / "run" / "step-00000005").glob("*.pt")
    torch.save({**wanted, "more": Touches(tmp_path / "ran")}, held)
    with pytest.raises(ValueError, match="cannot be loaded by this recipe"):
        checkpoints.load(process, average)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_state_is_none(tmp_path):
    (tmp_path / "step-00000009").mkdir()
    (tmp_path / "step-00000003").mkdir()
    (tmp_path / "step-00000003" / "state.json").write_text(json.dumps({"step": 3}))
    assert Checkpoints(tmp_path).newest().name == "step-00000003"


def test_a_link_turns_at_once(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "models" / name).mkdir(parents=True)
    link = tmp_path / "last"
    (tmp_path / ".last-new").symlink_to("nowhere")
    for name in ("one", "two"):
        point_to(link, tmp_path / "models" / name)
        assert link.resolve() == (tmp_path / "models" / name).resolve()
    # The folder of a run may be moved.
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    assert (moved / "last").is_dir()
    write_through(moved)
