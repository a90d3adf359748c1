import geopandas
import numpy as np
import pytest
import shapely
from rasterio.transform import Affine

from score_hf.scenes import ReadingOptions, SceneClass, SceneOptions, SceneSegmenter

from .drawn_rasters import UTM, BrightBoxes, boxes_raster

DEGREES = "OGC:CRS84"


def find(scene, **reading):
    """What is found, by rows and columns of the whole scene, and how many tiles were computed."""
    predictor = BrightBoxes()
    segmenter = SceneSegmenter(predictor, [SceneClass("box")], "boxes")
    options = SceneOptions(tile_size=64, overlap=12, reading=ReadingOptions(**reading))
    found = list(segmenter.iter_instances(scene, options=options))
    return [one.geometry for one in found], predictor.tiles, found


def in_degrees(geometry):
    return geopandas.GeoSeries([geometry], crs=UTM).to_crs(DEGREES)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("gsd", [None, 1.0])
def test_a_box_gives_what_lies_in_it_in_the_same_place(tmp_path, turned, gsd):
    transform = Affine(0.433, 0.25, 500000, 0.25, -0.433, 5000000) if turned else None
    scene = boxes_raster(tmp_path / "s.tif", transform=transform)
    whole, tiles, _ = find(scene, gsd=gsd)
    # The third box, over a corner of tiles.
    wanted = whole[2].buffer(4)
    some, fewer, (first, *_) = find(
        scene, gsd=gsd, bbox=tuple(in_degrees(wanted).total_bounds.tolist())
    )
    assert any(one.equals_exact(whole[2], 0.01) for one in some)
    assert fewer < tiles and len(some) < len(whole)
    assert first.found.window.bottom < 60


def test_areas_cut_off_what_lies_beyond(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    # The long box lies at rows 100 to 108, that is 50 to 54 metres below the top.
    area = shapely.box(500010, 4999900, 500040, 5000000) | shapely.box(500090, 0, 500091, 9)
    geopandas.GeoSeries([area], crs=UTM).to_crs("EPSG:3035").to_file(tmp_path / "a.geojson")
    found, _, features = find(scene, aoi=tmp_path / "a.geojson")
    long = min(found, key=lambda one: one.bounds[1])
    assert long.bounds == pytest.approx((500010, 4999946, 500040, 4999950), abs=0.51)
    assert all(one.at_edge for one in features if one.geometry.equals(long))
    assert not any(one.intersects(shapely.box(0, 0, 500009, 5000000)) for one in found)


def test_only_tiles_that_the_areas_meet_are_read(tmp_path):
    scene = boxes_raster(tmp_path / "s.tif")
    corners = shapely.box(500000, 4999990, 500010, 5000000) | shapely.box(
        500090, 4999926, 500099, 4999930
    )
    geopandas.GeoSeries([corners], crs=UTM).to_file(tmp_path / "a.gpkg")
    found, tiles, _ = find(scene, aoi=tmp_path / "a.gpkg")
    assert len(found) == 1 and tiles == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.gpkg", "`aoi` must be a vector file, but"),
        ("points.gpkg", "has no areas"),
        ("plain.gpkg", "has no coordinate reference system"),
        ("far.gpkg", "`aoi` lies beyond"),
    ],
)
def test_areas_that_cannot_be(tmp_path, name, message):
    scene, square = boxes_raster(tmp_path / "s.tif"), shapely.box(0, 0, 1, 1)
    geopandas.GeoSeries([shapely.Point(0, 0)], crs=UTM).to_file(tmp_path / "points.gpkg")
    geopandas.GeoSeries([square]).to_file(tmp_path / "plain.gpkg")
    geopandas.GeoSeries([square], crs=UTM).to_file(tmp_path / "far.gpkg")
    with pytest.raises(ValueError, match=message):
        find(scene, aoi=tmp_path / name)


def test_boxes_need_a_place_on_the_ground(tmp_path):
    plain = boxes_raster(tmp_path / "s.tif", crs=None)
    with pytest.raises(ValueError, match="`bbox` needs a scene with a coordinate reference"):
        find(plain, bbox=(8, 47, 9, 48))
    with pytest.raises(ValueError, match="`bbox` lies beyond"):
        find(boxes_raster(tmp_path / "t.tif"), bbox=(18, 47, 19, 48))


def test_pixels_of_a_part_are_those_of_the_whole(tmp_path):
    from score_hf.scenes import Scene, Window

    rng = np.random.default_rng(0)
    from .drawn_rasters import write_raster

    values = rng.integers(0, 3000, (3, 150, 200), dtype=np.uint16)
    scene = write_raster(tmp_path / "s.tif", values)
    middle = in_degrees(shapely.box(500020, 4999940, 500060, 4999980)).total_bounds
    with Scene(scene) as whole, Scene(scene, ReadingOptions(bbox=tuple(middle.tolist()))) as part:
        place = part.area.window
        assert (part.grid.height, part.grid.width) == (place.height, place.width)
        seen = part.read(Window(0, 0, place.height, place.width)).image
        assert (seen == whole.read(place).image).all()
