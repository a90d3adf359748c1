"""SAMRS: SIOR, SOTA and FAST, whose masks SAM made from the boxes of DIOR, DOTA and FAIR1M."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ...processing.run_lengths import area_of
from .. import categories
from ..records import IGNORED, Dropped, ImageRecord, Kind, ObjectRecord, SourceSplit
from .folders import check_root, check_split
from .label_images import IMAGE_DAMAGED, Pair, read_pair, size_of, value_table
from .samrs_folders import annotations_of, folder_of, scan, stems_of
from .samrs_pickle import read_objects

Subset = Literal["sior", "sota", "fast"]
_CLASSES = {"sior": categories.SIOR, "sota": categories.SOTA, "fast": categories.FAST}
_SPLITS = ("train", "val", "whole")
_PAPER_COUNTS = {
    ("sior", "train"): 11_725,
    ("sior", "val"): 11_738,
    ("sota", "val"): 874,
    ("fast", "val"): 3_207,
}

EMPTY_MASK = "empty mask"
OTHER_MASK_SIZE = "mask of another size than its image"
MASK_DAMAGED = "mask cannot be decoded"
NO_CLASS = "class number that the data set does not have"
ANNOTATIONS_DAMAGED = "annotation file cannot be decoded"


def read_samrs(
    root: str | os.PathLike[str],
    split: str,
    subset: Subset,
    kind: Kind = "instance",
    image_list: str | os.PathLike[str] | None = None,
) -> SourceSplit:
    """Reads a subset of SAMRS: `ins/*.pkl` or, as a semantic set, `gray/*.png`.

    The images of a subset may lie anywhere below `root`; they belong to annotations by their names.
    The pickles are read without running anything that is in them.

    Args:
        root: A folder that holds the subset's images and one set of `gray`, `color` and `ins`; or
            several subsets in the folders dior, dotav2_1024 and fair1m_1024, or SIOR, SOTA and
            FAST.
        split: "train", "val" or "whole". Of SIOR the division of DIOR, as the paper's counts are:
            images up to 11725 and those after. Of the others the authors' train.txt and valid.txt.
        subset: Which of the three.
        kind: "instance", or "semantic" as FAST is in the paper's Table A.
        image_list: A text file that names the images of the split, one a line, without suffix, in
            place of that division.

    Returns:
        The split. An image without annotation file has no box: SAMRS's programs write none then.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split, or several data sets are in the folder.
    """
    check_split(split, _SPLITS)
    if subset not in _CLASSES:
        raise ValueError(f"`subset` must be 'sior', 'sota' or 'fast', but got {subset!r}.")
    files = scan(folder_of(check_root(root), subset))
    stems, division = stems_of(files, split, subset, image_list)
    annotations = annotations_of(files, "ins" if kind == "instance" else "gray")
    absent = sum(stem not in annotations for stem in stems)
    if absent == len(stems):
        raise FileNotFoundError(
            f"`root` has no annotation of any of the {len(stems)} images of {split!r} below "
            f"'{files.folder}'; unpack the annotations of the same subset there."
        )
    notes = [f"split by {division}"]
    keys: list[AnnotatedImage] | list[Pair]
    if kind == "instance":
        keys = [
            AnnotatedImage(number, files.images[stem], annotations.get(stem))
            for number, stem in enumerate(stems)
        ]
        read: Any = partial(read_image, class_names=_CLASSES[subset])
        outcome = "have no annotation file, so no objects"
    else:
        keys = [
            Pair(number, files.images[stem], annotations[stem])
            for number, stem in enumerate(stems)
            if stem in annotations
        ]
        indices = range(len(_CLASSES[subset]))
        read = partial(
            read_pair, table=value_table({index: index for index in indices} | {IGNORED: IGNORED})
        )
        outcome = "have no label image and are left out"
    if absent:
        notes.append(f"{absent} images {outcome}")
    return SourceSplit(
        name=f"samrs-{subset}",
        split=split,
        class_names=_CLASSES[subset],
        kind=kind,
        keys=keys,
        read=read,
        paper_count=_PAPER_COUNTS.get((subset, split)) if image_list is None else None,
        notes=tuple(notes),
        settings={"division": division},
    )


@dataclass(frozen=True)
class AnnotatedImage:
    """An image not yet read.

    Attributes:
        image_id: Its number in the split.
        image: Its file.
        annotation: Its pickle; None if no box was drawn in it.
    """

    image_id: int
    image: Path
    annotation: Path | None


def read_image(
    key: AnnotatedImage, class_names: tuple[str, ...]
) -> Iterator[ImageRecord | Dropped]:
    """Reads one image and its objects.

    The class is taken from `label`: in files made from rotated boxes the names in `category` are
    those of FAIR1M, whatever the data set. The stored boxes are those that SAM was given, so they
    are left alone, as is `size`, the area of the mask.

    Args:
        key: Its files.
        class_names: Classes in the order of `label`.

    Yields:
        The record, or why there is none.

    Raises:
        ValueError: If the pickle holds what SAMRS's do not.
    """
    try:
        height, width = size_of(key.image)
    except OSError:
        yield Dropped(key.image.name, IMAGE_DAMAGED)
        return
    try:
        items = read_objects(key.annotation) if key.annotation else []
    except OSError:
        yield Dropped(key.image.name, ANNOTATIONS_DAMAGED)
        return
    objects: list[ObjectRecord] = []
    dropped: list[str] = []
    for item in items:
        found = _object_of(item, (height, width), class_names)
        if isinstance(found, str):
            dropped.append(found)
        else:
            objects.append(found)
    yield ImageRecord(
        image_id=key.image_id,
        file_name=key.image.name,
        image=key.image,
        width=width,
        height=height,
        objects=tuple(objects),
        dropped=tuple(dropped),
    )


def _object_of(
    item: dict[str, Any], size: tuple[int, int], class_names: tuple[str, ...]
) -> ObjectRecord | str:
    """Reads one object; a text says why it is left out."""
    label, mask = item.get("label"), item.get("mask")
    if not isinstance(label, int) or not 0 <= label < len(class_names):
        return NO_CLASS
    if not isinstance(mask, dict) or not isinstance(mask.get("counts"), str | bytes):
        return MASK_DAMAGED
    try:
        mask_size = [int(side) for side in mask["size"]]
        counts = mask["counts"]
        counts = counts if isinstance(counts, str) else counts.decode("ascii")
    except (KeyError, TypeError, ValueError):
        return MASK_DAMAGED
    if mask_size != list(size):
        return OTHER_MASK_SIZE
    segmentation = {"size": mask_size, "counts": counts}
    try:
        area = area_of(counts, *size)
    except ValueError:
        return MASK_DAMAGED
    return ObjectRecord(class_names[label], segmentation) if area else EMPTY_MASK
