"""What can be had beside a vector file: rasters, a STAC item, a page; and other attributes."""

import json
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

from score_hf.scenes import (
    Found,
    ReadingOptions,
    RunnerUp,
    SceneClass,
    SceneOptions,
    SceneSegmenter,
    VectorOptions,
    stac,
)
from score_hf.scenes.stac import raster_of_item

from .drawn_rasters import UTM, boxes_raster, write_raster
from .truth import TruthInWindow, true_object

CLASSES = [SceneClass("ship", color="#ff0000"), SceneClass("pier", color="#0000ff", number=7)]


def box_object(label: int, score: float, top: int, left: int, bottom: int, right: int):
    mask = np.zeros((150, 200), dtype=bool)
    mask[top:bottom, left:right] = True
    return true_object(label, score, mask)


# The pier crosses tiles and lies below the ship where they overlap.
OBJECTS = [box_object(0, 0.9, 40, 60, 60, 70), box_object(1, 0.6, 50, 10, 58, 190)]


def segment(tmp_path: Path, name: str = "a.gpkg", predictor=None, **options):
    scene = tmp_path / "s.tif"
    if not scene.exists():
        boxes_raster(scene)
    segmenter = SceneSegmenter(predictor or TruthInWindow(OBJECTS), CLASSES, "truth")
    settings = SceneOptions(tile_size=64, overlap=12, **options)
    return segmenter.segment(scene, output=tmp_path / name, options=settings, overwrite=True)


def test_rasters_tell_class_instance_and_score_of_each_pixel(tmp_path):
    result = segment(tmp_path, rasters=("class", "instance", "score"))
    table = result.to_geodataframe()
    ids = dict(zip(table["class_name"], table["id"], strict=True))
    expected = {
        "class": (np.uint8, [1, 8]),
        "instance": (np.uint32, [ids["ship"], ids["pier"]]),
        "score": (np.float32, [0.9, 0.6]),
    }
    for kind, (dtype, (ship, pier)) in expected.items():
        wanted = np.zeros((150, 200))
        wanted[50:58, 10:190] = pier
        wanted[40:60, 60:70] = ship
        assert result.outputs[kind] == tmp_path / f"a_{kind}.tif"
        with rasterio.open(result.outputs[kind]) as dataset:
            values = dataset.read(1)
            assert values.dtype == dtype and values == pytest.approx(wanted)
            assert dataset.crs.to_epsg() == 32632 and dataset.bounds.left == 500000
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            if kind == "class":
                assert dataset.tags()["CLASS_8"] == "pier"
                assert dataset.colormap(1)[8] == (0, 0, 255, 255)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.gpkg", "a_class.tif", "a_instance.tif", "a_score.tif", "s.tif"
    ]  # fmt: skip


def test_many_classes_need_more_than_eight_bits(tmp_path):
    classes = [SceneClass(f"class {number}") for number in range(300)]
    ship = box_object(299, 0.9, 40, 60, 60, 70)
    segmenter = SceneSegmenter(TruthInWindow([ship]), classes)
    options = SceneOptions(tile_size=64, overlap=12, rasters=("class",))
    scene = boxes_raster(tmp_path / "s.tif")
    result = segmenter.segment(scene, output=tmp_path / "a.gpkg", options=options)
    with rasterio.open(result.outputs["class"]) as dataset:
        assert dataset.read(1)[50, 65] == 300


@pytest.mark.parametrize("beside", ["a_class.tif", "a.stac.json"])
def test_what_is_there_is_not_replaced_unasked(tmp_path, beside):
    (tmp_path / beside).touch()
    segmenter = SceneSegmenter(TruthInWindow(OBJECTS), CLASSES)
    options = SceneOptions(rasters=("class",), stac=True)
    with pytest.raises(ValueError, match=f"{beside}' is there already"):
        segmenter.segment(
            boxes_raster(tmp_path / "s.tif"), output=tmp_path / "a.gpkg", options=options
        )


def test_options_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="`rasters` must be of class, instance, score, but got"):
        SceneOptions(rasters=("mask",))
    with pytest.raises(ValueError, match="`crs` must be source, utm or a code"):
        VectorOptions(crs="UTM32")
    plain = boxes_raster(tmp_path / "s.tif", crs=None)
    segmenter = SceneSegmenter(TruthInWindow(OBJECTS), CLASSES)
    for options, message in (
        (SceneOptions(stac=True), "STAC item needs a place on the ground"),
        (SceneOptions(vectors=VectorOptions(crs="utm")), "need a scene with a coordinate"),
    ):
        with pytest.raises(ValueError, match=message):
            segmenter.segment(plain, output=tmp_path / "a.gpkg", options=options, fresh=True)


