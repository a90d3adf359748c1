"""What an evaluation needs of a task: how outputs are read, images measured, and summed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..modeling.modeling_score import ScoreForInstanceSegmentationOutput
from .coco_metrics import PrecisionRecall
from .predicting import Row
from .vocabulary import Vocabulary

_BY_SEEN = ("seen", "unseen", "harmonic_mean")
# What tells how good a model is, in 0 to 1; the one that a task is named by first.
FIGURES = {
    "instance": ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR", *_BY_SEEN),
    "semantic": ("mIoU", "fwIoU", "pixel_accuracy", "mean_accuracy", *_BY_SEEN),
    "panoptic": ("PQ", "SQ", "RQ", *_BY_SEEN),
}


@dataclass(frozen=True)
class Findings:
    """What was found out about a dataset.

    Args:
        figures: For metrics.json.
        image_scores: How good each image is, 0 to 1, in the order it was measured in; None where
            there is nothing to measure.
        image_score_name: What that is, for people.
        shown_above: Predictions that score less are not drawn.
        curves: Of instances.
    """

    figures: dict[str, Any]
    image_scores: list[float | None]
    image_score_name: str
    shown_above: float = 0.0
    curves: PrecisionRecall | None = None


class EvaluationTask(Protocol):
    """Instances, classes of pixels, or segments that do not overlap."""

    name: str
    vocabulary: Vocabulary

    def read(
        self, outputs: ScoreForInstanceSegmentationOutput, rows: list[Row]
    ) -> list[dict[str, Any]]:
        """Turns outputs into one record an image, ready for JSON, with its `predictions`."""

    def measure(self, record: dict[str, Any]) -> Any:
        """Compares one image's record with the truth."""

    def summarize(self, measured: Sequence[Any]) -> Findings:
        """Puts all images together; `measured` by rising image id."""
