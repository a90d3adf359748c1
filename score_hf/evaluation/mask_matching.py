"""Which predictions of an image hit an object: pycocotools' rules, without its pace.

`COCOeval.evaluate` looks at every pair of prediction and object for each IoU threshold and area
range. Few pairs overlap enough for any threshold, and only those are looked at here; the outcome is
the same, and so is what `COCOeval.accumulate` makes of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import Params

MAX_DETECTIONS = 300
_PARAMS = Params("segm")
IOU_THRESHOLDS = _PARAMS.iouThrs
AREA_RANGES: dict[str, tuple[float, float]] = dict(
    zip(_PARAMS.areaRngLbl, map(tuple, _PARAMS.areaRng), strict=True)
)
ALL_AREAS = tuple(AREA_RANGES)

ImageMatches = list[dict[str, np.ndarray] | None]
"""What was found out about one image, by category and within it by area range, as entries of
pycocotools' `evalImgs`; None where there is neither object nor prediction."""


def match_image(
    annotations: Sequence[dict[str, Any]],
    predictions: Sequence[dict[str, Any]],
    category_ids: Sequence[int],
    areas: Sequence[str] = ALL_AREAS,
) -> ImageMatches:
    """Matches the predictions for one image with its objects.

    In each category the best-scoring prediction chooses first, among the objects that are still
    free the one with the highest IoU; the 300 best count.

    Args:
        annotations: COCO's entries of its objects, as run lengths with `area` and `iscrowd`.
        predictions: COCO results: `category_id`, `segmentation` and `score` of each.
        category_ids: Of all categories, in rising order.
        areas: Names of the area ranges to look at.

    Returns:
        What `accumulate_matches` needs; it depends on no other image.
    """
    matches: ImageMatches = []
    for category in category_ids:
        objects = [entry for entry in annotations if entry["category_id"] == category]
        found = [entry for entry in predictions if entry["category_id"] == category]
        if not objects and not found:
            matches += [None] * len(areas)
            continue
        order = np.argsort([-entry["score"] for entry in found], kind="stable")[:MAX_DETECTIONS]
        matches += _match_category(objects, [found[place] for place in order], areas)
    return matches


def _match_category(
    objects: list[dict[str, Any]], found: list[dict[str, Any]], areas: Sequence[str]
) -> list[dict[str, np.ndarray] | None]:
    crowd = np.array([bool(entry["iscrowd"]) for entry in objects], dtype=bool)
    object_areas = np.array([entry["area"] for entry in objects], dtype=np.float64)
    masks = [entry["segmentation"] for entry in found]
    # One by one: pycocotools takes lists of no more than 255 masks here.
    found_areas = np.array([coco_mask.area(mask) for mask in masks], dtype=np.float64)
    overlaps = np.zeros((len(found), len(objects)))
    if objects and found:
        true_masks = [entry["segmentation"] for entry in objects]
        overlaps = coco_mask.iou(masks, true_masks, crowd.astype(int).tolist())
    scores = np.array([entry["score"] for entry in found], dtype=np.float64)

    entries: list[dict[str, np.ndarray] | None] = []
    for area in areas:
        smallest, largest = AREA_RANGES[area]
        ignored = crowd | (object_areas < smallest) | (object_areas > largest)
        hit, hit_ignored = _assign(overlaps, crowd, ignored)
        outside = (found_areas < smallest) | (found_areas > largest)
        entries.append(
            {
                "dtScores": scores,
                "dtMatches": hit,
                "dtIgnore": hit_ignored | (~hit & outside),
                "gtIgnore": ignored.astype(np.uint8),
            }
        )
    return entries


def _assign(
    overlaps: np.ndarray, crowd: np.ndarray, ignored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Assigns objects to predictions at every IoU threshold.

    Args:
        overlaps: (predictions, objects), the best-scoring prediction first.
        crowd: (objects,) bool; groups can be hit any number of times.
        ignored: (objects,) bool; hit only where no other object can be.

    Returns:
        (thresholds, predictions) bool: whether each hits an object, and whether an ignored one.
    """
    # Objects in the order in which pycocotools looks at them; of equal IoU the last one counts.
    order = np.argsort(ignored, kind="stable")
    candidates = [
        (prediction, [one for one in order.tolist() if overlaps[prediction, one] >= 0.5])
        for prediction in np.flatnonzero((overlaps >= 0.5).any(axis=1)).tolist()
    ]
    hit = np.zeros((len(IOU_THRESHOLDS), len(overlaps)), dtype=bool)
    hit_ignored = np.zeros_like(hit)
    for level, threshold in enumerate(IOU_THRESHOLDS):
        taken: set[int] = set()
        for prediction, near in candidates:
            best, best_overlap = -1, min(threshold, 1 - 1e-10)
            for one in near:
                if one in taken and not crowd[one]:
                    continue
                if best >= 0 and ignored[one] and not ignored[best]:
                    break
                if overlaps[prediction, one] >= best_overlap:
                    best, best_overlap = one, overlaps[prediction, one]
            if best >= 0:
                taken.add(best)
                hit[level, prediction] = True
                hit_ignored[level, prediction] = ignored[best]
    return hit, hit_ignored
