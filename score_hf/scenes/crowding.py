"""Tiles with more objects than a network can name: seen again in closer views."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .grid import TileGrid, Window
from .matching import MatchingRule, Merge
from .pieces import Found, Piece, Predictor, Tile, make_pieces
from .stitching import stitch

# What counts towards the capacity of a network, and how much of it may be used.
_CLEAR_SCORE, _USED_UP = 0.3, 0.95
# A view of five eighths of the side: two of them cover it and share a quarter.
_EIGHTHS, _DEEPEST, _SMALLEST = 5, 2, 64


class CrowdSplitter:
    """A predictor that looks closer where another one has run out of queries.

    A network finds a fixed number of objects at most; a car park has more. Where nearly all are
    used, the tile is seen again in four overlapping quarters, enlarged to the size of the tile, and
    what these show is put together as tiles are; quarters that are crowded are split once more.

    Args:
        predictor: Finds instances.
        capacity: How many it can find in a tile.
        merge: For each class how what the quarters show is merged; see `MatchingRule`.
    """

    def __init__(self, predictor: Predictor, capacity: int, merge: Sequence[Merge]) -> None:
        self.predictor, self.capacity, self.merge = predictor, capacity, merge
        self.split_tiles = 0

    def __call__(self, tiles: Sequence[Tile]) -> list[list[Found]]:
        """Finds instances; see `Predictor`."""
        results = []
        for tile, found in zip(tiles, self.predictor(tiles), strict=True):
            if self._is_crowded(found):
                self.split_tiles += 1
                results.append(self._look_closer(tile, found, _DEEPEST))
            else:
                results.append(list(found))
        return results

    def _is_crowded(self, found: Sequence[Found]) -> bool:
        return sum(one.score >= _CLEAR_SCORE for one in found) >= _USED_UP * self.capacity

    def _look_closer(self, tile: Tile, found: Sequence[Found], depth: int) -> list[Found]:
        height, width = tile.window.height, tile.window.width
        side = max(height, width) * _EIGHTHS // 8
        if depth == 0 or side < _SMALLEST:
            return list(found)
        grid = TileGrid(height, width, side, max(1, side // 5))

        def read_quarter(row: int, column: int) -> list[Piece]:
            window = grid.window(row, column)
            closer = _enlarged(tile, window, (height, width))
            (seen,) = self.predictor([closer])
            if self._is_crowded(seen):
                seen = self._look_closer(closer, seen, depth - 1)
            shrunk = [_shrunk(one, closer.window, window) for one in seen]
            return make_pieces(Tile(closer.image, window), shrunk, grid)

        objects = stitch(grid, read_quarter, MatchingRule(self.merge))
        return [
            Found(one.label, one.score, one.mask(), one.window.top, one.window.left, one.runner_up)
            for one in objects
        ]


def _enlarged(tile: Tile, window: Window, size: tuple[int, int]) -> Tile:
    part = tile.image[window.top : window.bottom, window.left : window.right]
    scale = min(size[0] / window.height, size[1] / window.width)
    height, width = round(window.height * scale), round(window.width * scale)
    image = np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BICUBIC))
    return Tile(image, Window(0, 0, height, width))


def _shrunk(found: Found, seen: Window, window: Window) -> Found:
    mask = np.zeros((seen.height, seen.width), dtype=np.uint8)
    height, width = found.mask.shape
    mask[found.top : found.top + height, found.left : found.left + width] = 255 * found.mask
    shrunk = Image.fromarray(mask).resize((window.width, window.height), Image.Resampling.BOX)
    return Found(found.label, found.score, np.asarray(shrunk) >= 128, runner_up=found.runner_up)
