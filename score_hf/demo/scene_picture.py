"""A picture of what was found in a whole scene: it needs no map, and no place on the ground."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from ..visualize import draw_instances
from .views import display_size

if TYPE_CHECKING:
    from ..scenes import ReadingOptions, SceneResult


def draw_whole_scene(
    path: str, reading: "ReadingOptions", result: "SceneResult", most: int
) -> Image.Image:
    """Draws the objects of a scene over it.

    Args:
        path: Of the scene, which fits in memory.
        reading: How it was read.
        result: What was found.
        most: How many objects are drawn at most, by falling score.

    Returns:
        The scene at display size.
    """
    from ..scenes import Scene, Window

    with Scene(path, reading) as scene:
        pixels = scene.read(Window(0, 0, scene.height, scene.width)).image
    height, width = display_size(pixels.shape[:2])
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    table = result.to_geodataframe().nlargest(most, "score")
    scale = np.array([width / pixels.shape[1], height / pixels.shape[0]])
    names = [one.name for one in result.plan.classes]
    return draw_instances(
        picture,
        _masks(table.geometry, ~result.plan.grid.transform, scale, picture.size),
        [names.index(name) for name in table["class_name"]],
        names,
        legend=False,
    )


def _masks(
    geometries: Any, to_pixels: Any, scale: np.ndarray, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Fills polygons: (height, width) bool each."""
    from ..scenes.ground import to_coordinates

    def places(ring: Any) -> list[tuple[float, float]]:
        x, y = np.asarray(ring.coords)[:, :2].T
        # Pillow's pixels have their centres at whole numbers.
        corners = np.stack(to_coordinates(to_pixels, x, y), axis=1) * scale - 0.5
        return [tuple(corner) for corner in corners]

    for geometry in geometries:
        mask = Image.new("1", size)
        pen = ImageDraw.Draw(mask)
        # The largest first: another may lie in its hole.
        for polygon in sorted(geometry.geoms, key=lambda one: one.area, reverse=True):
            pen.polygon(places(polygon.exterior), fill=1)
            for hole in polygon.interiors:
                pen.polygon(places(hole), fill=0)
        yield np.asarray(mask)
