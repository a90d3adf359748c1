"""Segments that do not overlap: panoptic quality (Kirillov et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..modeling.modeling_score import ScoreForInstanceSegmentationOutput
from ..processing.coco_masks import encode_mask
from ..processing.processing_score import ScoreProcessor
from .predicting import Row, sizes_of
from .task import Findings
from .truth_maps import TruthSegments, true_segments
from .vocabulary import Vocabulary, average_by_seen

IOU_SUM, RIGHT, WRONG, MISSED = range(4)


class PanopticTask:
    """Panoptic quality of a dataset; `truth_maps` says what its true segments are.

    Args:
        processor: Turns outputs into segments.
        vocabulary: The classes.
        fuse: Whether the segments of a class become one, as in a semantic set.
        threshold: A segment's class probability must be higher; 0 in the original.
    """

    name = "panoptic"

    def __init__(
        self,
        processor: ScoreProcessor,
        vocabulary: Vocabulary,
        fuse: bool,
        threshold: float = 0.0,
    ) -> None:
        self.processor, self.vocabulary, self.threshold = processor, vocabulary, threshold
        self.fused = range(len(vocabulary.names) + len(vocabulary.extra)) if fuse else range(0)

    def read(
        self, outputs: ScoreForInstanceSegmentationOutput, rows: list[Row]
    ) -> list[dict[str, Any]]:
        """Turns outputs into segments and compares them with the true ones."""
        results = self.processor.post_process_panoptic_segmentation(
            outputs,
            threshold=self.threshold,
            label_ids_to_fuse=self.fused,
            target_sizes=sizes_of(rows),
        )
        return [self._record(result, row) for result, row in zip(results, rows, strict=True)]

    def _record(self, result: dict[str, Any], row: Row) -> dict[str, Any]:
        num_classes = len(self.vocabulary.names)
        drawn, infos = result["segmentation"], result["segments_info"]
        counts = compare_segments(
            true_segments(row, num_classes),
            drawn.cpu().numpy(),
            np.array([info["label_id"] for info in infos], dtype=np.int64),
            num_classes,
        )
        size = (row["height"], row["width"])
        return {
            "predictions": [
                {
                    "category_id": info["label_id"] + 1,
                    "segmentation": encode_mask(drawn == info["id"], 0, 0, size),
                    "score": info["score"],
                }
                for info in infos
                if info["label_id"] < num_classes
            ],
            "counts": counts.tolist(),
        }

    def measure(self, record: dict[str, Any]) -> np.ndarray:
        """Gives the counts of one image, see `compare_segments`."""
        return np.array(record["counts"])

    def summarize(self, measured: Sequence[np.ndarray]) -> Findings:
        """Gives the figures of all images."""
        figures = summarize_segments(np.sum(measured, axis=0), self.vocabulary)
        scores = [summarize_segments(image, self.vocabulary)["PQ"] for image in measured]
        return Findings(figures, scores, "panoptic quality of the image")


def compare_segments(
    truth: TruthSegments, drawn: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """Matches the segments of an image with the true ones.

    Two of one class match if their IoU, void left out, is above one half: then neither can match
    another. A segment that mostly lies on void or on groups of its class is neither right nor
    wrong.

    Args:
        truth: The true segments.
        drawn: (height, width), 0 for none, segments from 1.
        labels: The class of each segment; those beyond `num_classes` do not count.
        num_classes: Number of classes.

    Returns:
        (classes, 4): sum of the IoU of matches, matches, segments that are wrong, true segments
        that were missed.
    """
    counts = np.zeros((num_classes, 4))
    width = len(labels) + 1
    places = truth.segment_ids * width + drawn
    overlaps = np.bincount(places.ravel(), minlength=(len(truth.labels) + 1) * width)
    overlaps = overlaps.reshape(-1, width)
    on_void = np.bincount(drawn[truth.void], minlength=width)
    true_areas, areas = overlaps.sum(axis=1), overlaps.sum(axis=0)

    found, used = set(), set()
    for one, other in np.argwhere(overlaps[1:, 1:]) + 1:
        label = truth.labels[one - 1]
        if truth.crowd[one - 1] or label != labels[other - 1]:
            continue
        overlap = overlaps[one, other]
        iou = overlap / (true_areas[one] + areas[other] - on_void[other] - overlap)
        if iou > 0.5:
            counts[label, [IOU_SUM, RIGHT]] += iou, 1
            found.add(one)
            used.add(other)
    for one in range(1, len(truth.labels) + 1):
        # Objects that smaller ones hide altogether have no pixel left.
        if one not in found and true_areas[one] and not truth.crowd[one - 1]:
            counts[truth.labels[one - 1], MISSED] += 1
    for other in range(1, width):
        label = labels[other - 1]
        if other in used or label >= num_classes:
            continue
        groups = np.flatnonzero(truth.crowd & (truth.labels == label)) + 1
        excused = on_void[other] + overlaps[groups, other].sum()
        if excused <= 0.5 * areas[other]:
            counts[label, WRONG] += 1
    return counts


def summarize_segments(counts: np.ndarray, vocabulary: Vocabulary) -> dict[str, Any]:
    """Reads the figures from counts over all images.

    Args:
        counts: See `compare_segments`.
        vocabulary: The classes.

    Returns:
        `PQ`, `SQ` (mean IoU of matches) and `RQ` (F1 of finding segments), means over the classes
        that occur in the truth or among the predictions; `per_class`, the PQ of each; `seen`,
        `unseen` and `harmonic_mean`. All in 0..1, None where there is nothing to measure.
    """
    iou_sum, right, wrong, missed = counts.T
    occurs = right + wrong + missed > 0
    recognition = right[occurs] / (right + wrong / 2 + missed / 2)[occurs]
    segmentation = iou_sum[occurs] / np.maximum(right[occurs], 1)
    quality = np.full(len(occurs), np.nan)
    quality[occurs] = recognition * segmentation
    by_class = {
        name: float(value) if occurs[place] else None
        for place, (name, value) in enumerate(zip(vocabulary.names, quality, strict=True))
    }
    means = {
        "PQ": quality[occurs],
        "SQ": segmentation,
        "RQ": recognition,
    }
    return {
        **{name: float(values.mean()) if values.size else None for name, values in means.items()},
        "per_class": by_class,
        **average_by_seen(by_class, vocabulary.seen),
    }
