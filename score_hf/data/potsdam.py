"""ISPRS Potsdam: tiles of a town with colour-coded land cover, cut into patches."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from .folders import check_pairs, check_root, check_split, find_layout, folders_beneath, image_files
from .label_images import (
    IMAGE_DAMAGED,
    LABEL_DAMAGED,
    SIZES_DIFFER,
    UNKNOWN_VALUES,
    Pair,
    decode,
    look_up,
    pair_up,
    read_pair,
    value_table,
)
from .records import IGNORED, Dropped, ImageRecord, SourceSplit
from .semantic_sets import POTSDAM

_TRAIN = (
    *((row, column) for row in (2, 3, 4, 5) for column in (10, 11, 12)),
    *((row, column) for row in (6, 7) for column in (7, 8, 9, 10, 11, 12)),
)
_VAL = (
    *((row, column) for row in (2, 3) for column in (13, 14)),
    *((row, column) for row in (4, 5, 6) for column in (13, 14, 15)),
    (7, 13),
)
_SPLITS = {"train": _TRAIN, "val": _VAL, "all": tuple(sorted(_TRAIN + _VAL))}
_CLUTTER = len(POTSDAM.class_names)
# Red, green, blue: the five classes that count, clutter, and the boundaries of objects.
_COLOURS = (
    (255, 255, 255),
    (0, 0, 255),
    (0, 255, 255),
    (0, 255, 0),
    (255, 255, 0),
    (255, 0, 0),
)
_BOUNDARY = (0, 0, 0)
_TILE = re.compile(r"top_potsdam_(\d+)_(\d+)_(RGB|label|label_noBoundary)\.tif", re.IGNORECASE)
# Room for the patches of one tile, however small, in the numbering of images.
_IDS_A_TILE = 10_000
_MIN_PATCH_SIZE = 64


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


def read_potsdam(
    root: str | os.PathLike[str],
    split: str = "all",
    unscored: Literal["ignore", "keep"] = "ignore",
    boundaries: Literal["ignored", "labelled"] = "ignored",
    patch_values: Literal["gsnet", "mmseg"] | None = None,
    patch_size: int = 512,
) -> SourceSplit:
    """Reads Potsdam from ISPRS's tiles, or patches that GSNet or mmsegmentation have cut.

    Args:
        root: A folder that holds `2_Ortho_RGB` and `5_Labels_all_noBoundary`, unpacked; or
            `img_dir` and `ann_dir`.
        split: "train" (24 tiles), "val" (14), or "all": 38 tiles give the 5,472 patches that the
            paper states.
        unscored: What becomes of clutter: "ignore" it as GSNet does, or "keep" it as a sixth
            class.
        boundaries: "ignored" reads the labels without the boundaries of objects (noBoundary),
            which GSNet's are made of; "labelled" those of `5_Labels_all`.
        patch_values: Who made the labels of `ann_dir`: "gsnet" counts classes from 0, "mmseg" from
            1 with 0 for boundaries. Needed if there are such patches, as they look alike.
        patch_size: Height and width of the patches that tiles are cut into, in pixels.

    Returns:
        The split, label images with the 5 classes that GSNet scores. A key is a tile, which gives
        many patches, or a finished patch.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split, or `patch_values` is missing.
    """
    check_split(split, tuple(_SPLITS))
    if patch_size < _MIN_PATCH_SIZE:
        raise ValueError(
            f"`patch_size` must be at least {_MIN_PATCH_SIZE} pixels, but got {patch_size}."
        )
    folder = check_root(root)
    clutter = IGNORED if unscored == "ignore" else _CLUTTER
    patches = _patch_folders(folder, split)
    notes = ["clutter is " + ("ignored" if unscored == "ignore" else "a class")]
    if patches:
        if patch_values is None:
            raise ValueError(
                f"`patch_values` must say whether the patches in '{patches[0][1]}' are of 'gsnet' "
                "(classes from 0, 5 is clutter) or of 'mmseg' (classes from 1, 0 is a boundary)."
            )
        table = value_table(
            {index: index for index in range(_CLUTTER)} | {_CLUTTER: clutter, IGNORED: IGNORED}
            if patch_values == "gsnet"
            else {index + 1: index for index in range(_CLUTTER)} | {6: clutter, 0: IGNORED}
        )
        images: dict[str, Path] = {}
        labels: dict[str, Path] = {}
        for image_folder, label_folder in patches:
            images |= image_files(image_folder)
            labels |= image_files(label_folder)
            check_pairs(images, labels, f"'{image_folder}' and '{label_folder}'")
        keys: list[Pair] | list[Tile] = pair_up(images, labels)
        read: Callable[[Any], Iterator[ImageRecord | Dropped]] = partial(read_pair, table=table)
    else:
        keys = _tiles(folder, split, boundaries)
        read = partial(read_tile, clutter=clutter, patch_size=patch_size)
        notes.append(f"tiles are cut into patches of {patch_size} pixels without overlap")
        notes.append(f"boundaries of objects are {boundaries}")
    return SourceSplit(
        name=POTSDAM.name,
        split=split,
        class_names=POTSDAM.class_names if unscored == "ignore" else POTSDAM.all_names,
        kind="semantic",
        keys=keys,
        read=read,
        paper_count=POTSDAM.paper_images if split == POTSDAM.split else None,
        notes=tuple(notes),
        settings={
            "unscored": unscored,
            "boundaries": boundaries,
            "patch_values": str(patch_values),
            "patch_size": str(patch_size),
        },
    )


def _patch_folders(root: Path, split: str) -> list[tuple[Path, Path]]:
    parts = ("train", "val") if split == "all" else (split,)
    found = []
    for part in parts:
        names = (f"img_dir/{part}", f"ann_dir/{part}")
        base = find_layout(root, names)
        if base is not None:
            found.append((base / names[0], base / names[1]))
    return found


def _tiles(root: Path, split: str, boundaries: str) -> list[Tile]:
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
    wanted = _SPLITS[split]
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


def read_tile(tile: Tile, clutter: int, patch_size: int) -> Iterator[ImageRecord | Dropped]:
    """Cuts a tile into patches without overlap, the last of a row or column shifted back inside.

    Args:
        tile: Its files.
        clutter: Class index of clutter, or 255.
        patch_size: Height and width of a patch, in pixels.

    Yields:
        The patches row by row, named as mmsegmentation and GSNet name them,
        `{row}_{column}_{x0}_{y0}_{x1}_{y1}.png`; or why there are none.
    """
    try:
        image = decode(tile.image, "RGB")
    except OSError:
        yield Dropped(tile.image.name, IMAGE_DAMAGED)
        return
    try:
        colours = decode(tile.label, "RGB")
    except OSError:
        yield Dropped(tile.image.name, LABEL_DAMAGED)
        return
    if image.shape != colours.shape:
        yield Dropped(tile.image.name, SIZES_DIFFER)
        return
    table = _colour_table(clutter)
    height, width = image.shape[:2]
    first_id = _SPLITS["all"].index((tile.row, tile.column)) * _IDS_A_TILE
    windows = [
        (top, left) for top in _starts(height, patch_size) for left in _starts(width, patch_size)
    ]
    for number, (top, left) in enumerate(windows):
        bottom, right = min(top + patch_size, height), min(left + patch_size, width)
        label, has_unknown = look_up(_codes(colours[top:bottom, left:right]), table)
        yield ImageRecord(
            image_id=first_id + number,
            file_name=f"{tile.row}_{tile.column}_{left}_{top}_{right}_{bottom}.png",
            image=Image.fromarray(image[top:bottom, left:right]),
            width=right - left,
            height=bottom - top,
            label=label,
            altered=(UNKNOWN_VALUES,) if has_unknown else (),
        )


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
    indices = [*range(_CLUTTER), clutter, IGNORED]
    codes = _codes(np.array([*_COLOURS, _BOUNDARY], dtype=np.uint8))
    return value_table(dict(zip(codes.tolist(), indices, strict=True)))
