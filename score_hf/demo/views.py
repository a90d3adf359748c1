"""What is seen: instances, a class for each pixel, or segments that share the picture out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from ..processing.image_processing_score import ScoreImageProcessor
from ..visualize import draw_instances
from .found import Ensemble, FoundObject, StoredResult, filter_objects

INSTANCES, SEMANTIC, PANOPTIC = "Instances", "Semantic", "Panoptic"
VIEWS = (INSTANCES, SEMANTIC, PANOPTIC)
# Larger pictures are shown at this; their results are of full size all the same.
LONGEST_DISPLAY = 1280
_DIMMED = 0.45


@dataclass(frozen=True)
class Wish:
    """What a visitor wants to see of a result.

    Args:
        view: One of `VIEWS`.
        threshold: Lowest score.
        shown: Indices of the classes that are shown.
        ensemble: How scores are mixed.
        max_detections: How many instances there can be.
    """

    view: str
    threshold: float
    shown: frozenset[int]
    ensemble: Ensemble
    max_detections: int


@dataclass(frozen=True, eq=False)
class Part:
    """One coloured part of a view: an instance, the pixels of a class, or a segment.

    Args:
        number: That the table calls it by.
        label: Index of its class.
        score: Its score; None for the pixels of a class.
        mask: (height, width) bool, at display size.
    """

    number: int
    label: int
    score: float | None
    mask: np.ndarray


def display_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which a picture of this height and width is shown."""
    scale = min(1.0, LONGEST_DISPLAY / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def display_picture(result: StoredResult) -> Image.Image:
    """The picture at display size."""
    height, width = display_size(result.size)
    return result.picture.resize((width, height), Image.Resampling.BOX)


def make_parts(
    result: StoredResult,
    objects: Sequence[FoundObject],
    wish: Wish,
    processor: ScoreImageProcessor,
) -> list[Part]:
    """Divides a result into what its view colours.

    Args:
        result: The stored result.
        objects: All instances that were found in it.
        wish: What is wanted.
        processor: Of the model.

    Returns:
        The parts, of the classes that are shown.
    """
    size = display_size(result.size)
    if wish.view == INSTANCES:
        return [
            Part(one.number, one.label, one.score, one.mask(result.size, size))
            for one in filter_objects(objects, wish.threshold, wish.shown)
        ]
    outputs = result.outputs(wish.ensemble)
    options: dict[str, Any] = {"threshold": wish.threshold, "target_sizes": [size]}
    if wish.view == SEMANTIC:
        labels = processor.post_process_semantic_segmentation(outputs, **options)[0].numpy()
        present = [label for label in np.unique(labels).tolist() if label in wish.shown]
        return [
            Part(number, label, None, labels == label) for number, label in enumerate(present, 1)
        ]
    panoptic = processor.post_process_panoptic_segmentation(outputs, **options)[0]
    ids = panoptic["segmentation"].numpy()
    return [
        Part(segment["id"], segment["label_id"], segment["score"], ids == segment["id"])
        for segment in panoptic["segments_info"]
        if segment["label_id"] in wish.shown
    ]


def draw_parts(result: StoredResult, parts: Sequence[Part]) -> Image.Image:
    """Draws a view over its picture, one colour a class.

    Args:
        result: The stored result.
        parts: Of the view.

    Returns:
        The picture at display size.
    """
    return draw_instances(
        display_picture(result),
        (part.mask for part in parts),
        [part.label for part in parts],
        [entry.name for entry in result.classes],
        legend=False,
    )


def draw_full_size(result: StoredResult, objects: Sequence[FoundObject]) -> Image.Image:
    """Draws instances over the picture at its own size, with a legend."""
    return draw_instances(
        result.picture,
        (one.mask(result.size) for one in objects),
        [one.label for one in objects],
        [entry.name for entry in result.classes],
    )


def highlight(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """Dims everything but one object and draws a double line around it.

    Args:
        picture: An overlay.
        mask: (height, width) bool.

    Returns:
        The picture.
    """
    inside = Image.fromarray(mask)
    dimmed = Image.blend(picture, Image.new("RGB", picture.size), _DIMMED)
    dimmed.paste(picture, (0, 0), inside)
    return outline(dimmed, mask)


def outline(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """Draws a white line around a mask and a black one around that: seen on any ground."""
    line = max(1, round(max(picture.size) / 500))
    drawn, previous = picture.copy(), Image.fromarray(mask).convert("L")
    for color in ("white", "black"):
        grown = previous.filter(ImageFilter.MaxFilter(2 * line + 1))
        ring = np.asarray(grown) > np.asarray(previous)
        drawn.paste(Image.new("RGB", picture.size, color), (0, 0), Image.fromarray(ring))
        previous = grown
    return drawn
