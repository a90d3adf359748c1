"""The three ways to read SCORE's outputs, as methods of its processors."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from transformers.image_processing_outputs import SemanticSegmentationPostProcessorOutput

from .instances import find_instances, list_class_names
from .predictions import check_count, check_fraction, split_outputs
from .segmentation_maps import find_segments, label_pixels, score_pixels


class ScorePostProcessing:
    """Turns outputs into results; shared by the image processor, where pipelines look, and ours."""

    max_detections: int

    def post_process_instance_segmentation(
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.0,
        target_sizes: Sequence[tuple[int, int]] | torch.Tensor | None = None,
        max_detections: int | None = None,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        return_rle: bool = False,
    ) -> list[dict[str, Any]]:
        """Turns the model's outputs into instances, which may overlap.

        Args:
            outputs: What the model returned.
            threshold: Lowest score of an instance; 0 keeps all, even those with an empty mask.
            mask_threshold: Mask probability above which a pixel belongs to an instance.
            overlap_mask_area_threshold: For `segmentation` only: the share of its mask that an
                instance must show there, where better instances do not cover it, to be drawn.
            target_sizes: (height, width) of each result, usually of the images as they were
                given (upright). None: of the resized images.
            max_detections: How many (query, class) pairs, the best, can become instances. None:
                the processor's `max_detections`.
            class_names: A name for each class, as a list or a dictionary from class index to
                name such as `model.config.id2label`. None: `LABEL_0`, `LABEL_1`, ...
            return_rle: Whether `masks` are COCO run lengths; they need far less memory.

        Returns:
            One dictionary an image, the same whatever was found:
            `scores` (n,) float32, falling; `labels` (n,) int64 class indices; `boxes` (n, 4)
            float32 x1, y1, x2, y2 in pixels, x2 and y2 exclusive, zeros for an empty mask;
            `masks` (n, height, width) bool, or a list of n dictionaries; `names`, a list of n
            strings; `seen` (n,) bool, whether the model was trained on the class (False also
            where that is not known); `segmentation` (height, width) int32, a map of the indices
            of instances, better ones on top, -1 for none; `segments_info`, a list with `id`,
            `label_id`, `score` and `was_fused` of each instance that is visible there.

        Raises:
            ValueError: If a threshold is not in [0, 1], or sizes or names do not fit the outputs.
        """
        check_fraction(threshold, "threshold")
        check_fraction(mask_threshold, "mask_threshold")
        check_fraction(overlap_mask_area_threshold, "overlap_mask_area_threshold")
        limit = self._limit(max_detections)
        predictions = split_outputs(outputs, target_sizes)
        names = list_class_names(class_names, predictions[0].num_classes) if predictions else []
        return [
            find_instances(
                prediction,
                threshold,
                mask_threshold,
                overlap_mask_area_threshold,
                limit,
                names,
                return_rle,
            )
            for prediction in predictions
        ]

    def post_process_semantic_segmentation(
        self,
        outputs: Any,
        target_sizes: Sequence[tuple[int, int]] | torch.Tensor | None = None,
        return_segmentation_scores: bool = False,
        threshold: float = 0.0,
        max_detections: int | None = None,
    ) -> list[torch.Tensor] | list[SemanticSegmentationPostProcessorOutput]:
        """Turns the model's outputs into a class for each pixel.

        Args:
            outputs: What the model returned.
            target_sizes: (height, width) of each result. None: of the resized images.
            return_segmentation_scores: Whether to return the scores too.
            threshold: A pixel whose best class scores less gets -1. The score of a class is the
                sum over queries of class probability x mask probability.
            max_detections: How many queries, the best, take part. None: the processor's
                `max_detections`.

        Returns:
            One map an image, (height, width) int64; with scores, an object with `segmentation`
            and `segmentation_scores` (classes, height, width).

        Raises:
            ValueError: If the threshold is not in [0, 1], or sizes do not fit the outputs.
        """
        check_fraction(threshold, "threshold")
        limit = self._limit(max_detections)
        results = [
            SemanticSegmentationPostProcessorOutput(
                {"segmentation": label_pixels(scores, threshold), "segmentation_scores": scores}
            )
            for scores in (
                score_pixels(prediction, limit)
                for prediction in split_outputs(outputs, target_sizes)
            )
        ]
        return results if return_segmentation_scores else [one.segmentation for one in results]

    def post_process_panoptic_segmentation(
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        label_ids_to_fuse: Collection[int] | None = None,
        target_sizes: Sequence[tuple[int, int]] | torch.Tensor | None = None,
        max_detections: int | None = None,
    ) -> list[dict[str, Any]]:
        """Turns the model's outputs into segments that do not overlap.

        Args:
            outputs: What the model returned.
            threshold: A segment's class probability must be higher.
            mask_threshold: Lowest mask probability of a segment's pixels.
            overlap_mask_area_threshold: Lowest share of its mask that a segment must have won
                from the others.
            label_ids_to_fuse: Classes whose segments become one, such as water or forest.
            target_sizes: (height, width) of each result. None: of the resized images.
            max_detections: How many queries, the best, take part. None: the processor's
                `max_detections`.

        Returns:
            One dictionary an image: `segmentation` (height, width) int32, ids from 1, 0 for none;
            `segments_info`, a list with `id`, `label_id`, `score` and `was_fused` of each.

        Raises:
            ValueError: If a threshold is not in [0, 1], or sizes do not fit the outputs.
        """
        check_fraction(threshold, "threshold")
        check_fraction(mask_threshold, "mask_threshold")
        check_fraction(overlap_mask_area_threshold, "overlap_mask_area_threshold")
        limit = self._limit(max_detections)
        return [
            find_segments(
                prediction,
                threshold,
                mask_threshold,
                overlap_mask_area_threshold,
                label_ids_to_fuse or (),
                limit,
            )
            for prediction in split_outputs(outputs, target_sizes)
        ]

    def _limit(self, given: int | None) -> int:
        return check_count(self.max_detections if given is None else given, "max_detections")
