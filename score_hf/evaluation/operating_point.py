"""How good single images are: F1 at the score that is best for the whole dataset."""

from collections.abc import Sequence

import numpy as np

from .coco_metrics import IOU_50
from .mask_matching import ALL_AREAS, ImageMatches


def _detections(image: ImageMatches) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores of an image's predictions, whether each is right at IoU 0.50, number of objects."""
    entries = [
        entry for entry in image[ALL_AREAS.index("all") :: len(ALL_AREAS)] if entry is not None
    ]
    counted = [~entry["dtIgnore"][IOU_50] for entry in entries]
    scores = [entry["dtScores"][kept] for entry, kept in zip(entries, counted, strict=True)]
    right = [entry["dtMatches"][IOU_50][kept] for entry, kept in zip(entries, counted, strict=True)]
    objects = sum(int((entry["gtIgnore"] == 0).sum()) for entry in entries)
    nothing = np.zeros(0)
    return (
        np.concatenate([nothing, *scores]),
        np.concatenate([nothing, *right]).astype(bool),
        objects,
    )


def best_threshold(images: Sequence[ImageMatches]) -> float | None:
    """Finds the score above which predictions have the best F1 at IoU 0.50, all classes together.

    Args:
        images: Of `match_image`.

    Returns:
        The lowest score that is kept; None if no prediction is right.
    """
    parts = [_detections(image) for image in images]
    scores = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
    right = np.concatenate([np.zeros(0, dtype=bool), *(part[1] for part in parts)])
    if not right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + sum(part[2] for part in parts))
    # Equal scores stand or fall together.
    last = np.append(scores[1:] < scores[:-1], True)
    return float(scores[np.where(last, f1, -1).argmax()])


def image_f1(image: ImageMatches, threshold: float) -> float | None:
    """Measures one image.

    Args:
        image: Of `match_image`.
        threshold: Lowest score of a prediction that counts.

    Returns:
        F1 at IoU 0.50; None if there is no object and no prediction.
    """
    scores, right, objects = _detections(image)
    kept = scores >= threshold
    both = int(kept.sum()) + objects
    return float(2 * right[kept].sum() / both) if both else None
