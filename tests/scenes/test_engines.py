import hashlib
import multiprocessing
import os
import signal
import sys
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import rasterio

from score_hf.scenes import SceneClass, SceneOptions, SceneSegmenter
from score_hf.scenes.engines import Processes, Rank
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


def maker(notes: Path, dies: bool = False):
    return partial(make, notes, dies)


def processes(notes: Path) -> set[str]:
    return {note.name.split("-")[-1] for note in notes.iterdir() if note.name != "died"}


@pytest.fixture(autouse=True)
def children_find_the_tests(monkeypatch):
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, *sys.path]))


def test_processes_of_one_machine_give_the_same_bytes_though_one_dies(tmp_path):
    scene, expected, notes = prepared(tmp_path)
    with closing(Processes(maker(notes, dies=True), ["cpu", "cpu"])) as engine:

        def run(name: str) -> None:
            result = make(notes, False, None).segment(
                scene, output=tmp_path / name, options=TILES, engine=engine
            )
            assert digest(tmp_path / name) == expected and not result.failed

        with pytest.warns(UserWarning, match="process on cpu failed .it ended with status -9"):
            run("two.gpkg")
        assert len(processes(notes)) == 2 and (notes / "died").exists()
        # For the next scene there is another one, which has its share.
        run("three.gpkg")
        assert len(processes(notes)) == 3


def test_a_process_that_fails_says_why(tmp_path):
    _, _, notes = prepared(tmp_path)
    engine = Processes(maker(notes), ["cpu", "cpu"])
    ours, theirs = multiprocessing.Pipe()
    engine._others[1] = (multiprocessing.Process(), ours)
    theirs.send("no space left")
    with pytest.warns(UserWarning, match="process on cpu failed .no space left.; what it left"):
        engine.wait()


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


def test_a_helper_that_comes_late_or_stays_long_leaves_nothing_behind(tmp_path):
    scene, _, notes = prepared(tmp_path)
    output = tmp_path / "two.gpkg"
    helper = Logged(notes)

    def stitch_meanwhile(done: int, total: int, found: int) -> None:
        if done and not output.exists():
            make(notes, False, None).segment(scene, output=output, options=TILES, engine=Rank(0, 2))

    segmenter = SceneSegmenter(helper, [SceneClass("box", seen=True)], "boxes")
    for _ in range(2):
        segmenter.segment(
            scene, output=output, options=TILES, engine=Rank(1, 2), progress=stitch_meanwhile
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "notes", "one.gpkg", "s.tif", "two.gpkg"
        ]  # fmt: skip


def test_other_processes_need_a_path(tmp_path):
    scene, _, notes = prepared(tmp_path)
    with rasterio.open(scene) as dataset, pytest.raises(TypeError, match="must be a path"):
        make(notes, False, None).segment(
            dataset, output=tmp_path / "a.gpkg", options=TILES, engine=Rank(0, 2)
        )


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
        segmenter.compute_tiles(scene, other, tmp_path / "work", [[(0, 0)]])


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is here")
def test_without_ray(tmp_path):
    with pytest.raises(ImportError, match="pip install 'score-hf"):
        RayEngine(maker(tmp_path), workers=2)


def start_ray(tries: int = 6) -> None:
    """Starts a cluster on this machine; where it is busy Ray gives up after half a minute."""
    import ray

    for number in range(tries):
        try:
            ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
        except Exception:
            ray.shutdown()
            if number == tries - 1:
                raise
        else:
            return


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")
def test_ray_with_a_worker_killed_gives_the_same_bytes(tmp_path):
    import ray

    scene, expected, notes = prepared(tmp_path)
    start_ray()
    try:
        output = tmp_path / "two.gpkg"
        with closing(RayEngine(maker(notes, dies=True), workers=2)) as engine:
            result = make(notes, False, None).segment(
                scene, output=output, options=TILES, engine=engine
            )
        assert digest(output) == expected and not result.failed
        # All was done by Ray, though one of its workers died and was replaced.
        assert (notes / "died").exists() and str(os.getpid()) not in processes(notes)
        assert len(processes(notes)) >= 3
    finally:
        ray.shutdown()
