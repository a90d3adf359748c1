"""From a reader's record to a row: everything is looked at once, before training relies on it."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from .records import IGNORED, Dropped, ImageRecord, Kind, ObjectRecord
from .schema import row_of, semantic_row_of

NO_FILE = "there is no such image file"
UNREADABLE = "the file cannot be read as an image"
OTHER_SIZE = "the image has another size than its annotations"
EMPTY_MASK = "empty mask"
OTHER_MASK_SIZE = "mask of another size than its image"
UNKNOWN_VALUES = "label values that are no class"
UNTURNED = "stored as PNG without its EXIF rotation, which its annotations do not follow"

# What Pillow can write as PNG without a loss.
_PNG_MODES = {"1", "L", "LA", "I;16", "P", "RGB", "RGBA"}


def row_of_record(
    record: ImageRecord, kind: Kind, class_names: Sequence[str], number: int
) -> tuple[dict[str, Any], ImageRecord] | Dropped:
    """Checks an image with its objects or labels and turns it into a row.

    Args:
        record: What the reader gave.
        kind: Of the set.
        class_names: Of the set.
        number: The place of the image in the split, from 0.

    Returns:
        The row, and the record as it is kept; or why it is left out.

    Raises:
        ValueError: If the record does not fit the set: a mistake of the reader.
    """
    record, picture, reason = _read_picture(record)
    if reason is not None:
        return Dropped(record.file_name, reason)
    if kind == "semantic":
        return _semantic_row(record, picture, len(class_names))
    objects: list[ObjectRecord] = []
    masks: list[tuple[list[float], float]] = []
    dropped = list(record.dropped)
    for one in record.objects:
        if one.category not in class_names:
            raise ValueError(
                f"`{record.file_name}` has an object of the class {one.category!r}, but the "
                f"classes are {', '.join(class_names)}."
            )
        reason, box, area = _measure(one, record)
        if reason is not None:
            dropped.append(reason)
            continue
        objects.append(one)
        masks.append((box, area))
    record = replace(record, objects=tuple(objects), dropped=tuple(dropped))
    return row_of(record, picture, number, masks), record


def _read_picture(record: ImageRecord) -> tuple[ImageRecord, bytes, str | None]:
    """Reads the bytes to be stored; checks them as `datasets` will decode them: turned upright."""
    stated = (record.width, record.height)
    if isinstance(record.image, Image.Image):
        return record, _as_png(record.image), None if record.image.size == stated else OTHER_SIZE
    try:
        content = Path(record.image).read_bytes()
    except OSError:
        return record, b"", NO_FILE
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            upright = image.size[::-1] if turned else image.size
            if upright == stated:
                return record, content, None
            if image.size != stated:
                return record, b"", OTHER_SIZE
            # The annotations were made on the pixels as they lie in the file.
            record = replace(record, altered=(*record.altered, UNTURNED))
            return record, _as_png(image), None
    # Decoders of damaged files raise whatever they stumble over.
    except Exception:
        return record, b"", UNREADABLE


def _as_png(image: Image.Image) -> bytes:
    if image.mode not in _PNG_MODES:
        image = image.convert("RGB")
    stream = BytesIO()
    # Four times as fast as Pillow's own choice; files of aerial patches are 6 % larger.
    image.save(stream, format="PNG", compress_level=2)
    return stream.getvalue()


def _measure(one: ObjectRecord, record: ImageRecord) -> tuple[str | None, list[float], float]:
    from pycocotools import mask as coco_mask

    if list(one.segmentation["size"]) != [record.height, record.width]:
        return OTHER_MASK_SIZE, [], 0.0
    area = float(coco_mask.area(one.segmentation))
    if area == 0:
        return EMPTY_MASK, [], 0.0
    return None, [float(side) for side in coco_mask.toBbox(one.segmentation)], area


def _semantic_row(
    record: ImageRecord, picture: bytes, classes: int
) -> tuple[dict[str, Any], ImageRecord] | Dropped:
    label = record.label
    if label is None or label.dtype != np.uint8 or label.shape != (record.height, record.width):
        got = "none" if label is None else f"{label.shape} of {label.dtype}"
        raise ValueError(
            f"`{record.file_name}` must have a label image of uint8 with height and width "
            f"{(record.height, record.width)}, but has {got}."
        )
    values = np.flatnonzero(np.bincount(label.reshape(-1), minlength=256))
    present = values[values != IGNORED]
    if present.size and present[-1] >= classes:
        return Dropped(record.file_name, UNKNOWN_VALUES)
    return semantic_row_of(record, picture, _as_png(Image.fromarray(label)), present), record
