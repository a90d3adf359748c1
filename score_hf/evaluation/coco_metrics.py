"""COCO's mask average precision as the original measures it: 300 detections an image."""

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval, Params

from .mask_matching import ALL_AREAS, AREA_RANGES, MAX_DETECTIONS, ImageMatches
from .vocabulary import average_by_seen

DETECTIONS = [1, 10, MAX_DETECTIONS]
IOU_50, IOU_75 = 0, 5


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
    matches: Sequence[ImageMatches],
    category_ids: Sequence[int],
    areas: Sequence[str] = ALL_AREAS,
) -> PrecisionRecall:
    """Puts the images of a dataset together.

    Args:
        matches: One of `match_image` an image, by rising image id: where scores are equal, it
            decides.
        category_ids: Of all categories, in rising order.
        areas: Names of the area ranges that were looked at.

    Returns:
        The same numbers as pycocotools gives for all images at once.
    """
    params = Params("segm")
    params.maxDets, params.catIds = DETECTIONS, list(category_ids)
    params.areaRng, params.areaRngLbl = [AREA_RANGES[name] for name in areas], list(areas)
    params.imgIds = list(range(len(matches)))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(iouType="segm")
        evaluation.params = params
        evaluation._paramsEval = copy.deepcopy(params)
        places = range(len(category_ids) * len(areas))
        evaluation.evalImgs = [image[place] for place in places for image in matches]
        evaluation.accumulate()
    return PrecisionRecall(
        evaluation.eval["precision"],
        evaluation.eval["recall"],
        evaluation.eval["scores"],
        params.iouThrs,
        params.recThrs,
    )


def average_precision(curves: PrecisionRecall) -> float | None:
    """Gives the AP of all areas, which must be the first; None if there is no object."""
    return _mean(curves.precision[..., 0, -1])


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
    everywhere = ALL_AREAS.index("all")
    by_class = {name: _mean(precision[:, :, place, everywhere]) for place, name in enumerate(names)}
    return {
        "AP": average_precision(curves),
        "AP50": _mean(precision[IOU_50, :, :, everywhere]),
        "AP75": _mean(precision[IOU_75, :, :, everywhere]),
        "APs": _mean(precision[..., ALL_AREAS.index("small")]),
        "APm": _mean(precision[..., ALL_AREAS.index("medium")]),
        "APl": _mean(precision[..., ALL_AREAS.index("large")]),
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
