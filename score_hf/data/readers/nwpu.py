"""NWPU VHR-10: 650 pictures with objects, 150 without; masks were added by Su et al."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..categories import NWPU
from ..checking import UNREADABLE
from ..records import Dropped, ImageRecord, ObjectRecord, SourceSplit
from .coco import read_coco
from .folders import check_pairs, check_root, folders_beneath, image_files
from .label_images import size_of
from .segmentations import compress

Masks = Literal["json", "boxes"]
SPLITS = ("whole", "train", "val")
_POSITIVE, _NEGATIVE, _BOXES = "positive image set", "negative image set", "ground truth"
_JSON = {
    "whole": ("annotations.json",),
    "train": ("instances_train2017.json", "instances_train.json"),
    "val": ("instances_val2017.json", "instances_val.json"),
}
# Numbers of the pictures without objects, above those of the others in the json file.
_FIRST_NEGATIVE = 1000
BAD_LINE = "line of the ground truth that is not (x1,y1),(x2,y2),class"


def read_nwpu(
    root: str | os.PathLike[str],
    split: str = "whole",
    masks: Masks = "json",
    negatives: bool = False,
) -> SourceSplit:
    """Reads the published pictures with the COCO file of masks, or with the boxes as masks.

    The paper evaluates on 731 patches of them; how they were cut is not known. They are in the
    release of SCORE's authors (see [`read_score`]).

    Args:
        root: The folder that holds `positive image set`, or one above it; the json file lies
            beside that folder or one above.
        split: "whole", or "train" and "val" as the unseeded program of Su et al. divided them, if
            its `instances_train2017.json` and `instances_val2017.json` are there.
        masks: "json", or "boxes": rectangles from `ground truth/*.txt`, for pictures without masks.
        negatives: Whether the 150 pictures without objects are added to "whole".

    Returns:
        The split.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split, or options do not go together.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, but got {split!r}.")
    if masks not in ("json", "boxes"):
        raise ValueError(f"`masks` must be 'json' or 'boxes', but got {masks!r}.")
    if split != "whole" and (masks == "boxes" or negatives):
        raise ValueError(f"`split` must be 'whole' with boxes or negatives, but got {split!r}.")
    folder = check_root(root)
    base = next((one for one in folders_beneath(folder) if (one / _POSITIVE).is_dir()), None)
    if base is None:
        raise FileNotFoundError(
            f"`root` must hold NWPU VHR-10's folder '{_POSITIVE}', but neither '{folder}' nor a "
            "folder in it has one; unpack the data set there."
        )
    source = _boxes(base) if masks == "boxes" else _json(folder, base, split)
    return _with_negatives(source, base) if negatives else source


def _json(root: Path, base: Path, split: str) -> SourceSplit:
    places = [base / _POSITIVE, *dict.fromkeys((base, *folders_beneath(root)))]
    found = (place / name for place in places for name in _JSON[split])
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"`root` has no {' or '.join(_JSON[split])} beside '{base / _POSITIVE}': the masks of "
            "Su et al., github.com/chaozhong2010/VHR-10_dataset_coco; the published set has boxes "
            "only."
        )
    return read_coco(
        base / _POSITIVE, path, split, name="nwpu", class_names=NWPU, allow_missing=False
    )


def _boxes(base: Path) -> SourceSplit:
    images = image_files(base / _POSITIVE)
    folder = base / _BOXES
    texts = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    check_pairs(images, texts, f"'{base / _POSITIVE}' and '{folder}'")
    return SourceSplit(
        name="nwpu",
        split="whole",
        class_names=NWPU,
        kind="instance",
        keys=[(number, images[stem], texts[stem]) for number, stem in enumerate(images)],
        read=_read_boxes,
        notes=("the masks are boxes: good for training a detector, not for mask AP",),
    )


def _read_boxes(key: tuple[int, Path, Path]) -> Iterator[ImageRecord | Dropped]:
    number, path, text = key
    try:
        height, width = size_of(path)
    except OSError:
        yield Dropped(path.name, UNREADABLE)
        return
    objects: list[ObjectRecord] = []
    dropped: list[str] = []
    for line in filter(str.strip, text.read_text(encoding="utf-8", errors="replace").splitlines()):
        numbers = [int(one) for one in re.findall(r"-?\d+", line)]
        segmentation = None
        if len(numbers) == 5 and 1 <= numbers[4] <= len(NWPU):
            left, top, right, bottom = numbers[:4]
            corners = [left, top, right, top, right, bottom, left, bottom]
            segmentation, _ = compress([corners], height, width)
        if segmentation is None:
            dropped.append(BAD_LINE)
        else:
            objects.append(ObjectRecord(NWPU[numbers[4] - 1], segmentation))
    yield ImageRecord(
        number, path.name, path, width, height, tuple(objects), dropped=tuple(dropped)
    )


def _with_negatives(source: SourceSplit, base: Path) -> SourceSplit:
    folder = base / _NEGATIVE
    images = image_files(folder) if folder.is_dir() else {}
    if not images:
        raise FileNotFoundError(f"`root` has no pictures in '{folder}'; unpack them there.")
    negatives = [(_FIRST_NEGATIVE + number, path) for number, path in enumerate(images.values(), 1)]
    keys = [*(("positive", key) for key in source.keys), *(("negative", key) for key in negatives)]
    note = f"{len(negatives)} pictures without objects were added"
    return replace(
        source, keys=keys, read=partial(_read_either, source=source), notes=(*source.notes, note)
    )


def _read_either(key: tuple[str, Any], source: SourceSplit) -> Iterator[ImageRecord | Dropped]:
    sign, inner = key
    if sign == "positive":
        yield from source.read(inner)
        return
    number, path = inner
    try:
        height, width = size_of(path)
    except OSError:
        yield Dropped(path.name, UNREADABLE)
        return
    # Both folders count from 001.jpg.
    yield ImageRecord(number, f"{_NEGATIVE}/{path.name}", path, width, height)
