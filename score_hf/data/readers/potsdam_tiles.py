"""Potsdam's 38 tiles: which they are, what their colours mean, and patches cut out of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..records import IGNORED, Dropped, ImageRecord
from .folders import folders_beneath
from .label_images import (
    IMAGE_DAMAGED,
    LABEL_DAMAGED,
    UNKNOWN_VALUES,
    decode,
    look_up,
    size_of,
    value_table,
)

_TRAIN = (
    *((row, column) for row in (2, 3, 4, 5) for column in (10, 11, 12)),
    *((row, column) for row in (6, 7) for column in (7, 8, 9, 10, 11, 12)),
)
_VAL = (
    *((row, column) for row in (2, 3) for column in (13, 14)),
    *((row, column) for row in (4, 5, 6) for column in (13, 14, 15)),
    (7, 13),
)
SPLITS = {"train": _TRAIN, "val": _VAL, "whole": tuple(sorted(_TRAIN + _VAL))}
# Red, green, blue of the five classes that count, in the order of their indices.
_CLASSES = ((255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0))
_CLUTTER = (255, 0, 0)
# Of objects, where they are left out.
_BOUNDARY = (0, 0, 0)
_TILE = re.compile(r"top_potsdam_(\d+)_(\d+)_(RGB|label|label_noBoundary)\.tif", re.IGNORECASE)
# Room for the patches of one tile, however small, in the numbering of images.
_IDS_A_TILE = 10_000
MIN_PATCH_SIZE = 64


@dataclass(frozen=True)
class Tile:
    """One of the 38 tiles.

    Attributes:
        row: First number of its name.
        column: Second number of its name.
        image: Its RGB file.
        label: Its colour-coded file.
    """

    row: int
    column: int
    image: Path
    label: Path


@dataclass(frozen=True)
class Patch:
    """A part of a tile; the last of a row or column lies within the tile, over the one before.

    Attributes:
        tile: The tile.
        image_id: Its number, the same whatever the split.
        left: First column.
        top: First row.
        right: First column after it.
        bottom: First row after it.
    """

    tile: Tile
    image_id: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def file_name(self) -> str:
        """The name that mmsegmentation and GSNet give it."""
        place = (self.tile.row, self.tile.column, self.left, self.top, self.right, self.bottom)
        return "_".join(map(str, place)) + ".png"


def find_tiles(root: Path, split: str, boundaries: str) -> list[Tile]:
    """Finds the files of a split, in the folder or in those in it.

    Args:
        root: The folder that the user named.
        split: "train", "val" or "whole".
        boundaries: "ignored" for the labels without the boundaries of objects, or "labelled".

    Raises:
        FileNotFoundError: If a tile is missing.
        ValueError: If a tile is there twice.
    """
    label_kind = "label_noboundary" if boundaries == "ignored" else "label"
    found: dict[str, dict[tuple[int, int], Path]] = {"rgb": {}, label_kind: {}}
    for folder in folders_beneath(root):
        for path in folder.iterdir():
            match = _TILE.fullmatch(path.name)
            kind = match[3].lower() if match else ""
            if match is None or kind not in found:
                continue
            place = (int(match[1]), int(match[2]))
            if place in found[kind]:
                raise ValueError(
                    f"`root` has two files for one tile, '{found[kind][place]}' and '{path}'; "
                    "keep one."
                )
            found[kind][place] = path
    wanted = SPLITS[split]
    names = {"rgb": "RGB", "label": "label", "label_noboundary": "label_noBoundary"}
    for kind, files in found.items():
        missing = [place for place in wanted if place not in files]
        if missing:
            first = "top_potsdam_{}_{}_{}.tif".format(*missing[0], names[kind])
            raise FileNotFoundError(
                f"`root` lacks {len(missing)} of the {len(wanted)} tiles of '{split}', '{first}' "
                f"first, in '{root}' and the folders in it; unpack 2_Ortho_RGB.zip and "
                f"5_Labels_all{'_noBoundary' if kind == 'label_noboundary' else ''}.zip there."
            )
    return [Tile(*place, found["rgb"][place], found[label_kind][place]) for place in wanted]


def cut_patches(tiles: Sequence[Tile], patch_size: int) -> list[Patch]:
    """Lists the patches of tiles, row by row and without overlap.

    Args:
        tiles: The tiles.
        patch_size: Height and width of a patch, in pixels.

    Raises:
        ValueError: If a file is damaged, or an image and its label differ in size.
    """
    patches = []
    for tile in tiles:
        try:
            size, label_size = size_of(tile.image), size_of(tile.label)
        except OSError as error:
            raise ValueError(
                f"`root` has a damaged tile: {error} Download and unpack it again."
            ) from error
        if size != label_size:
            raise ValueError(
                f"`root` has the tile '{tile.image}' with height and width {size}, but its label "
                f"'{tile.label}' has {label_size}; download and unpack both again."
            )
        height, width = size
        first_id = SPLITS["whole"].index((tile.row, tile.column)) * _IDS_A_TILE
        windows = [
            (top, left)
            for top in _starts(height, patch_size)
            for left in _starts(width, patch_size)
        ]
        for number, (top, left) in enumerate(windows):
            bottom, right = min(top + patch_size, height), min(left + patch_size, width)
            patches.append(Patch(tile, first_id + number, left, top, right, bottom))
    return patches


class PatchReader:
    """Cuts patches out of tiles; called with one patch after another, it opens each tile once.

    Args:
        clutter: Class index of clutter, or 255.
    """

    def __init__(self, clutter: int) -> None:
        self._table = _colour_table(clutter)
        self._tile: Tile | None = None
        self._image = self._colours = np.zeros((0, 0, 3), dtype=np.uint8)
        self._fault: str | None = None

    def __call__(self, patch: Patch) -> Iterator[ImageRecord | Dropped]:
        """Reads a patch.

        Args:
            patch: Where it lies.

        Yields:
            The patch, or why there is none.
        """
        if patch.tile != self._tile:
            self._open(patch.tile)
        if self._fault is not None:
            yield Dropped(patch.file_name, self._fault)
            return
        rows, columns = slice(patch.top, patch.bottom), slice(patch.left, patch.right)
        label, has_unknown = look_up(_codes(self._colours[rows, columns]), self._table)
        yield ImageRecord(
            image_id=patch.image_id,
            file_name=patch.file_name,
            image=Image.fromarray(self._image[rows, columns]),
            width=patch.right - patch.left,
            height=patch.bottom - patch.top,
            label=label,
            altered=(UNKNOWN_VALUES,) if has_unknown else (),
        )

    def _open(self, tile: Tile) -> None:
        self._tile, self._fault = tile, IMAGE_DAMAGED
        try:
            self._image = decode(tile.image, "RGB")
            self._fault = LABEL_DAMAGED
            self._colours = decode(tile.label, "RGB")
            self._fault = None
        except OSError:
            pass


def _starts(length: int, patch_size: int) -> list[int]:
    last = max(length - patch_size, 0)
    return [*range(0, last, patch_size), last]


def _codes(colours: np.ndarray) -> np.ndarray:
    """Numbers the eight colours whose channels are all 0 or 255; 255 is any other colour."""
    bright = colours == 255
    pure = (bright | (colours == 0)).all(axis=-1)
    codes = bright @ np.array([4, 2, 1], dtype=np.uint8)
    return np.where(pure, codes, 255).astype(np.uint8)


def _colour_table(clutter: int) -> np.ndarray:
    indices = [*range(len(_CLASSES)), clutter, IGNORED]
    codes = _codes(np.array([*_CLASSES, _CLUTTER, _BOUNDARY], dtype=np.uint8))
    return value_table(dict(zip(codes.tolist(), indices, strict=True)))
