import re
import threading
from importlib.util import find_spec
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image

from score_hf.demo.engine import DemoEngine
from score_hf.demo.interface import build_demo
from score_hf.demo.limits import Limits
from score_hf.demo.whole_scenes import Cancelled, EnginePredictor, segment_scene
from tests.demo.conftest import NAMES, SCENE
from tests.scenes.drawn_rasters import write_raster

pytestmark = pytest.mark.skipif(find_spec("folium") is None, reason="needs score-hf[geo]")


@pytest.fixture
def scene(tmp_path) -> Path:
    picture = np.asarray(Image.open(SCENE).convert("RGB"))
    repeated = np.tile(picture, (2, 2, 1))[:700, :800]
    return write_raster(tmp_path / "scene.tif", repeated.transpose(2, 0, 1).copy())


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def test_a_geotiff_gives_a_map_and_files(engine, scene):
    *steps, last = segment_scene(engine, str(scene), NAMES, 0.3)
    assert steps[-1]["status"].startswith("4 of 4 tiles")
    assert last["status"].startswith("Found: ") and "storage tank" in last["status"]
    assert last["picture"].size == (800, 640)
    names = [one.name for one in engine.read_vocabulary(NAMES).classes]
    found = [name for name in names if name in last["status"]]
    assert found and re.findall(r"</span>([^<]+) <span", last["legend"]) == found
    assert "<iframe" in last["map"] and "allow-same-origin" not in last["map"]
    package, lonlat = (geopandas.read_file(path, rows=1000) for path in last["files"])
    assert package.crs.to_epsg() == 32632 and lonlat.crs.to_epsg() == 4326
    assert len(package) == len(lonlat) > 0 and package["score"].min() >= 0.3


def test_a_large_picture_gives_pixels(engine, tmp_path):
    path = tmp_path / "large.png"
    Image.open(SCENE).convert("RGB").save(path)
    *_, last = segment_scene(engine, str(path), NAMES, 0.3)
    assert last["picture"].size == (400, 320)
    assert "in pixels" in last["map"] and [Path(one).suffix for one in last["files"]] == [".gpkg"]


def test_a_cancelled_scene_ends_at_the_next_tile(engine, scene, tmp_path):
    before = threading.active_count()
    steps = segment_scene(engine, str(scene), NAMES, 0.3)
    while "tiles" not in next(steps)["status"]:
        pass
    steps.close()
    for thread in threading.enumerate():
        if thread.name.endswith("(work)"):
            thread.join(60)
    assert threading.active_count() <= before
    assert list((tmp_path / "uploads" / "results").iterdir()) == []
    cancelled = threading.Event()
    cancelled.set()
    predictor = EnginePredictor(engine, engine.read_vocabulary(NAMES), cancelled)
    with pytest.raises(Cancelled):
        predictor([None])


def test_what_is_no_scene_is_told_without_the_places_of_the_server(engine, tmp_path):
    (tmp_path / "a.tif").write_text("<VRTDataset rasterXSize='9' rasterYSize='9'/>")
    (tmp_path / "b.tif").write_bytes(b"II*\0 and no more")
    for path, message in (
        (None, "There is no scene yet"),
        (tmp_path / "a.tif", "must be a GeoTIFF, PNG or JPEG"),
        (tmp_path / "b.tif", "'b.tif' cannot be opened"),
    ):
        with pytest.raises(ValueError, match=message) as raised:
            list(segment_scene(engine, path and str(path), NAMES, 0.3))
        assert str(tmp_path) not in str(raised.value)


def test_scenes_of_too_many_tiles_are_refused(engine, scene, monkeypatch):
    monkeypatch.setattr(engine, "limits", Limits(scene_tiles=3))
    with pytest.raises(ValueError, match="has 4 tiles, and this demo takes up to 3"):
        list(segment_scene(engine, str(scene), NAMES, 0.3))


def test_a_small_file_with_a_large_scene_is_refused_before_it_is_read(
    engine, tmp_path, monkeypatch
):
    monkeypatch.setattr("score_hf.scenes.Scene", lambda *_: pytest.fail("it was opened"))
    with rasterio.open(
        tmp_path / "a.tif", "w", "GTiff", 60_000, 50_000, 3, dtype="uint8", SPARSE_OK=True
    ):
        pass
    assert (tmp_path / "a.tif").stat().st_size < 10**6
    with pytest.raises(ValueError, match=r"^The scene is 60000 x 50000 pixels, more than the 64 "):
        list(segment_scene(engine, str(tmp_path / "a.tif"), NAMES, 0.3))


@pytest.mark.parametrize("there", [True, False])
def test_the_page_has_the_section_where_the_packages_are(engine: DemoEngine, monkeypatch, there):
    monkeypatch.setattr("score_hf.demo.interface.can_take_scenes", lambda: there)
    config = build_demo(engine, []).get_config_file()
    assert any(one["props"].get("elem_id") == "scene" for one in config["components"]) == there
