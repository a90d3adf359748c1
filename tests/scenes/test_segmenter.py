import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from PIL import Image
from pycocotools.coco import COCO
from rasterio.transform import Affine, from_origin

from score_hf.scenes import (
    ReadingOptions,
    SceneClass,
    SceneOptions,
    SceneSegmenter,
    VectorOptions,
)

from .drawn_rasters import BOXES, UTM, BrightBoxes, boxes_raster

TILES = SceneOptions(tile_size=64, overlap=12)
ENDINGS = (".gpkg", ".parquet", ".fgb", ".geojson", ".json")


def segmenter(predictor=None) -> SceneSegmenter:
    classes = [SceneClass("box", seen=True, color="#ff8000")]
    return SceneSegmenter(predictor or BrightBoxes(), classes, "boxes")


def read(path: Path) -> geopandas.GeoDataFrame:
    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    return geopandas.read_file(path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_pixels(path: Path, geometries) -> np.ndarray:
    """What polygons cover on the pixels of a raster."""
    with rasterio.open(path) as dataset:
        shape, transform = (dataset.height, dataset.width), dataset.transform
    return rasterio.features.rasterize(geometries, shape, transform=transform).astype(bool)


def true_mask() -> np.ndarray:
    mask = np.zeros((150, 200), dtype=bool)
    for top, left, bottom, right in BOXES:
        mask[top:bottom, left:right] = True
    return mask


def test_all_formats_hold_the_same_objects(tmp_path):
    scene = boxes_raster(tmp_path / "scene.tif")
    outputs = [tmp_path / f"out{ending}" for ending in ENDINGS]
    result = segmenter().segment(scene, output=outputs, options=TILES)
    assert result.counts == {"box": 4} and not result.failed and result.work is None
    areas = sorted((bottom - top) * (right - left) for top, left, bottom, right in BOXES)
    for path in outputs[:-1]:
        table = read(path)
        assert sorted(table["area_px"]) == areas
        assert table["area_m2"].to_numpy() == pytest.approx(table["area_px"] * 0.25, rel=1e-3)
        # FlatGeobuf orders by place.
        assert sorted(table["id"]) == [1, 2, 3, 4]
        assert set(table["class_name"]) == {"box"} and set(table["source"]) == {"scene.tif"}
        assert table["seen"].all() and table["score"].to_numpy() == pytest.approx(0.8)
        assert table.geometry.geom_type.eq("MultiPolygon").all() and table.geometry.is_valid.all()
        assert sorted(table["n_tiles"])[-1] > 2 and table["edge"].sum() == 1
        if path.suffix != ".geojson":
            assert table.crs.to_epsg() == 32632
            assert (in_pixels(scene, table.geometry) == true_mask()).all()
    coco = COCO(str(outputs[-1]))
    masks = [coco.annToMask(one) for one in coco.loadAnns(coco.getAnnIds())]
    assert (np.max(masks, axis=0) == true_mask()).all() and len(masks) == 4
    assert coco.loadCats(1)[0]["name"] == "box"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *sorted(f"out{ending}" for ending in (*ENDINGS, ".qml")),
        "scene.tif",
    ]


def test_a_geopackage_opens_coloured_and_tells_how_it_was_made(tmp_path):
    path = tmp_path / "a.gpkg"
    segmenter().segment(boxes_raster(tmp_path / "s.tif"), output=path, options=TILES)
    with closing(sqlite3.connect(path)) as connection:
        ((layer, column, style),) = connection.execute(
            "SELECT f_table_name, f_geometry_column, styleQML FROM layer_styles WHERE useAsDefault"
        ).fetchall()
    described = pyogrio.read_info(path, layer=layer)
    assert column == described["geometry_name"]
    root = ElementTree.fromstring(style.partition("\n")[2])
    assert [one.get("value") for one in root.iter("category")] == ["box"]
    colors = {one.get("k"): one.get("v") for one in root.iter("prop")}
    assert colors["outline_color"] == "255,128,0,255"
    made = json.loads(described["layer_metadata"]["score_hf"])
    assert made["threshold"] == 0.3 and made["predictor"] == {"name": "boxes"}
    assert pyogrio.list_layers(path)[0, 0] == "instances"


