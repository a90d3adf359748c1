"""Work folders and rasters that a run would not have written."""

import json
import zipfile

import numpy as np
import pytest
import rasterio

from score_hf.scenes import Scene, SceneClass
from score_hf.scenes.ground import ModelGrid
from score_hf.scenes.pieces import Piece
from score_hf.scenes.plan import ScenePlan
from score_hf.scenes.shards import PLAN_FILE, WorkFolder

from .drawn_rasters import boxes_raster


@pytest.fixture
def shards(tmp_path):
    grid = ModelGrid(40, 60, rasterio.Affine(1, 0, 0, 0, -1, 0), (1.0, 1.0), None)
    origin = {"file": {}, "reading": {}, "predictor": {}}
    plan = ScenePlan("s.tif", None, grid, 64, 8, 0.1, (SceneClass("ship", ("ship",)),), origin)
    folder = WorkFolder(tmp_path / "work", plan.as_dictionary())
    folder.prepare(plan.notes())
    folder.write(0, 0, [Piece(0, 0.5, 3, 4, np.ones((8, 9), dtype=bool))])
    return folder


def test_a_whole_folder_is_read(shards):
    (piece,) = shards.read(0, 0)
    assert tuple(piece.window) == (3, 4, 11, 13) and piece.mask.all()
    plan = ScenePlan.from_dictionaries(shards.plan, shards.notes())
    assert plan.as_dictionary() == shards.plan


@pytest.mark.parametrize(
    "changes",
    [
        {"height": None},
        {"height": 10**12},
        {"transform": [1, 2]},
        {"transform": [float("1e400")] * 6},
        {"crs": "nowhere"},
        {"floor": "low"},
        {"classes": []},
        {"classes": [{"name": 3, "synonyms": [], "seen": None}]},
        {"classes": [{"name": "a", "synonyms": ["a"], "seen": "yes"}]},
        {"classes": [{"name": "a", "synonyms": ["a"], "merge": "all"}]},
        {"classes": [{"name": "a", "synonyms": ["a"], "number": "1"}]},
    ],
)
def test_a_damaged_plan_is_told(shards, changes):
    with pytest.raises(ValueError, match=r"^`work` must be .* but its plan is damaged \(.*\)\.$"):
        ScenePlan.from_dictionaries({**shards.plan, **changes}, {})


def test_notes_of_other_classes_are_told(shards):
    notes = {"classes": [*shards.notes()["classes"]] * 2}
    with pytest.raises(ValueError, match="its notes are of 2 classes"):
        ScenePlan.from_dictionaries(shards.plan, notes)


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, '{"floor": Infinity}', "{"])
def test_a_plan_that_cannot_be_read_is_told(shards, content):
    (shards.path / PLAN_FILE).write_text(content)
    with pytest.raises(ValueError, match="has none that can be read"):
        WorkFolder.existing(shards.path)


def _rewrite(shards, **changes):
    path = shards.path / "tiles" / "00000" / "00000.npz"
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label": np.array([1])}, "it shows what is not of this scene"),
        ({"runner_up": np.array([7])}, "it shows what is not of this scene"),
        ({"window": np.array([[-3, 4, 5, 13]])}, "it shows what is not of this scene"),
        ({"window": np.array([[33, 4, 41, 13]])}, "it shows what is not of this scene"),
        ({"window": np.array([[0, 0, 10**9, 10**9]])}, "its masks are cut off"),
        ({"window": np.array([[3, 4, 3, 13]])}, "its masks are cut off"),
        ({"label": np.array(0)}, "is damaged"),
        ({"key": np.array("other")}, "it belongs to another run"),
        ({"bits": np.array([{}], dtype=object)}, "is damaged"),
    ],
)
def test_a_damaged_tile_is_told_and_done_again(shards, changes, reason):
    _rewrite(shards, **changes)
    with pytest.raises(ValueError, match=f"00000.npz' is damaged.*{reason}|{reason}"):
        shards.read(0, 0)
    assert not shards.is_done(0, 0)


def test_a_tile_that_asks_for_more_memory_than_it_has_bytes_is_damaged(shards):
    path = shards.path / "tiles" / "00000" / "00000.npz"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    # The header is filled up with blanks.
    bits = parts["bits.npy"].replace(b"(9,), }            ", b"(9000000000000,), }", 1)
    assert len(bits) == len(parts["bits.npy"]) and bits != parts["bits.npy"]
    parts["bits.npy"] = bits
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"is damaged \("):
        shards.read(0, 0)


def test_far_too_many_tiles_are_refused(shards):
    stored = {**shards.plan, "height": 10**7, "tile_size": 9}
    with pytest.raises(ValueError, match=r"makes 10,000,000 tiles along a side .* larger tiles"):
        ScenePlan.from_dictionaries(stored, {})


def test_errors_of_gdal_are_told(tmp_path, monkeypatch):
    path = boxes_raster(tmp_path / "s.tif")

    def stumble(self, dataset):
        raise RuntimeError("no\nroom")

    monkeypatch.setattr(Scene, "_placed", stumble)
    with pytest.raises(ValueError, match=r"^`scene` '.*s.tif' cannot be read \(no room\)\.$"):
        Scene(path)


def test_the_plan_on_disk_is_the_plan(shards):
    stored = json.loads((shards.path / PLAN_FILE).read_text())
    assert WorkFolder.existing(shards.path).plan == stored == shards.plan
