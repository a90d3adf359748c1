"""ISPRS Potsdam: tiles of a town with colour-coded land cover, cut into patches."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..records import IGNORED, Dropped, ImageRecord, SourceSplit
from ..semantic_sets import POTSDAM
from .folders import check_pairs, check_root, check_split, find_layout, image_files
from .label_images import Pair, pair_up, read_pair, value_table
from .potsdam_tiles import MIN_PATCH_SIZE, SPLITS, Patch, PatchReader, cut_patches, find_tiles

_CLUTTER = len(POTSDAM.class_names)


def read_potsdam(
    root: str | os.PathLike[str],
    split: str = "whole",
    unscored: Literal["ignore", "keep"] = "ignore",
    boundaries: Literal["ignored", "labelled"] = "ignored",
    patch_values: Literal["gsnet", "mmseg"] | None = None,
    patch_size: int = 512,
) -> SourceSplit:
    """Reads Potsdam from ISPRS's tiles, or patches that GSNet or mmsegmentation have cut.

    Args:
        root: A folder that holds `2_Ortho_RGB` and `5_Labels_all_noBoundary`, unpacked; or
            `img_dir` and `ann_dir`.
        split: "train" (24 tiles), "val" (14), or "whole": 38 tiles give the 5,472 patches that the
            paper states.
        unscored: What becomes of clutter: "ignore" it as GSNet does, or "keep" it as a sixth
            class.
        boundaries: "ignored" reads the labels without the boundaries of objects (noBoundary), as
            mmsegmentation's patches have them (of GSNet's it is not known); "labelled" those of
            `5_Labels_all`.
        patch_values: Who made the labels of `ann_dir`: "gsnet" counts classes from 0, "mmseg" from
            1 with 0 for boundaries. Needed if there are such patches, as they look alike.
        patch_size: Height and width of the patches that tiles are cut into, in pixels.

    Returns:
        The split, label images with the 5 classes that GSNet scores.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split, or `patch_values` is missing.
    """
    check_split(split, tuple(SPLITS))
    if patch_size < MIN_PATCH_SIZE:
        raise ValueError(
            f"`patch_size` must be at least {MIN_PATCH_SIZE} pixels, but got {patch_size}."
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
        keys: list[Pair] | list[Patch] = pair_up(images, labels)
        read: Callable[[Any], Iterator[ImageRecord | Dropped]] = partial(read_pair, table=table)
    else:
        keys = cut_patches(find_tiles(folder, split, boundaries), patch_size)
        read = PatchReader(clutter)
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
    parts = ("train", "val") if split == "whole" else (split,)
    found = []
    for part in parts:
        names = (f"img_dir/{part}", f"ann_dir/{part}")
        base = find_layout(root, names)
        if base is not None:
            found.append((base / names[0], base / names[1]))
    return found