def test_geojson_follows_rfc_7946(tmp_path):
    segmenter().segment(
        boxes_raster(tmp_path / "s.tif"), output=tmp_path / "a.geojson", options=TILES
    )
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in content
    for feature in content["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            assert shapely.LinearRing(polygon[0]).is_ccw
            assert all(8.9 < x < 9.1 and 45 < y < 45.3 for x, y in polygon[0])


def test_geoparquet_can_be_read_in_part(tmp_path):
    path = tmp_path / "a.parquet"
    segmenter().segment(boxes_raster(tmp_path / "s.tif"), output=path, options=TILES)
    described = json.loads(pyarrow.parquet.read_metadata(path).metadata[b"geo"])
    assert described["version"] == "1.1.0" and described["columns"]["geometry"]["bbox"]
    some = geopandas.read_parquet(path, bbox=(500000, 4999992, 500011, 5000000))
    assert len(some) == 1


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:28992", from_origin(127375, 428250, 0.25, 0.25)),
        ("EPSG:3857", from_origin(1e6, 8.4e6, 1, 1)),
        ("EPSG:4326", from_origin(9, 10, 5e-6, 5e-6)),
        ("EPSG:2994", from_origin(636515, 852462, 1, 1)),
        (UTM, Affine(0.433, 0.25, 500000, 0.25, -0.433, 5000000)),
        (UTM, Affine(0.5, 0, 500000, 0, 0.5, 5000000)),
    ],
)
def test_results_lie_where_the_pixels_are(tmp_path, crs, transform):
    scene = boxes_raster(tmp_path / "s.tif", crs=crs, transform=transform)
    segmenter().segment(scene, output=tmp_path / "a.gpkg", options=TILES)
    table = read(tmp_path / "a.gpkg")
    assert table.crs == crs
    assert (in_pixels(scene, table.geometry) == true_mask()).all()
    geod = table.crs.get_geod()
    exact = [abs(geod.geometry_area_perimeter(one)[0]) for one in table.geometry.to_crs(4326)]
    assert table["area_m2"].to_numpy() == pytest.approx(exact, rel=1e-3)


def test_mercator_metres_are_not_taken_for_metres(tmp_path):
    scene = boxes_raster(
        tmp_path / "s.tif", crs="EPSG:3857", transform=from_origin(1e6, 8.4e6, 1, 1)
    )
    (first, *_) = segmenter().iter_instances(scene, options=TILES)
    # At 60 degrees north a Mercator metre is half a metre on the ground.
    assert first.area_m2 == pytest.approx(0.25 * 150, rel=0.02)


