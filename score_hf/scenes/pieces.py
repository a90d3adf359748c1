"""What a tile shows and what was found in it."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .grid import TileGrid, Window


@dataclass(frozen=True)
class Tile:
    """A part of a scene, as a predictor is given it.

    Args:
        image: `(height, width, 3)` uint8; pixels without data have the scene's mean colour.
        window: Where it lies in the scene's model grid.
        valid: `(height, width)` bool, the pixels that hold data; None if all do.
    """

    image: np.ndarray
    window: Window
    valid: np.ndarray | None = None


class RunnerUp(NamedTuple):
    """The class that an instance would have had next, by its index, and with which score."""

    label: int
    score: float


@dataclass(frozen=True)
class Found:
    """An instance that a predictor found in a tile.

    Args:
        label: Index of its class.
        score: Between 0 and 1.
        mask: Boolean mask of the tile, or of the part of it that begins at `top`, `left`.
        top: Row of the tile at which the mask begins.
        left: Column of the tile at which the mask begins.
        runner_up: The class that it would have had next; None if that is not known.
    """

    label: int
    score: float
    mask: np.ndarray
    top: int = 0
    left: int = 0
    runner_up: RunnerUp | None = None


# Anybody's model: some tiles in, for each of them what was found in it.
Predictor = Callable[[Sequence[Tile]], Sequence[Sequence[Found]]]


@dataclass(slots=True, eq=False)
class Piece:
    """What one tile shows of an object, in pixels of the scene.

    Args:
        label: Index of its class.
        score: Between 0 and 1.
        top: Row of the scene at which the mask begins.
        left: Column of the scene at which the mask begins.
        mask: Boolean mask, `(height, width)`, without empty rows or columns around it.
        touches_border: Whether it touches the scene's border or pixels without data.
        runner_up: The class that it would have had next; None if that is not known.
        row: Row of its tile.
        column: Column of its tile.
        number: Orders the pieces of a scene.
        is_cut: Whether the object may go on beyond what the tile shows.
    """

    label: int
    score: float
    top: int
    left: int
    mask: np.ndarray
    touches_border: bool = False
    runner_up: RunnerUp | None = None
    row: int = 0
    column: int = 0
    number: int = 0
    is_cut: bool = False
    window: Window = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.mask.shape
        self.window = Window(self.top, self.left, self.top + height, self.left + width)

    @property
    def tile(self) -> tuple[int, int]:
        return self.row, self.column

    def crop(self, window: Window) -> np.ndarray:
        """The mask inside a window of the scene; empty where they do not meet."""
        common = self.window.intersection(window)
        if common.is_empty:
            return np.zeros((0, 0), dtype=bool)
        return self.mask[common.slices_in(self.window)]

    def count(self, window: Window) -> int:
        """How many of its pixels lie in a window of the scene."""
        return int(np.count_nonzero(self.crop(window)))

    def common_pixels(self, other: "Piece", window: Window) -> int:
        """How many pixels of a window belong to both."""
        window = self.window.intersection(other.window).intersection(window)
        if window.is_empty:
            return 0
        mine = self.mask[window.slices_in(self.window)]
        return int(np.count_nonzero(mine & other.mask[window.slices_in(other.window)]))


class PackedPiece:
    """A piece that is only kept, in a fraction of the memory.

    Args:
        piece: What to keep.
    """

    __slots__ = ("_bits", "_fields", "_shape", "window")

    def __init__(self, piece: Piece) -> None:
        names = [name for name in Piece.__slots__ if name not in ("mask", "window")]
        self.window = piece.window
        self._fields: dict[str, Any] = {name: getattr(piece, name) for name in names}
        self._shape = piece.mask.shape
        self._bits = zlib.compress(np.packbits(piece.mask).tobytes(), 1)

    def unpack(self) -> Piece:
        """The piece as it was."""
        bits = np.frombuffer(zlib.decompress(self._bits), dtype=np.uint8)
        mask = np.unpackbits(bits, count=self._shape[0] * self._shape[1]).view(bool)
        return Piece(mask=mask.reshape(self._shape), **self._fields)


def trimmed(mask: np.ndarray, top: int, left: int) -> tuple[np.ndarray, int, int] | None:
    """Cuts empty rows and columns off a mask; None if nothing is left."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inner, top + int(rows[0]), left + int(columns[0])


def make_pieces(
    tile: Tile, found: Sequence[Found], grid: TileGrid, classes: int | None = None
) -> list[Piece]:
    """Brings what a predictor found in a tile into the scene's pixels.

    Masks lose the pixels that hold no data; what is then empty is left out.

    Args:
        tile: What the predictor was given.
        found: What it returned.
        grid: The tiles of the scene.
        classes: How many classes there are; None: any number.

    Returns:
        One piece an instance, in the predictor's order.

    Raises:
        TypeError: If a mask is no boolean array.
        ValueError: If a mask does not fit the tile, a score is no number from 0 to 1, or a label is
            that of no class.
    """
    window, pieces = tile.window, []
    # What lies within one pixel of missing data touches it.
    gaps = None if tile.valid is None or tile.valid.all() else _grown(~tile.valid)
    for instance in found:
        mask = _check(instance, window, classes)
        top, left = window.top + instance.top, window.left + instance.left
        place = Window(top, left, top + mask.shape[0], left + mask.shape[1])
        if gaps is not None and tile.valid is not None:
            mask = mask & tile.valid[place.slices_in(window)]
        inner = trimmed(mask, top, left)
        if inner is None:
            continue
        piece = Piece(instance.label, float(instance.score), inner[1], inner[2], inner[0].copy())
        piece.runner_up = instance.runner_up
        place = piece.window
        piece.touches_border = (
            place.top == 0
            or place.left == 0
            or place.bottom == grid.height
            or place.right == grid.width
            or (gaps is not None and bool((piece.mask & gaps[place.slices_in(window)]).any()))
        )
        pieces.append(piece)
    return pieces


def _check(instance: Found, window: Window, classes: int | None) -> np.ndarray:
    mask = instance.mask
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 2:
        kind = f"{mask.dtype} array" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(
            f"The predictor must return masks as boolean arrays (height, width), but got a {kind}."
        )
    if (
        min(instance.top, instance.left) < 0
        or instance.top + mask.shape[0] > window.height
        or instance.left + mask.shape[1] > window.width
    ):
        raise ValueError(
            f"The predictor must return masks inside the tile of {window.height} x {window.width} "
            f"pixels, but got one of {mask.shape[0]} x {mask.shape[1]} at row {instance.top}, "
            f"column {instance.left}."
        )
    if not 0 <= instance.score <= 1:
        raise ValueError(
            f"The predictor must return scores between 0 and 1, but got {instance.score!r}."
        )
    labels = [instance.label]
    if instance.runner_up is not None:
        labels.append(instance.runner_up.label)
    for label in labels:
        if label < 0 or (classes is not None and label >= classes):
            most = "" if classes is None else f" to {classes - 1}"
            raise ValueError(f"The predictor must return labels from 0{most}, but got {label}.")
    return mask


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask and the pixels above, below, left and right of it."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
