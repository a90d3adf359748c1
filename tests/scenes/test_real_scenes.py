"""Real GeoTIFFs, where they lie beside the repository: outputs fall where the pixels are."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pycocotools import mask as coco_mask

from score_hf.scenes import ReadingOptions, SceneOptions, SceneSegmenter

from .truth import TruthInWindow, true_object

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the data are not here")
KAMPALA = DATA / "buildings_kampala_geo"
SCENES = {
    "geotiff_scenes/netherlands_25cm_epsg28992.tif": (28992, 0.25),
    "geotiff_scenes/rapideye_sf_bay_ships_2017-03-08.tif": (32610, 5.0),
    "geotiff_scenes/naip_m_4709963_se_14_1_20200831.tif": (26914, 5.0),
    "geotiff_scenes/RGB.byte.tif": (32618, 300.0),
    "buildings_kampala_geo/kampala_residential_z19.tif": (3857, 0.298),
    "open_imagery/autzen_stadium_1ft_epsg2994.tif": (2994, 0.305),
}


class Middle:
    """Finds one square in the middle of the scene, in every tile that shows some of it."""

    def __init__(self, height: int, width: int) -> None:
        mask = np.zeros((height, width), dtype=bool)
        mask[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20] = True
        self.predictor = TruthInWindow([true_object(0, 0.9, mask)])

    def __call__(self, tiles):
        return self.predictor(tiles)


@pytest.mark.parametrize("name", SCENES)
def test_outputs_have_the_right_crs_and_place(name, tmp_path):
    code, metres = SCENES[name]
    with rasterio.open(DATA / name) as dataset:
        height, width, bounds = dataset.height, dataset.width, dataset.bounds
        middle = dataset.transform @ (width // 2, height // 2)
    segmenter = SceneSegmenter(Middle(height, width), ["square"])
    options = SceneOptions(tile_size=256, overlap=64)
    outputs = [tmp_path / "a.gpkg", tmp_path / "a.geojson"]
    result = segmenter.segment(DATA / name, output=outputs, options=options)
    assert result.plan.grid.pixel_metres == pytest.approx((metres, metres), rel=0.01)
    table = geopandas.read_file(outputs[0])
    assert table.crs.to_epsg() == code and len(table) == 1
    west, south, east, north = table.total_bounds
    assert ((west + east) / 2, (south + north) / 2) == pytest.approx(middle, rel=1e-9)
    assert bounds.left < west and north < bounds.top
    # No pixel of the squares is without data.
    assert table["area_m2"][0] == pytest.approx(1600 * metres**2, rel=0.02)
    lonlat = geopandas.read_file(outputs[1])
    there = table.to_crs(4326).total_bounds
    assert lonlat.crs.to_epsg() == 4326 and lonlat.total_bounds == pytest.approx(there, abs=1e-6)


@pytest.mark.parametrize("level", ["z19", "z20", "z21"])
def test_true_masks_of_buildings_give_back_their_footprints(level, tmp_path):
    scene = KAMPALA / f"kampala_residential_{level}.tif"
    annotated = json.loads((KAMPALA / "instances.json").read_text())
    image = next(one for one in annotated["images"] if one["file_name"].endswith(scene.name))
    height, width = image["height"], image["width"]
    objects, features = [], []
    for number, one in enumerate(annotated["annotations"]):
        if one["image_id"] == image["id"]:
            encoded = one["segmentation"]
            if isinstance(encoded, list):
                encoded = coco_mask.merge(coco_mask.frPyObjects(encoded, height, width))
            mask = coco_mask.decode(encoded).astype(bool)
            if mask.any():
                # The score tells the objects apart in the output.
                objects.append(true_object(0, 0.5 + number / 10000, mask))
                features.append(one["feature"])
    segmenter = SceneSegmenter(TruthInWindow(objects), ["building"])
    options = SceneOptions(tile_size=256, overlap=48)
    segmenter.segment(scene, output=tmp_path / "a.gpkg", options=options)
    found = geopandas.read_file(tmp_path / "a.gpkg")
    assert len(found) == len(objects)
    table = geopandas.read_file(KAMPALA / "buildings_wgs84.geojson").to_crs(found.crs)
    with rasterio.open(scene) as dataset:
        pixel, frame = dataset.res[0], shapely.box(*dataset.bounds)
    footprints = dict(zip(table["feature"], table.geometry.make_valid(), strict=True))
    truth = {round(one.score, 4): feature for one, feature in zip(objects, features, strict=True)}
    shifts = []
    for score, geometry in zip(found["score"], found.geometry, strict=True):
        footprint = footprints[truth[round(float(score), 4)]] & frame
        shifts.append(
            np.subtract(geometry.centroid.coords[0], footprint.centroid.coords[0]) / pixel
        )
        # How far the outlines are apart on average.
        assert (geometry ^ footprint).area / footprint.length / pixel < 0.5
    assert np.abs(shifts).max() < 0.5 and np.abs(np.mean(shifts, axis=0)).max() < 0.1


def test_pixels_of_the_same_ground_size_for_all(tmp_path):
    for level in ("z20", "z21"):
        scene = KAMPALA / f"kampala_residential_{level}.tif"
        segmenter = SceneSegmenter(lambda tiles: [[] for _ in tiles], ["none"])
        options = SceneOptions(tile_size=256, reading=ReadingOptions(gsd=0.298))
        result = segmenter.segment(
            scene, output=tmp_path / "a.gpkg", options=options, overwrite=True
        )
        assert (result.plan.grid.height, result.plan.grid.width) == (509, 769)