def test_another_ground_size_gives_polygons_in_the_same_place(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    options = SceneOptions(tile_size=40, overlap=8, reading=ReadingOptions(gsd=1.0))
    segmenter().segment(scene, output=tmp_path / "a.gpkg", options=options)
    covered = in_pixels(scene, read(tmp_path / "a.gpkg").geometry)
    both = covered & true_mask()
    assert both.sum() > 0.9 * (covered | true_mask()).sum()


def test_a_plain_picture_gives_pixels(tmp_path):
    image = np.full((150, 200, 3), 40, dtype=np.uint8)
    image[true_mask()] = 200
    Image.fromarray(image).save(tmp_path / "s.png")
    result = segmenter().segment(tmp_path / "s.png", output=tmp_path / "a.gpkg", options=TILES)
    table = result_table = read(tmp_path / "a.gpkg")
    assert table.crs is None and result_table["area_m2"].isna().all()
    assert result.area_m2 == {"box": None}
    first = table.geometry.iloc[0].bounds
    assert first == (5, 5, 20, 15)
    with pytest.raises(ValueError, match="GeoJSON holds longitudes and latitudes"):
        segmenter().segment(tmp_path / "s.png", output=tmp_path / "a.geojson", options=TILES)
    with pytest.raises(ValueError, match="in metres need a scene with a coordinate reference"):
        options = SceneOptions(vectors=VectorOptions(min_area=3.0))
        segmenter().segment(tmp_path / "s.png", output=tmp_path / "b.gpkg", options=options)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_large_pictures_that_are_decoded_from_the_beginning(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("score_hf.scenes.raster._SEQUENTIAL_PIXELS", 1000)
    image = np.full((150, 200, 3), 40, dtype=np.uint8)
    image[true_mask()] = 200
    Image.fromarray(image).save(tmp_path / f"s.{suffix}", quality=95)
    features = list(segmenter().iter_instances(tmp_path / f"s.{suffix}", options=TILES))
    assert [one.found.window.top for one in features] == [5, 20, 55, 100]
    (tmp_path / f"s.{suffix}").write_bytes((tmp_path / f"s.{suffix}").read_bytes()[:-300])
    with pytest.raises(ValueError, match="cannot be decoded"):
        list(segmenter().iter_instances(tmp_path / f"s.{suffix}", options=TILES))


def test_a_scene_without_objects_gives_an_empty_layer(tmp_path):
    outputs = [tmp_path / f"out{ending}" for ending in ENDINGS]
    empty = SceneSegmenter(lambda tiles: [[] for _ in tiles], ["box"])
    result = empty.segment(boxes_raster(tmp_path / "s.tif"), output=outputs, options=TILES)
    assert result.counts == {"box": 0}
    for path in outputs[:-1]:
        assert len(read(path)) == 0
        assert "area_m2" in read(path).columns or path.suffix == ".geojson"
    assert COCO(str(outputs[-1])).getAnnIds() == []


def test_limits_of_area_and_holes_hold_for_whole_objects(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")

    def found(**vectors) -> list:
        options = SceneOptions(tile_size=64, overlap=12, vectors=VectorOptions(**vectors))
        return list(segmenter().iter_instances(scene, options=options))

    # The long one is cut into pieces of less than 100 square metres.
    assert [one.pixels for one in found(min_area=300)] == [1600]
    assert [one.pixels for one in found(max_area=50)] == [150]
    with rasterio.open(scene, "r+") as dataset:
        values = dataset.read()
        values[:, 60:65, 60:66] = 40
        dataset.write(values)
    assert sorted(one.area_m2 for one in found())[-2] == pytest.approx(142.5, rel=1e-3)
    assert sorted(one.area_m2 for one in found(holes=8))[-2] == pytest.approx(150, rel=1e-3)


def test_pixels_without_data_are_cut_off_and_tiles_without_any_are_skipped(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif", nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        values = dataset.read()
        values[:, :, 60:] = 0
        dataset.write(values)
    predictor = BrightBoxes()
    # It would find a box where there is nothing, too.
    result = segmenter(predictor).segment(scene, output=tmp_path / "a.gpkg", options=TILES)
    table = read(tmp_path / "a.gpkg")
    assert table.total_bounds[2] == 500030 and table["edge"].sum() == 3
    assert predictor.tiles < len(result.plan.tiles)


def test_iterating_gives_what_files_hold(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    segmenter().segment(scene, output=tmp_path / "a.gpkg", options=TILES)
    table = read(tmp_path / "a.gpkg")
    features = list(segmenter().iter_instances(scene, options=TILES))
    assert [one.geometry for one in features] == list(table.geometry)
    assert [one.found.window.top for one in features] == [5, 20, 55, 100]


class Interrupted(BrightBoxes):
    """Stops at a tile."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, tiles):
        if self.tiles >= self.at:
            raise KeyboardInterrupt
        return super().__call__(tiles)


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    names = [f"a{ending}" for ending in ENDINGS]
    segmenter().segment(scene, output=[tmp_path / "one" / name for name in names], options=TILES)
    outputs = [tmp_path / "two" / name for name in names]
    stopped = Interrupted(5)
    with pytest.raises(KeyboardInterrupt):
        segmenter(stopped).segment(scene, output=outputs, options=TILES)
    assert not any(path.exists() for path in outputs)
    second = BrightBoxes()
    result = segmenter(second).segment(scene, output=outputs, options=TILES)
    assert second.tiles + stopped.tiles == len(result.plan.tiles) and stopped.tiles == 5
    for name in names[:-1]:
        assert digest(tmp_path / "one" / name) == digest(tmp_path / "two" / name), name


def test_tiles_of_another_run_are_refused(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")

    def run(fresh: bool = False, **options) -> None:
        SceneSegmenter(Interrupted(3), ["box"], "boxes").segment(
            scene, output=tmp_path / "a.gpkg", options=SceneOptions(**options), fresh=fresh
        )

    with pytest.raises(KeyboardInterrupt):
        run(tile_size=64, overlap=12)
    with pytest.raises(ValueError, match="differs in overlap; repeat that run"):
        run(tile_size=64, overlap=13)
    with pytest.raises(KeyboardInterrupt):
        run(tile_size=64, overlap=13, fresh=True)


def test_damaged_tiles_are_computed_again(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    options = {"output": tmp_path / "a.gpkg", "options": TILES, "work": tmp_path / "work"}
    segmenter().segment(scene, keep_work=True, **options)
    expected = digest(tmp_path / "a.gpkg")
    shards = sorted((tmp_path / "work").rglob("*.npz"))
    shards[2].write_bytes(shards[2].read_bytes()[:-20])
    shards[3].write_bytes(b"")
    shards[4].unlink()
    shards[5].write_bytes(b"PK" + b"\0" * 300)
    again = BrightBoxes()
    segmenter(again).segment(scene, overwrite=True, **options)
    assert again.tiles == 4 and digest(tmp_path / "a.gpkg") == expected
    assert not (tmp_path / "work").exists()


class Slow(BrightBoxes):
    """Leaves time to be killed."""

    def __call__(self, tiles):
        time.sleep(0.02)
        return super().__call__(tiles)


def killed_after(seconds: float, run: Callable[[], object]) -> bool:
    """Kills a run in a process of its own after a while; whether it was not done by then."""
    process = os.fork()
    if process == 0:
        # Nothing of the tests may go on here.
        try:
            run()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["two.gpkg", "two.parquet", "two.geojson"])
def test_killed_at_ten_random_moments_the_same_call_gives_the_same_bytes(tmp_path, name):
    scene = boxes_raster(tmp_path / "s.tif", size=(220, 300))
    expected, output = tmp_path / "one" / name, tmp_path / "two" / name
    start = time.perf_counter()
    segmenter(Slow()).segment(scene, output=expected, options=TILES)
    duration = time.perf_counter() - start
    rng = np.random.default_rng(0)
    kills = 0
    while kills < 10:
        # Late enough to get on, and now and then while the map is written.
        kills += killed_after(
            rng.uniform(0.1, 0.7) * duration,
            lambda: segmenter(Slow()).segment(scene, output=output, options=TILES),
        )
        if output.exists():
            assert digest(output) == digest(expected)
            output.unlink()
    segmenter(Slow()).segment(scene, output=output, options=TILES)
    assert digest(output) == digest(expected)
    assert not list(output.parent.rglob("*.part*"))


class OutOfMemory(BrightBoxes):
    """Takes one tile at a time, and one place not at all."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails

    def __call__(self, tiles):
        if len(tiles) > 1 or (self.fails and tiles[0].window.top and tiles[0].window.left):
            raise MemoryError("too much")
        return super().__call__(tiles)


def test_batches_that_do_not_fit_are_halved(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    options = SceneOptions(tile_size=64, overlap=12, batch_size=4)
    result = segmenter(OutOfMemory(False)).segment(
        scene, output=tmp_path / "a.gpkg", options=options
    )
    assert result.counts == {"box": 4}


def test_tiles_that_fail_are_named_and_only_they_are_computed_again(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    classes, output = [SceneClass("box")], tmp_path / "a.gpkg"
    first = OutOfMemory(True)
    result = SceneSegmenter(first, classes, "boxes").segment(scene, output=output, options=TILES)
    grid = result.plan.tiles
    assert len(result.failed) == (grid.rows - 1) * (grid.columns - 1)
    assert result.failed[0].window == grid.window(1, 1) and "too much" in result.failed[0].reason
    assert not output.exists() and result.totals == []
    again = BrightBoxes()
    result = SceneSegmenter(again, classes, "boxes").segment(scene, output=output, options=TILES)
    assert again.tiles == (grid.rows - 1) * (grid.columns - 1) and result.counts == {"box": 4}


def test_parts_of_the_file_that_cannot_be_read_fail_alone(tmp_path, monkeypatch):
    scene = boxes_raster(tmp_path / "s.tif", compress="deflate")
    content = bytearray(scene.read_bytes())
    with rasterio.open(scene) as dataset:
        offset = int(dataset.tags(ns="TIFF", bidx=1).get("BLOCK_OFFSET_1_1", 0)) or None
    if offset is None:
        with rasterio.open(scene) as dataset:
            offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    content[offset : offset + 40] = b"\xff" * 40
    scene.write_bytes(bytes(content))
    monkeypatch.setattr("score_hf.scenes.tile_run._RETRY_AFTER_SECONDS", (0.0,))
    result = segmenter().segment(scene, output=tmp_path / "a.gpkg", options=TILES)
    assert 0 < len(result.failed) < len(result.plan.tiles)
    assert "cannot be read" in result.failed[0].reason


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("there.gpkg", {}, "there.gpkg' is there already; give `--overwrite`"),
        ("file.txt/a.gpkg", {}, "cannot be written"),
        ("a.shp", {}, "`output` must end in .gpkg, .parquet"),
        ([], {}, "`output` must name a file"),
        (["a.gpkg", "b.gpkg"], {}, "each at most once"),
        ("a.gpkg", {"tile_size": 32, "overlap": 32}, "must be larger than `overlap`"),
    ],
)
def test_calls_that_cannot_be(tmp_path, monkeypatch, output, options, message):
    monkeypatch.chdir(tmp_path)
    boxes_raster(tmp_path / "s.tif")
    (tmp_path / "there.gpkg").touch()
    (tmp_path / "file.txt").touch()
    with pytest.raises(ValueError, match=message):
        segmenter().segment("s.tif", output=output, options=SceneOptions(**options))


def test_predictors_that_return_what_is_none(tmp_path):
    from score_hf.scenes import Found

    scene, output = boxes_raster(tmp_path / "s.tif"), tmp_path / "a.gpkg"
    mask = np.ones((4, 4), dtype=bool)
    for found, error, message in (
        ([], ValueError, "one list of instances a tile, but got 0 for 1"),
        ([[Found(0, 0.5, mask.astype(int))]], TypeError, "masks as boolean arrays"),
        ([[Found(0, 0.5, mask, top=62)]], ValueError, "masks inside the tile of 64 x 64"),
        ([[Found(0, 1.5, mask)]], ValueError, "scores between 0 and 1, but got 1.5"),
        ([[Found(1, 0.5, mask)]], ValueError, "labels from 0 to 0"),
    ):
        one = SceneSegmenter(lambda tiles, found=found: found, ["box"])
        with pytest.raises(error, match=message):
            one.segment(scene, output=output, options=TILES, fresh=True)


def test_a_data_frame_of_what_was_found(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    result = segmenter().segment(scene, output=tmp_path / "a.parquet", options=TILES)
    assert len(result.to_geodataframe()) == 4
    result = segmenter().segment(scene, output=tmp_path / "a.json", options=TILES)
    with pytest.raises(ValueError, match="No vector file was written"):
        result.to_geodataframe()
