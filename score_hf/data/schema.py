"""The one form in which prepared data sets lie on disk: columns, and a row of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Features, Image, List, Value

from .records import ImageRecord, Kind

# Two splits with fewer objects an image than this never give two objects the same number.
_OBJECTS_PER_IMAGE = 100_000


def features_of(kind: Kind, class_names: Sequence[str]) -> Features:
    """Returns the columns of a prepared set.

    Args:
        kind: Whether objects or label images are marked.
        class_names: Classes in the order of their numbers.

    Returns:
        `image`, `image_id`, `file_name`, `width`, `height` and, of an instance set, `objects`: a
        list of `{id, category, segmentation, bbox, area, iscrowd}` with the mask as compressed
        COCO run lengths, the box as left, top, width and height in pixels, the area in pixels; of
        a semantic set, `label`, an image of class indices with 255 for none, and `classes`, those
        that occur in it.
    """
    category = ClassLabel(names=list(class_names))
    columns: dict[str, Any] = {
        "image": Image(),
        "image_id": Value("int64"),
        "file_name": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
    }
    if kind == "semantic":
        return Features({**columns, "label": Image(), "classes": List(category)})
    segmentation = {"size": List(Value("int32")), "counts": Value("string")}
    one_object = {
        "id": Value("int64"),
        "category": category,
        "segmentation": segmentation,
        "bbox": List(Value("float32"), length=4),
        "area": Value("float32"),
        "iscrowd": Value("bool"),
    }
    return Features({**columns, "objects": List(one_object)})


def kind_of(features: Features | None) -> Kind | None:
    """Tells an instance set from a semantic one by its columns; None: it is neither.

    Args:
        features: Columns of a data set.
    """
    if features is None or not {"image", "image_id", "width", "height"} <= features.keys():
        return None
    if isinstance(features.get("classes"), List) and "label" in features:
        return "semantic" if isinstance(features["classes"].feature, ClassLabel) else None
    one_object = getattr(features.get("objects"), "feature", None)
    if not isinstance(one_object, dict) or not {"segmentation", "iscrowd"} <= one_object.keys():
        return None
    return "instance" if isinstance(one_object.get("category"), ClassLabel) else None


def category_feature(features: Features) -> ClassLabel:
    """Returns the column type that names the classes.

    Args:
        features: Columns for which [`kind_of`] is not None.
    """
    if "classes" in features:
        return features["classes"].feature
    return features["objects"].feature["category"]


def row_of(
    record: ImageRecord, picture: bytes, number: int, masks: Sequence[tuple[list[float], float]]
) -> dict[str, Any]:
    """Turns a checked record of an instance set into a row.

    Args:
        record: The image and its objects.
        picture: Bytes of its file.
        number: Its place in the split, from which objects without a number get theirs.
        masks: Box (left, top, width, height) and area in pixels of each object's mask.

    Raises:
        ValueError: If there are more objects than can be numbered.
    """
    if len(record.objects) > _OBJECTS_PER_IMAGE:
        raise ValueError(
            f"`{record.file_name}` has {len(record.objects)} objects, more than the "
            f"{_OBJECTS_PER_IMAGE} that can be numbered; cut the image into tiles."
        )
    objects = [
        {
            "id": number * _OBJECTS_PER_IMAGE + place if one.id is None else one.id,
            "category": one.category,
            "segmentation": one.segmentation,
            "bbox": box,
            "area": area if one.area is None else one.area,
            "iscrowd": one.iscrowd,
        }
        for place, (one, (box, area)) in enumerate(zip(record.objects, masks, strict=True), 1)
    ]
    return {**_common(record, picture), "objects": objects}


def semantic_row_of(record: ImageRecord, picture: bytes, label: bytes, classes: np.ndarray) -> dict:
    """Turns a checked record of a semantic set into a row.

    Args:
        record: The image.
        picture: Bytes of its file.
        label: Bytes of the label image as PNG.
        classes: Indices of the classes that occur in it.
    """
    return {
        **_common(record, picture),
        "label": {"bytes": label, "path": None},
        "classes": classes.tolist(),
    }


def _common(record: ImageRecord, picture: bytes) -> dict[str, Any]:
    return {
        # With a path `datasets` would look for a file instead of storing the bytes.
        "image": {"bytes": picture, "path": None},
        "image_id": record.image_id,
        "file_name": record.file_name,
        "width": record.width,
        "height": record.height,
    }
