"""Classes of pixels: mean intersection over union, as detectron2 and GSNet measure it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.records import IGNORED
from ..modeling.modeling_score import ScoreForInstanceSegmentationOutput
from ..processing.coco_masks import encode_mask
from ..processing.processing_score import ScoreProcessor
from .confusion import most_confused
from .predicting import Row, sizes_of
from .task import Findings
from .truth_maps import class_map
from .vocabulary import Vocabulary, average_by_seen


class SemanticTask:
    """Mean IoU of a dataset.

    A pixel's class is the one with the highest sum over queries of class probability x mask
    probability, as in the original. Pixels that the dataset ignores count for no class; of an
    instance set those are all without an object.

    Args:
        processor: Turns outputs into classes of pixels.
        vocabulary: The classes.
    """

    name = "semantic"

    def __init__(self, processor: ScoreProcessor, vocabulary: Vocabulary) -> None:
        self.processor, self.vocabulary = processor, vocabulary

    def read(
        self, outputs: ScoreForInstanceSegmentationOutput, rows: list[Row]
    ) -> list[dict[str, Any]]:
        """Turns outputs into a mask for each class, and counts pixels by truth and answer."""
        maps = self.processor.post_process_semantic_segmentation(outputs, sizes_of(rows))
        return [self._record(found, row) for found, row in zip(maps, rows, strict=True)]

    def _record(self, found: Any, row: Row) -> dict[str, Any]:
        size = (row["height"], row["width"])
        answers = len(self.vocabulary.names) + len(self.vocabulary.extra)
        counts = count_pixels(
            class_map(row, len(self.vocabulary.names)),
            found.cpu().numpy(),
            len(self.vocabulary.names),
            answers,
        )
        return {
            "predictions": [
                {
                    "category_id": label + 1,
                    "segmentation": encode_mask(found == label, 0, 0, size),
                }
                for label in found.unique().tolist()
                if label < len(self.vocabulary.names)
            ],
            "counts": [
                [int(truth), int(answer), int(counts[truth, answer])]
                for truth, answer in np.argwhere(counts)
            ],
        }

    def measure(self, record: dict[str, Any]) -> np.ndarray:
        """Gives the counts of one image: (classes, answers) int64."""
        names, extra = self.vocabulary.names, self.vocabulary.extra
        counts = np.zeros((len(names), len(names) + len(extra)), dtype=np.int64)
        for truth, answer, pixels in record["counts"]:
            counts[truth, answer] = pixels
        return counts

    def summarize(self, measured: Sequence[np.ndarray]) -> Findings:
        """Gives the figures of all images, and the classes most often taken for others."""
        counts = np.sum(measured, axis=0)
        figures = {
            **summarize_pixels(counts, self.vocabulary),
            "pixels": dict(zip(self.vocabulary.names, counts.sum(axis=1).tolist(), strict=True)),
            "confusion": most_confused(counts, self.vocabulary.names),
        }
        scores = [summarize_pixels(image, self.vocabulary)["mIoU"] for image in measured]
        return Findings(figures, scores, "mean IoU of the classes in the image")


def count_pixels(
    truth: np.ndarray, answer: np.ndarray, num_classes: int, num_answers: int
) -> np.ndarray:
    """Counts the pixels of an image by what they are and what they are called.

    Args:
        truth: (height, width), class indices, `IGNORED` for pixels that do not count.
        answer: The same shape, indices of answers.
        num_classes: Number of classes.
        num_answers: Number of answers: the classes first, then names that are always wrong.

    Returns:
        (classes, answers) int64.
    """
    counted = truth != IGNORED
    places = truth[counted].astype(np.int64) * num_answers + answer[counted]
    counts = np.bincount(places, minlength=num_classes * num_answers)
    return counts.reshape(num_classes, num_answers)


def summarize_pixels(counts: np.ndarray, vocabulary: Vocabulary) -> dict[str, Any]:
    """Reads the figures from counts over all images.

    Args:
        counts: (classes, answers).
        vocabulary: The classes.

    Returns:
        `mIoU`, the mean IoU of the classes that occur in the truth; `fwIoU`, the same weighted by
        how often they occur; `pixel_accuracy`; `mean_accuracy` of those classes; `per_class`, the
        IoU of each; `seen`, `unseen` and `harmonic_mean`. All in 0..1, None where there is nothing
        to measure.
    """
    num_classes = len(vocabulary.names)
    right = counts[:, :num_classes].diagonal()
    true, called = counts.sum(axis=1), counts[:, :num_classes].sum(axis=0)
    occurs = true > 0
    by_class = {
        name: float(right[place] / (true[place] + called[place] - right[place]))
        if occurs[place]
        else None
        for place, name in enumerate(vocabulary.names)
    }
    if not occurs.any():
        means: dict[str, float | None] = dict.fromkeys(
            ("mIoU", "fwIoU", "pixel_accuracy", "mean_accuracy")
        )
    else:
        measured = np.array([value for value in by_class.values() if value is not None])
        means = {
            "mIoU": float(measured.mean()),
            "fwIoU": float((measured * true[occurs]).sum() / true.sum()),
            "pixel_accuracy": float(right.sum() / true.sum()),
            "mean_accuracy": float((right[occurs] / true[occurs]).mean()),
        }
    return {**means, "per_class": by_class, **average_by_seen(by_class, vocabulary.seen)}