def test_a_stac_item_describes_the_map(tmp_path):
    boxes_raster(tmp_path / "s.tif")
    with rasterio.open(tmp_path / "s.tif", "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2021:06:30 10:15:00")
    result = segment(tmp_path, stac=True, rasters=("class",))
    item = json.loads(result.outputs["stac"].read_text())
    assert item["type"] == "Feature" and item["id"] == "a"
    assert item["properties"]["datetime"] == "2021-06-30T10:15:00Z"
    assert item["properties"]["proj:code"] == "EPSG:32632"
    assert item["properties"]["score_hf:classes"] == ["ship", "pier"]
    west, south, east, north = item["bbox"]
    assert west == pytest.approx(9.0, abs=1e-6) and west < east and south < north < 45.2
    for asset in item["assets"].values():
        assert (tmp_path / asset["href"]).exists()
    assert set(item["assets"]) == {"gpkg", "class"}
    if find_spec("pystac"):
        import pystac

        read = pystac.Item.from_dict(item)
        assert read.assets["gpkg"].media_type == "application/geopackage+sqlite3"


def test_without_a_date_in_the_file_that_of_its_change_counts(tmp_path):
    item = json.loads(segment(tmp_path, stac=True).outputs["stac"].read_text())
    assert item["properties"]["datetime"].startswith("20")


def test_an_item_as_input_names_the_picture(tmp_path):
    def item(**assets: str) -> str:
        listed = {
            name: {"href": reference, "type": "image/tiff"} for name, reference in assets.items()
        }
        path = tmp_path / "item.json"
        path.write_text(json.dumps({"stac_version": "1.0.0", "assets": listed}))
        return str(path)

    assert raster_of_item(item(data="./x/s.tif")) == str(tmp_path / "x" / "s.tif")
    many = item(visual="https://example.org/v.tif", nir="n.tif")
    assert raster_of_item(many) == "https://example.org/v.tif"
    assert raster_of_item(f"{many}#nir") == str(tmp_path / "n.tif")
    with pytest.raises(ValueError, match=r"add #NAME with one of its rasters \(b01, b02\)"):
        raster_of_item(item(b01="1.tif", b02="2.tif"))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="is JSON, but no STAC item"):
        raster_of_item(str(tmp_path / "other.json"))
    with pytest.raises(ValueError, match="cannot be read as a STAC item"):
        raster_of_item(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "cannot be read as a STAC item"),
        ('{"stac_version": "1.0.0", "assets": ["s.tif"]}', "no STAC item"),
        ('{"stac_version": "1.0.0", "assets": {"a": "s.tif", "b": {"href": 3}}}', "none"),
        ('{"stac_version": "1.0.0", "assets": {"a": {"type": "image/tiff"}}}', "none"),
    ],
)
def test_items_of_another_form_are_told(tmp_path, content, message):
    path = tmp_path / "item.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        raster_of_item(str(path))


def test_an_item_from_afar_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr(stac, "_LARGEST_ITEM", 2**20)
    monkeypatch.setattr(stac, "urlopen", lambda *_, **__: BytesIO(b" " * 2**21))
    with pytest.raises(ValueError, match=r"cannot be read as a STAC item \(it has more than 1 MiB"):
        raster_of_item("https://example.org/item.json")


@pytest.mark.parametrize(("crs", "code"), [("utm", 32631), ("EPSG:3035", 3035)])
def test_maps_in_another_reference_system(tmp_path, crs, code):
    boxes_raster(tmp_path / "s.tif", crs="EPSG:3857")
    plain = segment(tmp_path).to_geodataframe()
    for name in ("b.gpkg", "b.parquet"):
        moved = segment(tmp_path, name, vectors=VectorOptions(crs=crs)).to_geodataframe()
        assert moved.crs.to_epsg() == code
        assert moved["area_m2"].tolist() == plain["area_m2"].tolist()
        back = moved.to_crs(3857)
        assert back.geometry.geom_equals_exact(plain.geometry, 0.01).all()


class Unsure(TruthInWindow):
    """Says of ships what else they could be, surer in the right half of the scene."""

    def _find(self, window):
        for found in super()._find(window):
            runner_up = RunnerUp(0, 0.3 if window.left else 0.1) if found.label else None
            yield Found(*list(vars(found).values())[:5], runner_up)


def test_the_runner_up_is_that_of_whom_saw_most(tmp_path):
    table = segment(tmp_path, predictor=Unsure(OBJECTS)).to_geodataframe().set_index("class_name")
    assert table.loc["pier", "alt_class"] == "ship"
    assert table.loc["pier", "alt_score"] == pytest.approx(0.3)
    assert table.loc["ship", ["alt_class", "alt_score"]].isna().all()


