from importlib.util import find_spec

import numpy as np
import pytest

from score_hf.demo.scene_picture import _masks, draw_whole_scene
from score_hf.visualize import class_color
from tests.scenes.drawn_rasters import write_raster

pytestmark = pytest.mark.skipif(find_spec("rasterio") is None, reason="needs score-hf[geo]")


def test_objects_are_drawn_where_they_are_in_the_colours_of_their_classes(tmp_path):
    from score_hf.scenes import Found, ReadingOptions, SceneSegmenter

    scene = write_raster(tmp_path / "a.tif", np.full((3, 1500, 2600), 255, dtype=np.uint8))
    ring = np.ones((200, 200), dtype=bool)
    ring[50:150, 50:150] = False

    def find(tiles):
        corner = [tile.window.top == 0 and tile.window.left == 0 for tile in tiles]
        objects = [Found(1, 0.9, ring, 100, 200), Found(0, 0.8, ring, 100, 200)]
        return [objects if first else [] for first in corner]

    result = SceneSegmenter(find, ["ship", "car"]).segment(scene, output=tmp_path / "a.gpkg")
    assert result.counts == {"ship": 1, "car": 1}
    # Of a class the best, if only one may be drawn.
    drawn = draw_whole_scene(str(scene), ReadingOptions(), result, 1)
    assert drawn.size == (1280, 738)
    colored = np.asarray(drawn) != 255
    rows, columns = np.nonzero(colored.any(axis=2))
    scale = 1280 / 2600
    expected = np.array([100, 300, 200, 400]) * scale
    sides = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1])
    assert np.abs(sides - expected).max() <= 3
    middle, inside = (round(200 * scale), round(300 * scale)), (round(125 * scale),) * 2
    assert drawn.getpixel(middle[::-1]) == (255, 255, 255)
    tint = 255 - np.array(drawn.getpixel((round(300 * scale), inside[0])))
    wanted = 255 - np.array(class_color(1))
    assert tint.any() and np.corrcoef(tint, wanted)[0, 1] > 0.99


def test_an_island_in_a_hole_is_drawn():
    from affine import Affine
    from shapely import MultiPolygon, box

    island = box(40, 40, 60, 60)
    ring = box(0, 0, 100, 100) - box(20, 20, 80, 80)
    [mask] = _masks([MultiPolygon([island, ring])], Affine.identity(), np.ones(2), (100, 100))
    assert mask[50, 50] and mask[10, 50] and not mask[30, 30]
