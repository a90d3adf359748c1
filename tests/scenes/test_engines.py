import hashlib
import os
import signal
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from score_hf.scenes import SceneClass, SceneOptions, SceneSegmenter
from score_hf.scenes.engines import Processes, Rank, TileJob
from score_hf.scenes.ray_engine import RayEngine

from .drawn_rasters import BrightBoxes, boxes_raster

TILES = SceneOptions(tile_size=64, overlap=12)


class Logged(BrightBoxes):
    """Notes which process computed a tile, and dies at one if told so.

    Args:
        notes: A folder.
        dies: Whether to die at the third tile, once.
    """

    def __init__(self, notes: Path, dies: bool = False) -> None:
        super().__init__()
        self.notes, self.dies = notes, dies

    def __call__(self, tiles):
        for tile in tiles:
            name = f"{tile.window.top}-{tile.window.left}-{os.getpid()}"
            (self.notes / name).touch()
        if self.dies and self.tiles == 2 and not (self.notes / "died").exists():
            (self.notes / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(tiles)


def make(notes: Path, dies: bool, device: str | None) -> SceneSegmenter:
    """What other processes call, so it must be found by its name."""
    return SceneSegmenter(Logged(notes, dies), [SceneClass("box", seen=True)], "boxes")


def prepared(tmp_path: Path) -> tuple[Path, str, Path]:
    """A scene, what one process makes of it, and a folder for notes."""
    scene = boxes_raster(tmp_path / "s.tif", size=(220, 300))
    notes = tmp_path / "notes"
    notes.mkdir()
    make(notes, False, None).segment(scene, output=tmp_path / "one.gpkg", options=TILES)
    for note in notes.iterdir():
        note.unlink()
    return scene, digest(tmp_path / "one.gpkg"), notes


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def job_of(scene: Path, notes: Path, dies: bool = False):
    maker = partial(make, notes, dies)
    return lambda work: TileJob(maker, str(scene), TILES, work)


def processes(notes: Path) -> set[str]:
    return {note.name.split("-")[-1] for note in notes.iterdir() if note.name != "died"}


@pytest.fixture(autouse=True)
def children_find_the_tests(monkeypatch):
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, *sys.path]))


@pytest.mark.parametrize("dies", [False, True])
def test_processes_of_one_machine_give_the_same_bytes(tmp_path, dies):
    scene, expected, notes = prepared(tmp_path)
    engine = Processes(job_of(scene, notes, dies), ["cpu", "cpu"])
    output = tmp_path / "two.gpkg"
    result = make(notes, False, None).segment(scene, output=output, options=TILES, engine=engine)
    assert digest(output) == expected and not result.failed
    assert len(processes(notes)) == 2 and (notes / "died").exists() == dies


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1,), ()])
def test_ranks_in_any_order_or_missing_give_the_same_bytes(tmp_path, order):
    scene, expected, notes = prepared(tmp_path)
    output = tmp_path / "two.gpkg"
    for number in order:
        result = make(notes, False, None).segment(
            scene, output=output, options=TILES, engine=Rank(number, 3)
        )
        assert output.exists() == (number == 0)
        if number == 0:
            break
        assert result.outputs == {}
    if not output.exists():
        make(notes, False, None).segment(scene, output=output, options=TILES, engine=Rank(0, 3))
    assert digest(output) == expected
    # No tile was computed twice.
    if order:
        assert len(list(notes.iterdir())) == len(result.plan.tiles)


def test_shares_of_launchers():
    def share(**environment: str) -> tuple[int, int] | None:
        rank = Rank.of_environment(environment)
        return None if rank is None else (rank.number, rank.processes)

    assert share() is None and share(RANK="0", WORLD_SIZE="1") is None
    assert share(RANK="2", WORLD_SIZE="4") == (2, 4)
    assert share(SLURM_PROCID="1", SLURM_NTASKS="8") == (1, 8)
    array = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "3"}
    assert share(**array, SLURM_PROCID="0", SLURM_NTASKS="1") == (2, 4)
    with pytest.raises(ValueError, match="from 0 to 3 for 4 processes, but got 4"):
        Rank(4, 4)


def test_tiles_of_another_run_are_not_computed_for_it(tmp_path):
    scene, _, notes = prepared(tmp_path)
    segmenter = make(notes, False, None)
    segmenter.segment(
        scene, output=tmp_path / "a.gpkg", options=TILES, work=tmp_path / "work", keep_work=True
    )
    other = SceneOptions(tile_size=64, overlap=20)
    with pytest.raises(ValueError, match="belongs to another run"):
        segmenter.compute_tiles(scene, other, tmp_path / "work", [(0, 0)])


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is here")
def test_without_ray(tmp_path):
    with pytest.raises(ImportError, match="pip install 'score-hf"):
        RayEngine(job_of(tmp_path, tmp_path), workers=2)


@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")
def test_ray_with_a_worker_killed_gives_the_same_bytes(tmp_path):
    import ray

    scene, expected, notes = prepared(tmp_path)
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        engine = RayEngine(job_of(scene, notes, dies=True), workers=2)
        output = tmp_path / "two.gpkg"
        result = make(notes, False, None).segment(
            scene, output=output, options=TILES, engine=engine
        )
        assert digest(output) == expected and not result.failed
        # All was done by Ray, though one of its workers died and was replaced.
        assert (notes / "died").exists() and str(os.getpid()) not in processes(notes)
        assert len(processes(notes)) >= 3
    finally:
        ray.shutdown()
