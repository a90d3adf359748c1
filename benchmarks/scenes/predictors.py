"""Predictors that know the scene: a perfect one, and one with the faults of networks."""

from collections.abc import Iterator, Sequence

import numpy as np
import shapely

from score_hf.scenes import Found, Tile, Window

from .four_classes import SIDE, DrawnObject

# What every method is given: a picture whose colours tell where a pixel lies, 12 bits a side.
_PLACES = 4096


def picture_of_places(side: int = SIDE) -> np.ndarray:
    """`(side, side, 3)` uint8, from which a predictor reads the place of a tile."""
    rows = np.arange(side, dtype=np.uint32)[:, None] * _PLACES
    numbers = rows + np.arange(side, dtype=np.uint32)
    return np.stack([numbers >> 16, (numbers >> 8) & 255, numbers & 255], -1).astype(np.uint8)


def window_of(image: np.ndarray) -> Window:
    """The place of a part of the picture of places."""
    red, green, blue = (int(value) for value in image[0, 0])
    top, left = divmod((red << 16) | (green << 8) | blue, _PLACES)
    return Window(top, left, top + image.shape[0], left + image.shape[1])


class Perfect:
    """Returns of each object what lies in the window.

    Args:
        objects: Of the scene.
        side: Of the scene.
    """

    def __init__(self, objects: Sequence[DrawnObject], side: int = SIDE) -> None:
        self.objects, self.side = objects, side
        boxes = np.array([one.window for one in objects])
        self._index = shapely.STRtree(
            shapely.box(boxes[:, 1], boxes[:, 0], boxes[:, 3], boxes[:, 2])
        )

    def __call__(self, tiles: Sequence[Tile]) -> list[list[Found]]:
        return [list(self.find(tile.window)) for tile in tiles]

    def find(self, window: Window) -> Iterator[Found]:
        """What lies in a window."""
        place = shapely.box(window.left, window.top, window.right, window.bottom)
        for index in sorted(self._index.query(place).tolist()):
            yield from self._see(self.objects[index], window)

    def _see(self, one: DrawnObject, window: Window) -> Iterator[Found]:
        yield from _cut(one, one.window, one.score, window)


class Noisy(Perfect):
    """Misses 3 % in each tile, moves masks by up to a pixel, is less sure of what is cut."""

    def find(self, window: Window) -> Iterator[Found]:
        """What is seen of what lies in a window."""
        self._rng = np.random.default_rng([window.top, window.left])
        yield from super().find(window)

    def _see(self, one: DrawnObject, window: Window) -> Iterator[Found]:
        if self._rng.random() < 0.03:
            return
        down, right = (int(step) for step in self._rng.integers(-1, 2, 2))
        box = one.window
        moved = Window(box.top + down, box.left + right, box.bottom + down, box.right + right)
        score = one.score + self._rng.normal(0, 0.05) - 0.15 * (not window.contains(moved))
        inside = moved.intersection(Window(0, 0, self.side, self.side))
        mask = one.mask[inside.slices_in(moved)]
        yield from _cut(
            DrawnObject(one.label, one.score, inside, mask),
            inside,
            float(np.clip(score, 0.05, 1)),
            window,
        )


def _cut(one: DrawnObject, box: Window, score: float, window: Window) -> Iterator[Found]:
    common = box.intersection(window)
    if common.is_empty:
        return
    mask = one.mask[common.slices_in(box)]
    if mask.any():
        yield Found(one.label, score, mask, common.top - window.top, common.left - window.left)
