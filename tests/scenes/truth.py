"""Random scenes whose objects are known, and predictors that see them tile by tile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from score_hf.scenes import Found, StitchedObject, Tile, TileGrid, Window
from score_hf.scenes.matching import Merge


@dataclass(frozen=True)
class TrueObject:
    """An object and the box around it."""

    label: int
    score: float
    window: Window
    mask: np.ndarray

    def key(self) -> tuple:
        return self.label, round(self.score, 9), tuple(self.window), self.mask.tobytes()


@dataclass(frozen=True)
class TrueScene:
    """A scene, how it is tiled, and how its classes are merged."""

    objects: list[TrueObject]
    grid: TileGrid
    merge: list[Merge]

    def keys(self) -> list[tuple]:
        return sorted(one.key() for one in self.objects)


def key(found: StitchedObject) -> tuple:
    return found.label, round(found.score, 9), tuple(found.window), found.mask().tobytes()


def true_object(label: int, score: float, mask: np.ndarray) -> TrueObject:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = Window(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return TrueObject(label, score, window, mask[window.slices_in(Window(0, 0, *mask.shape))])


class TruthInWindow:
    """A predictor that returns of each object what lies in the tile.

    Args:
        objects: Of the scene.
        in_parts: Whether parts that are not connected inside the tile are instances of their own.
    """

    def __init__(self, objects: Sequence[TrueObject], in_parts: bool = False) -> None:
        self.objects, self.in_parts = objects, in_parts

    def __call__(self, tiles: Sequence[Tile]) -> list[list[Found]]:
        return [list(self._find(tile.window)) for tile in tiles]

    def _find(self, window: Window) -> Iterator[Found]:
        for one in self.objects:
            common = one.window.intersection(window)
            if common.is_empty:
                continue
            mask = one.mask[common.slices_in(one.window)]
            top, left = common.top - window.top, common.left - window.left
            masks = [mask]
            if self.in_parts:
                numbers, count = ndimage.label(mask)
                masks = [numbers == number for number in range(1, count + 1)]
            for part in masks:
                if part.any():
                    yield Found(one.label, one.score, part, top, left)


def random_scene(seed: int, in_parts: bool = False) -> TrueScene:
    """Draws objects of two classes: boxes, bends, rings, rows of neighbours, rivers.

    Args:
        seed: Of the scene.
        in_parts: Whether it should suit a predictor that returns connected parts: then objects are
            connected, and those of a class do not overlap.
    """
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(6, 91, 2))
    tile = int(rng.integers(12, 31))
    grid = TileGrid(height, width, tile, int(rng.integers(1, tile // 2 + 1)))
    largest = int(rng.integers(2, 61))
    may_overlap = not in_parts and rng.random() < 0.5
    taken = np.zeros((2, height, width), dtype=bool)
    objects: list[TrueObject] = []
    shapes = [_shape(rng, height, width, largest) for _ in range(rng.integers(1, 20))]
    shapes += [_river(rng, height, width) for _ in range(rng.integers(0, 3))]
    if rng.random() < 0.4:
        shapes += _row_of_neighbours(rng, height, width)
    for mask in shapes:
        label = int(rng.integers(0, 2))
        mask = mask if may_overlap else mask & ~taken[label]
        taken[label] |= mask
        numbers, count = ndimage.label(mask)
        for number in range(1, count + 1):
            score = 1 - 1 / (len(objects) + 2)
            objects.append(true_object(label, score, numbers == number))
    kind: Merge = "stuff" if in_parts else "things"
    return TrueScene(objects, grid, [kind, kind])


def _shape(rng: np.random.Generator, height: int, width: int, largest: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    tall, broad = rng.integers(1, largest + 1, 2)
    top, left = rng.integers(-(tall // 2), height), rng.integers(-(broad // 2), width)
    mask[max(top, 0) : top + tall, max(left, 0) : left + broad] = True
    if rng.random() < 0.4 and tall > 4 and broad > 4:
        # A ring, or a bend open below.
        bottom = top + tall - int(rng.random() < 0.5)
        mask[max(top + 1, 0) : bottom, max(left + broad // 3, 0) : left + 2 * broad // 3] = False
    return mask


def _river(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    row = int(rng.integers(0, height))
    for column in range(width):
        row = int(np.clip(row + rng.integers(-1, 2), 0, height - 2))
        mask[row : row + 2, column] = True
    return mask


def _row_of_neighbours(rng: np.random.Generator, height: int, width: int) -> list[np.ndarray]:
    masks = []
    top, tall, broad = rng.integers(0, height), rng.integers(2, 30), rng.integers(1, 9)
    for left in range(0, width, int(broad)):
        mask = np.zeros((height, width), dtype=bool)
        mask[top : top + tall, left : left + broad] = True
        masks.append(mask)
    return masks


class Jittered(TruthInWindow):
    """The truth, in each tile moved by up to a pixel and scored a little differently.

    Args:
        objects: Of the scene.
        seed: Of what differs.
    """

    def __init__(self, objects: Sequence[TrueObject], seed: int) -> None:
        super().__init__(objects)
        self.seed = seed

    def _find(self, window: Window) -> Iterator[Found]:
        rng = np.random.default_rng([self.seed, window.top, window.left])
        for one in self.objects:
            down, right = (int(step) for step in rng.integers(-1, 2, 2))
            score = float(np.clip(one.score + rng.uniform(-0.05, 0.05), 0, 1))
            box = one.window
            moved = Window(box.top + down, box.left + right, box.bottom + down, box.right + right)
            common = moved.intersection(window)
            if not common.is_empty:
                mask = one.mask[common.slices_in(moved)]
                yield Found(
                    one.label, score, mask, common.top - window.top, common.left - window.left
                )


def spaced_scene(seed: int) -> TrueScene:
    """Draws boxes of one class with at least four pixels between them, up to scene-wide.

    Args:
        seed: Of the scene.
    """
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(60, 161, 2))
    grid = TileGrid(height, width, int(rng.integers(40, 61)), int(rng.integers(12, 20)))
    taken = np.zeros((height, width), dtype=bool)
    objects: list[TrueObject] = []
    for _ in range(25):
        tall, broad = (int(side) for side in rng.integers(7, rng.choice([15, 100]), 2))
        top, left = int(rng.integers(2, height - 9)), int(rng.integers(2, width - 9))
        mask = np.zeros((height, width), dtype=bool)
        mask[top : min(top + tall, height - 2), left : min(left + broad, width - 2)] = True
        around = np.zeros((height, width), dtype=bool)
        around[max(top - 4, 0) : top + tall + 4, max(left - 4, 0) : left + broad + 4] = True
        if not (around & taken).any():
            taken |= mask
            objects.append(true_object(0, 0.5 + 0.4 * rng.random(), mask))
    return TrueScene(objects, grid, ["things"])
