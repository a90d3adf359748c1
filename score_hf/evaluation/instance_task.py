"""Instances: what is predicted for an image, and COCO's figures of all."""

from collections.abc import Sequence
from typing import Any

from ..modeling.modeling_score import ScoreForInstanceSegmentationOutput
from ..processing.processing_score import ScoreProcessor
from .coco_metrics import ImageMatches, accumulate_matches, match_image, summarize
from .predicting import Row, sizes_of
from .vocabulary import Vocabulary


class InstanceTask:
    """Mask average precision of a dataset of objects.

    Args:
        processor: Turns outputs into instances.
        vocabulary: The classes.
        truth: COCO's dictionary of the dataset, with category ids from 1 in the vocabulary's order.
        threshold: Lowest score of an instance; 0, as in the original, keeps all.
    """

    name = "instance"

    def __init__(
        self,
        processor: ScoreProcessor,
        vocabulary: Vocabulary,
        truth: dict[str, Any],
        threshold: float = 0.0,
    ) -> None:
        self.processor, self.vocabulary, self.threshold = processor, vocabulary, threshold
        self.category_ids = list(range(1, len(vocabulary.names) + 1))
        self.images = {image["id"]: image for image in truth["images"]}
        self.objects: dict[int, list[dict[str, Any]]] = {number: [] for number in self.images}
        for entry in truth["annotations"]:
            self.objects[entry["image_id"]].append(entry)

    def read(
        self, outputs: ScoreForInstanceSegmentationOutput, rows: list[Row]
    ) -> list[dict[str, Any]]:
        """Turns outputs into COCO results, best first; extra names are left out."""
        results = self.processor.post_process_instance_segmentation(
            outputs, self.threshold, target_sizes=sizes_of(rows), return_rle=True
        )
        return [{"predictions": self.as_predictions(result)} for result in results]

    def as_predictions(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Writes instances as COCO results do, without `image_id`."""
        columns = result["labels"].tolist(), result["masks"], result["scores"].tolist()
        return [
            {"category_id": label + 1, "segmentation": mask, "score": score}
            for label, mask, score in zip(*columns, strict=True)
            if label < len(self.vocabulary.names)
        ]

    def measure(self, record: dict[str, Any]) -> ImageMatches:
        """Matches the instances of one image with its objects."""
        number = record["image_id"]
        return match_image(
            self.images[number], self.objects[number], record["predictions"], self.category_ids
        )

    def summarize(self, measured: Sequence[ImageMatches]) -> dict[str, Any]:
        """Gives the figures; `measured` by rising image id."""
        curves = accumulate_matches(measured, self.category_ids)
        return summarize(curves, self.vocabulary.names, self.vocabulary.seen)
