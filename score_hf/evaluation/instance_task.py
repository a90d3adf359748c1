"""Instances: what is predicted for an image, and COCO's figures of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inference import DEFAULT_THRESHOLD
from ..modeling.modeling_score import ScoreForInstanceSegmentationOutput
from ..processing.predictions import split_outputs
from ..processing.processing_score import ScoreProcessor
from .coco_metrics import accumulate_matches, summarize
from .confusion import confused_classes, most_confused
from .mask_matching import ALL_AREAS, ImageMatches, match_image
from .operating_point import best_threshold, image_f1
from .predicting import Row, sizes_of
from .sweep import store_logits
from .task import Findings
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class ImageMeasure:
    """What was found out about one image: COCO's matches, and what each object is called."""

    matches: ImageMatches
    called: np.ndarray


class InstanceTask:
    """Mask average precision of a dataset of objects.

    Args:
        processor: Turns outputs into instances.
        vocabulary: The classes.
        truth: COCO's dictionary of the dataset, with category ids from 1 in the vocabulary's order.
        threshold: Lowest score of an instance; 0, as in the original, keeps all.
        keep_logits: Whether records also hold what a sweep over ensemble weights needs.
    """

    name = "instance"

    def __init__(
        self,
        processor: ScoreProcessor,
        vocabulary: Vocabulary,
        truth: dict[str, Any],
        threshold: float = 0.0,
        keep_logits: bool = False,
    ) -> None:
        self.processor, self.vocabulary, self.threshold = processor, vocabulary, threshold
        self.keep_logits = keep_logits
        self.category_ids = list(range(1, len(vocabulary.names) + 1))
        self.image_ids: list[int] = [image["id"] for image in truth["images"]]
        self.objects: dict[int, list[dict[str, Any]]] = {number: [] for number in self.image_ids}
        for entry in truth["annotations"]:
            self.objects[entry["image_id"]].append(entry)

    def read(
        self, outputs: ScoreForInstanceSegmentationOutput, rows: list[Row]
    ) -> list[dict[str, Any]]:
        """Turns outputs into COCO results, best first; extra names are left out."""
        sizes = sizes_of(rows)
        results = self.processor.post_process_instance_segmentation(
            outputs, self.threshold, target_sizes=sizes, return_rle=True
        )
        records: list[dict[str, Any]] = [
            {"predictions": self.as_predictions(result)} for result in results
        ]
        if self.keep_logits:
            inside, outside = outputs.in_vocabulary_logits, outputs.out_of_vocabulary_logits
            assert inside is not None and outside is not None
            for place, prediction in enumerate(split_outputs(outputs, sizes)):
                logits = store_logits(prediction, inside[place], outside[place])
                records[place]["logits"] = logits
        return records

    def as_predictions(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Writes instances as COCO results do, without `image_id`."""
        columns = result["labels"].tolist(), result["masks"], result["scores"].tolist()
        return [
            {"category_id": label + 1, "segmentation": mask, "score": score}
            for label, mask, score in zip(*columns, strict=True)
            if label < len(self.vocabulary.names)
        ]

    def match(
        self,
        image_id: int,
        predictions: list[dict[str, Any]],
        areas: Sequence[str] = ALL_AREAS,
    ) -> ImageMatches:
        """Matches predictions for one image with its objects."""
        return match_image(self.objects[image_id], predictions, self.category_ids, areas)

    def measure(self, record: dict[str, Any]) -> ImageMeasure:
        """Compares the instances of one image with its objects."""
        number, predictions = record["image_id"], record["predictions"]
        missed = len(self.vocabulary.names)
        return ImageMeasure(
            self.match(number, predictions),
            confused_classes(self.objects[number], predictions, missed),
        )

    def summarize(self, measured: Sequence[ImageMeasure]) -> Findings:
        """Gives COCO's figures, and the classes that are most often taken for others."""
        names, matches = self.vocabulary.names, [image.matches for image in measured]
        curves = accumulate_matches(matches, self.category_ids)
        called = np.zeros((len(names), len(names) + 1), dtype=np.int64)
        for image in measured:
            np.add.at(called, tuple(image.called.T), 1)
        best = best_threshold(matches)
        threshold = DEFAULT_THRESHOLD if best is None else best
        figures = {
            **summarize(curves, names, self.vocabulary.seen),
            "objects": dict(zip(names, called.sum(axis=1).tolist(), strict=True)),
            "confusion": most_confused(called, names),
            "best_F1_threshold": best,
        }
        return Findings(
            figures,
            [image_f1(image, threshold) for image in matches],
            f"F1 at IoU 0.50 of predictions that score {threshold:.2f} or more",
            threshold,
            curves,
        )
