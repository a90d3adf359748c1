"""COCO's mask average precision as the original measures it: 300 detections an image."""

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params

from .vocabulary import average_by_seen

MAX_DETECTIONS = [1, 10, 300]
AREAS = ("all", "small", "medium", "large")
IOU_50, IOU_75 = 0, 5

ImageMatches = list[dict[str, Any] | None]
"""What pycocotools found out about one image, by category and within it by area range."""


def match_image(
    image: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    predictions: Sequence[dict[str, Any]],
    category_ids: Sequence[int],
) -> ImageMatches:
    """Matches the predictions for one image with its objects.

    Args:
        image: COCO's entry, with `id`, `height` and `width` in pixels.
        annotations: COCO's entries of its objects, as run lengths with `area` and `iscrowd`.
        predictions: COCO results: `category_id`, `segmentation` and `score` of each.
        category_ids: Of all categories, in rising order.

    Returns:
        What `accumulate_matches` needs; it depends on no other image.
    """
    common = {"images": [image], "categories": [{"id": number} for number in category_ids]}
    # Numbered from 1: pycocotools takes an object with id 0 for one that was not found.
    objects = [
        {**entry, "image_id": image["id"], "id": number, "iscrowd": int(entry["iscrowd"])}
        for number, entry in enumerate(annotations, start=1)
    ]
    found = [
        {
            "id": number,
            "image_id": image["id"],
            "category_id": entry["category_id"],
            "segmentation": entry["segmentation"],
            "score": entry["score"],
            "area": coco_mask.area(entry["segmentation"]),
            "iscrowd": 0,
        }
        for number, entry in enumerate(predictions, start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_index(common, objects), _index(common, found), "segm")
        evaluation.params.maxDets = MAX_DETECTIONS
        evaluation.evaluate()
    return [_reduce(entry) for entry in evaluation.evalImgs]


def _index(common: dict[str, Any], annotations: list[dict[str, Any]]) -> COCO:
    coco = COCO()
    coco.dataset = {**common, "annotations": annotations}
    coco.createIndex()
    return coco


def _reduce(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """Keeps what accumulating reads; ids of matches as whether there was one."""
    if entry is None:
        return None
    return {
        "dtScores": np.asarray(entry["dtScores"], dtype=np.float64),
        "dtMatches": np.asarray(entry["dtMatches"]) > 0,
        "dtIgnore": np.asarray(entry["dtIgnore"]).astype(bool),
        "gtIgnore": np.asarray(entry["gtIgnore"]).astype(np.uint8),
    }


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall at every setting; -1 where a category has no object.

    Args:
        precision: (IoU thresholds, recalls, categories, areas, numbers of detections).
        recall: The same without recalls, the highest reached.
        scores: As `precision`, the score at which that recall is reached.
        iou_thresholds: Ten, .50 to .95.
        recall_thresholds: 101, 0 to 1.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    iou_thresholds: np.ndarray
    recall_thresholds: np.ndarray


def accumulate_matches(
    matches: Sequence[ImageMatches], category_ids: Sequence[int]
) -> PrecisionRecall:
    """Puts the images of a dataset together.

    Args:
        matches: One of `match_image` an image, by rising image id: where scores are equal, it
            decides.
        category_ids: Of all categories, in rising order.

    Returns:
        The same numbers as pycocotools gives for all images at once.
    """
    params = Params("segm")
    params.maxDets, params.catIds = MAX_DETECTIONS, list(category_ids)
    params.imgIds = list(range(len(matches)))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(iouType="segm")
        evaluation.params = params
        evaluation._paramsEval = copy.deepcopy(params)
        places = range(len(params.catIds) * len(params.areaRng))
        evaluation.evalImgs = [image[place] for place in places for image in matches]
        evaluation.accumulate()
    return PrecisionRecall(
        evaluation.eval["precision"],
        evaluation.eval["recall"],
        evaluation.eval["scores"],
        params.iouThrs,
        params.recThrs,
    )


def summarize(
    curves: PrecisionRecall, names: Sequence[str], seen: Sequence[bool] | None
) -> dict[str, Any]:
    """Reads the figures from the arrays; `COCOeval.summarize` would look for 100 detections.

    Args:
        curves: Of `accumulate_matches`.
        names: One a category.
        seen: Which of them the model was trained on; None if that is not known.

    Returns:
        `AP` (IoU .50 to .95), `AP50`, `AP75`, `APs`, `APm`, `APl` (objects below 32² pixels,
        below 96², above), `AR` (of 300 detections); `per_class`, the AP of each category, and
        `per_class_AP50`; `seen` and `unseen`, the means of `per_class` over those categories, and
        `harmonic_mean` of the two. All in 0..1, None where there is nothing to measure.
    """
    precision, recall = curves.precision[..., -1], curves.recall[..., -1]
    everywhere = AREAS.index("all")
    by_class = {name: _mean(precision[:, :, place, everywhere]) for place, name in enumerate(names)}
    return {
        "AP": _mean(precision[..., everywhere]),
        "AP50": _mean(precision[IOU_50, :, :, everywhere]),
        "AP75": _mean(precision[IOU_75, :, :, everywhere]),
        "APs": _mean(precision[..., AREAS.index("small")]),
        "APm": _mean(precision[..., AREAS.index("medium")]),
        "APl": _mean(precision[..., AREAS.index("large")]),
        "AR": _mean(recall[..., everywhere]),
        "per_class": by_class,
        "per_class_AP50": {
            name: _mean(precision[IOU_50, :, place, everywhere]) for place, name in enumerate(names)
        },
        **average_by_seen(by_class, seen),
    }


def _mean(values: np.ndarray) -> float | None:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None
