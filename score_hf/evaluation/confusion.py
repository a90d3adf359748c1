"""Which classes a model takes for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

MATCHING_IOU = 0.5


def confused_classes(
    annotations: Sequence[dict[str, Any]], predictions: Sequence[dict[str, Any]], missed: int
) -> np.ndarray:
    """Tells for each object of an image what the model calls it.

    That is the class of the best-scoring prediction, of whatever class, whose mask has an IoU of
    at least one half with it.

    Args:
        annotations: The image's objects as COCO's entries, category ids from 1; groups of objects
            are left out.
        predictions: COCO results for the image.
        missed: Stands for the class of what was not found.

    Returns:
        (objects, 2) int64: the class index of each, and that of what it is called.
    """
    objects = [entry for entry in annotations if not entry["iscrowd"]]
    truth = np.array([entry["category_id"] - 1 for entry in objects], dtype=np.int64)
    called = np.full(len(objects), missed)
    if objects and predictions:
        ranked = sorted(predictions, key=lambda entry: -entry["score"])
        overlaps = coco_mask.iou(
            [entry["segmentation"] for entry in ranked],
            [entry["segmentation"] for entry in objects],
            [0] * len(objects),
        )
        matches = np.asarray(overlaps) >= MATCHING_IOU
        classes = np.array([entry["category_id"] - 1 for entry in ranked])
        called = np.where(matches.any(axis=0), classes[matches.argmax(axis=0)], missed)
    return np.stack((truth, called), axis=1)


def most_confused(
    counts: np.ndarray, names: Sequence[str], limit: int = 20
) -> list[dict[str, str | int | float]]:
    """Lists pairs of a class and what it is most often taken for.

    Args:
        counts: (classes, answers) of objects or pixels; answers beyond the classes are left out.
        names: Of the classes.
        limit: How many pairs at most.

    Returns:
        For each pair `class`, `called`, `count` and `share` (of all objects or pixels of the
        class), the most frequent first.
    """
    square = counts[:, : len(names)].copy()
    np.fill_diagonal(square, 0)
    order = np.argsort(-square, axis=None, kind="stable")[:limit]
    totals = counts.sum(axis=1)
    return [
        {
            "class": names[truth],
            "called": names[called],
            "count": int(square[truth, called]),
            "share": float(square[truth, called] / totals[truth]),
        }
        for truth, called in zip(*np.unravel_index(order, square.shape), strict=True)
        if square[truth, called]
    ]
