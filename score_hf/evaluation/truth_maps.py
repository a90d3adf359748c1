"""What is true at every pixel of a row: as classes, and as segments that do not overlap.

A semantic set says it itself: each class of its label image is one segment, and its ignored pixels
are void, where nothing is right or wrong. Of an instance set every object is a segment. Objects
may overlap, and a pixel can have one meaning only: smaller objects lie on larger ones, so that a
car on a bridge stays; what is hidden altogether does not count. Where there is no object is
background: predicting something there is wrong, unlike on void.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.loading import objects_of
from ..data.records import IGNORED
from .predicting import decode_image


@dataclass(frozen=True)
class TruthSegments:
    """The true segments of one image.

    Args:
        segment_ids: (height, width) int64; 0 for none, segments from 1.
        labels: Class of each segment.
        crowd: Whether each is a group of objects that was not taken apart.
        void: (height, width) bool: where nothing is known.
    """

    segment_ids: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    void: np.ndarray


def class_map(row: Mapping[str, Any], num_classes: int) -> np.ndarray:
    """Gives the class of every pixel of a row.

    Args:
        row: Of an instance or semantic set, its label perhaps undecoded.
        num_classes: How many classes the set has.

    Returns:
        (height, width) uint8, `IGNORED` where there is none; of an instance set, that is where
        there is no object.

    Raises:
        ValueError: If a label image is damaged, of another size or holds an unknown class.
    """
    if "label" not in row:
        segments = true_segments(row, num_classes)
        table = np.append(IGNORED, segments.labels).astype(np.uint8)
        return table[segments.segment_ids]
    name = f"label of image {row['file_name']!r} of `dataset`"
    label = np.asarray(decode_image(row["label"], name))
    if label.shape != (row["height"], row["width"]):
        raise ValueError(
            f"The {name} is of shape {label.shape}, but its image is of height and width "
            f"{(row['height'], row['width'])}: prepare the dataset again."
        )
    unknown = label[(label >= num_classes) & (label != IGNORED)]
    if unknown.size:
        raise ValueError(
            f"The {name} holds class {int(unknown[0])}, but there are {num_classes} classes "
            f"(from 0) and {IGNORED} for none: prepare the dataset again."
        )
    return label


def true_segments(row: Mapping[str, Any], num_classes: int) -> TruthSegments:
    """Gives the segments of a row; see above for what they are.

    Args:
        row: Of an instance or semantic set.
        num_classes: How many classes the set has.

    Returns:
        The segments.

    Raises:
        ValueError: As for `class_map`.
    """
    if "label" in row:
        classes = class_map(row, num_classes)
        present = np.setdiff1d(classes, [IGNORED])
        table = np.zeros(IGNORED + 1, dtype=np.int64)
        table[present] = np.arange(1, len(present) + 1)
        crowd = np.zeros(len(present), dtype=bool)
        return TruthSegments(table[classes], present.astype(np.int64), crowd, classes == IGNORED)
    masks, labels, crowd = objects_of(row)
    drawn = np.zeros((row["height"], row["width"]), dtype=np.int64)
    # Groups first: they say the least about a pixel.
    for place in sorted(range(len(masks)), key=lambda one: (not crowd[one], -masks[one].sum())):
        drawn[masks[place]] = place + 1
    return TruthSegments(drawn, labels, crowd, np.zeros(drawn.shape, dtype=bool))
