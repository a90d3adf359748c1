"""The plan of a scene: overlapping tiles on one pixel grid, and which tile owns which pixel."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..processing.predictions import check_count


class Window(NamedTuple):
    """A rectangle of pixels; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return max(self.bottom - self.top, 0)

    @property
    def width(self) -> int:
        return max(self.right - self.left, 0)

    @property
    def is_empty(self) -> bool:
        return self.bottom <= self.top or self.right <= self.left

    def intersection(self, other: "Window") -> "Window":
        """The part that both have in common, which may be empty."""
        return Window(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def moved(self, down: int, right: int) -> "Window":
        """The same rectangle elsewhere."""
        return Window(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def contains(self, other: "Window") -> bool:
        return self.intersection(other) == other

    def slices_in(self, other: "Window") -> tuple[slice, slice]:
        """Rows and columns of this window in an array that shows `other`, which contains it."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )


_MOST_ALONG_A_SIDE = 100_000


@dataclass(frozen=True)
class _Side:
    """The tiles along one side: where they start and end, and where ownership changes."""

    starts: list[int]
    ends: list[int]
    borders: list[int]


def _divide(length: int, tile: int, overlap: int) -> _Side:
    if length <= tile:
        return _Side([0], [length], [0, length])
    # The last tile is moved back so that it ends with the scene: all tiles have one size.
    starts = [*range(0, length - tile, tile - overlap), length - tile]
    ends = [start + tile for start in starts]
    middles = [(end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)]
    return _Side(starts, ends, [0, *middles, length])


class TileGrid:
    """Overlapping tiles of one size that cover a scene.

    The cores of the tiles share out the scene without gap or overlap: borders run through the
    middle of each overlap, so that every pixel is owned by the tile that sees it most centrally.

    Args:
        height: Of the scene in pixels.
        width: Of the scene in pixels.
        tile_size: Side of a tile in pixels; a scene that is smaller gets smaller tiles.
        overlap: How many pixels neighbouring tiles share at least.

    Raises:
        ValueError: If there is no pixel, no tile, the tile is no larger than the overlap, or there
            would be far too many tiles.
    """

    def __init__(self, height: int, width: int, tile_size: int, overlap: int) -> None:
        self.height, self.width = check_count(height, "height"), check_count(width, "width")
        self.tile_size = check_count(tile_size, "tile_size")
        self.overlap = check_count(overlap, "overlap")
        if overlap >= tile_size:
            raise ValueError(
                f"`tile_size` must be larger than `overlap`, but got tiles of {tile_size} pixels "
                f"that overlap by {overlap}."
            )
        self._check_number()
        self._down = _divide(height, tile_size, overlap)
        self._across = _divide(width, tile_size, overlap)
        self.rows, self.columns = len(self._down.starts), len(self._across.starts)

    def _check_number(self) -> None:
        step = self.tile_size - self.overlap
        most = max(self.height, self.width) // step
        if most > _MOST_ALONG_A_SIDE:
            raise ValueError(
                f"`tile_size` of {self.tile_size} with an `overlap` of {self.overlap} makes "
                f"{most:,} tiles along a side of the scene of {self.width} x {self.height} pixels, "
                f"more than {_MOST_ALONG_A_SIDE:,}: take larger tiles."
            )

    def __len__(self) -> int:
        return self.rows * self.columns

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile, row by row."""
        return ((row, column) for row in range(self.rows) for column in range(self.columns))

    def window(self, row: int, column: int) -> Window:
        """What the tile shows."""
        down, across = self._down, self._across
        return Window(down.starts[row], across.starts[column], down.ends[row], across.ends[column])

    def core(self, row: int, column: int) -> Window:
        """The pixels that the tile owns."""
        down, across = self._down.borders, self._across.borders
        return Window(down[row], across[column], down[row + 1], across[column + 1])

    def inner_sides(self, row: int, column: int) -> tuple[bool, bool, bool, bool]:
        """Whether the scene goes on beyond the tile's top, left, bottom and right side."""
        return row > 0, column > 0, row + 1 < self.rows, column + 1 < self.columns

    def unshared(self, row: int, column: int) -> Window:
        """The part of the tile that no tile beside, above or below it shows.

        It is empty where neighbours leave nothing of the tile to itself.
        """
        above, before, below, after = self.inner_sides(row, column)
        own = self.window(row, column)
        return Window(
            self._down.ends[row - 1] if above else own.top,
            self._across.ends[column - 1] if before else own.left,
            self._down.starts[row + 1] if below else own.bottom,
            self._across.starts[column + 1] if after else own.right,
        )