def test_sides_and_numbers_of_classes(tmp_path):
    table = segment(tmp_path).to_geodataframe().set_index("class_name")
    assert table["class_id"].to_dict() == {"ship": 0, "pier": 7}
    # Half a metre a pixel.
    assert table.loc["pier", "width_m"] == pytest.approx(4, rel=1e-2)
    assert table.loc["pier", "length_m"] == pytest.approx(90, rel=1e-2)


def test_unknown_runners_up_are_refused(tmp_path):
    mask = np.ones((4, 4), dtype=bool)
    wrong = [[Found(0, 0.5, mask, runner_up=RunnerUp(2, 0.1))]]
    with pytest.raises(ValueError, match="labels from 0 to 1, but got 2"):
        segment(tmp_path, predictor=lambda tiles: wrong)


@pytest.mark.skipif(find_spec("folium") is None, reason="needs folium")
def test_a_page_holds_the_surest_features(tmp_path):
    result = segment(tmp_path)
    page = result.explore().get_root().render()
    assert "ship (1)" in page and "pier (1)" in page
    with pytest.warns(UserWarning, match="only the 1 surest of 2 features"):
        page = result.explore(limit=1).get_root().render()
    assert "ship (1)" in page and "pier" not in page
    table = geopandas.read_file(tmp_path / "a.gpkg", layer="instances").set_crs(
        None, allow_override=True
    )
    from score_hf.scenes.web_map import make_map

    with pytest.raises(ValueError, match="these features are in pixels"):
        make_map(table)


def test_a_map_takes_names_for_text_and_not_for_markup():
    from score_hf.scenes.web_map import make_map

    name = "</script><img src=x onerror=alert(1)>"
    row = {"class_name": [name], "class_id": [0], "score": [0.5]}
    table = geopandas.GeoDataFrame(row, geometry=geopandas.points_from_xy([8], [50]), crs=4326)
    page = make_map(table).get_root().render()
    # In the name of the layer and in the text under the pointer.
    written = r"\u0026lt;/script\u0026gt;\u0026lt;img src=x onerror=alert(1)\u0026gt;"
    assert page.count("onerror") == page.count(written) == 2 and '"score": 0.5' in page


def test_rasters_of_a_part_lie_where_the_part_is(tmp_path):
    scene = write_raster(tmp_path / "s.tif", np.full((3, 150, 200), 9, dtype=np.uint8))
    with rasterio.open(scene) as dataset:
        corner = geopandas.points_from_xy(*[[one] for one in dataset.transform @ (100, 75)])
    point = geopandas.GeoSeries(corner, crs=UTM).to_crs(4326)[0]
    bbox = (point.x - 1e-4, point.y - 1e-4, point.x + 1e-4, point.y + 1e-4)
    reading = ReadingOptions(bbox=bbox)

    class Everything:
        def __call__(self, tiles):
            return [[Found(0, 0.9, np.ones(tile.image.shape[:2], dtype=bool))] for tile in tiles]

    segmenter = SceneSegmenter(Everything(), ["ship"])
    options = SceneOptions(reading=reading, rasters=("class",))
    result = segmenter.segment(scene, output=tmp_path / "a.gpkg", options=options)
    with rasterio.open(result.outputs["class"]) as dataset:
        assert dataset.bounds == pytest.approx(result.to_geodataframe().total_bounds)
        assert (dataset.read(1) == 1).all()


@pytest.mark.skipif(find_spec("buildingregulariser") is None, reason="needs buildingregulariser")
def test_outlines_are_made_right_angled(tmp_path):
    mask = np.zeros((150, 200), dtype=bool)
    # A house that stands askew on the pixels.
    rows, columns = np.mgrid[:150, :200]
    along, across = 0.8 * columns + 0.6 * rows, -0.6 * columns + 0.8 * rows
    mask[(abs(along - 140) < 30) & (abs(across - 5) < 18)] = True
    house = true_object(0, 0.9, mask)
    pier = box_object(1, 0.9, 130, 20, 140, 190)
    plain, straight = (
        segment(tmp_path, predictor=TruthInWindow([house, pier]), vectors=VectorOptions(**one))
        .to_geodataframe()
        .set_index("class_name")
        for one in ({}, {"regularize": ("ship",)})
    )
    jagged, outline = (one.geometry["ship"] for one in (plain, straight))
    assert len(outline.geoms[0].exterior.coords) == 5 < len(jagged.geoms[0].exterior.coords)
    assert (outline ^ jagged).area < 0.06 * jagged.area
    assert straight["width_m"]["ship"] == pytest.approx(18, abs=0.6)
    assert straight.geometry["pier"].equals(plain.geometry["pier"])
    with pytest.raises(ValueError, match="`regularize` must name classes of the vocabulary"):
        segment(tmp_path, vectors=VectorOptions(regularize=("house",)))
