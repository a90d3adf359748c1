"""Rasters, maps, STAC items, and the folders in which a scene's tiles wait to be merged."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from hypothesis import strategies as st

from score_hf.processing.image_processing_score import ScoreImageProcessor
from score_hf.scenes import Scene, SceneClass, SceneOptions
from score_hf.scenes.area import read_areas
from score_hf.scenes.ground import ModelGrid
from score_hf.scenes.pieces import Piece, RunnerUp
from score_hf.scenes.plan import ScenePlan
from score_hf.scenes.result import restitch
from score_hf.scenes.routing import expand, is_scene
from score_hf.scenes.shards import NOTES_FILE, PLAN_FILE, WorkFolder
from score_hf.scenes.stac import raster_of_item
from score_hf.scenes.web_map import make_map, read_features
from tests.scenes.drawn_rasters import write_raster

from .damage import Strategy, as_json, damaged, damaged_json, damaged_zip
from .target import Target


def _rasters() -> list[bytes]:
    values = np.arange(3 * 40 * 50).reshape(3, 40, 50)
    kinds: tuple[tuple[Any, dict[str, Any]], ...] = (
        (np.uint8, {}),
        (np.uint16, {"compress": "deflate", "nodata": 0}),
        (np.float32, {"tiled": False, "compress": "lzw"}),
        (np.uint8, {"crs": None}),
    )
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, options in kinds:
            path = write_raster(Path(folder) / "s.tif", (values % 251).astype(kind), **options)
            files.append(path.read_bytes())
    return files


def _read_raster(content: bytes, folder: Path) -> None:
    path = folder / "scene.tif"
    path.write_bytes(content)
    is_scene(str(path), ScoreImageProcessor().size_limit())
    with Scene(str(path)) as scene:
        window = scene.grid and _first_window(scene)
        scene.read(window)


def _first_window(scene: Scene) -> Any:
    from score_hf.scenes.grid import Window

    return Window(0, 0, min(scene.height, 64), min(scene.width, 64))


def _features() -> dict[str, Any]:
    ring = [[8.5, 47.3], [8.6, 47.3], [8.6, 47.4], [8.5, 47.3]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"class_name": "ship", "class_id": 0, "score": 0.5, "id": 1},
    }
    return {"type": "FeatureCollection", "features": [feature, feature]}


@cache
def _maps() -> list[tuple[str, bytes]]:
    import geopandas

    table = geopandas.GeoDataFrame.from_features(_features(), crs="OGC:CRS84")
    files = [(".geojson", as_json(_features()))]
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".fgb", ".gpkg", ".parquet"):
            path = Path(folder) / f"map{suffix}"
            table.to_parquet(path) if suffix == ".parquet" else table.to_file(path)
            files.append((suffix, path.read_bytes()))
    return files


def _damaged_maps(files: Sequence[tuple[str, bytes]]) -> Strategy[tuple[str, bytes]]:
    kinds = [st.tuples(st.just(suffix), damaged([content])) for suffix, content in files]
    values = ({"type": "Point", "coordinates": [0, 0]}, [8.5, 47.3], "Polygon", "<script>")
    return st.one_of(st.tuples(st.just(".geojson"), damaged_json([_features()], values)), *kinds)


def _read_map(content: tuple[str, bytes], folder: Path) -> None:
    path = folder / f"map{content[0]}"
    path.write_bytes(content[1])
    make_map(read_features(path))


def _read_area(content: tuple[str, bytes], folder: Path) -> None:
    path = folder / f"area{content[0]}"
    path.write_bytes(content[1])
    read_areas(path)


def _items() -> list[bytes]:
    assets = {
        "visual": {"href": "./x.tif", "type": "image/tiff"},
        "thumbnail": {"href": "http://localhost/x.png"},
    }
    return [as_json({"stac_version": "1.0.0", "type": "Feature", "assets": assets})]


def _read_item(content: bytes, folder: Path) -> None:
    path = folder / "item.json"
    path.write_bytes(content)
    assert isinstance(raster_of_item(str(path)), str)
    list_path = folder / "list.txt"
    list_path.write_bytes(content)
    expand([f"@{list_path}"])


@cache
def _work() -> dict[str, bytes]:
    """The files of a work folder of two tiles."""
    grid = ModelGrid(40, 100, rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6), (1.0, 1.0), (0.5, 0.5))
    classes = (SceneClass("ship", ("ship", "boat"), True, color="#ff0000"), SceneClass("road"))
    crs = rasterio.CRS.from_epsg(32632).to_wkt()
    origin = {"file": {"size": [40, 100]}, "reading": {"bands": [1, 2, 3]}, "predictor": {"a": 1}}
    plan = ScenePlan("scene.tif", crs, grid, 60, 20, 0.1, classes, origin)
    mask = np.ones((8, 12), dtype=bool)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shards = WorkFolder(folder, plan.as_dictionary())
        shards.prepare(plan.notes())
        for row, column in plan.tiles:
            left = plan.tiles.window(row, column).left
            pieces = [Piece(0, 0.6, 5, left + 5, mask), Piece(1, 0.9, 20, left + 30, mask, True)]
            pieces[0].runner_up = RunnerUp(1, 0.3)
            shards.write(row, column, pieces)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _damaged_work(folders: Sequence[dict[str, bytes]]) -> Strategy[dict[str, bytes]]:
    (files,) = folders
    shard = next(name for name in files if name.endswith(".npz"))
    changes = [
        damaged_json([json.loads(files[PLAN_FILE])]).map(lambda new: {PLAN_FILE: new}),
        damaged_json([json.loads(files[NOTES_FILE])]).map(lambda new: {NOTES_FILE: new}),
        damaged([files[shard]]).map(lambda new: {shard: new}),
        damaged_zip([files[shard]], damaged).map(lambda new: {shard: new}),
    ]
    return st.one_of(*changes).map(lambda change: {**files, **change})


def _stitch(files: dict[str, bytes], folder: Path) -> None:
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for name, content in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    shards = WorkFolder.existing(work)
    plan = ScenePlan.from_dictionaries(shards.plan, shards.notes())
    restitch(shards, plan, {"geojson": folder / "map.geojson"}, SceneOptions(), partial=True)


TARGETS = (
    Target("rasters", _rasters, damaged, _read_raster, (OSError, ValueError)),
    Target("maps", _maps, _damaged_maps, _read_map, share=0.3),
    Target("areas", _maps, _damaged_maps, _read_area, share=0.3),
    Target("stac", _items, lambda files: damaged_json([json.loads(files[0])]), _read_item),
    Target("work", lambda: [_work()], _damaged_work, _stitch),
)
