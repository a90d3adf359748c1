"""Cuts whole scenes of iSAID into patches, and their masks with them, as its devkit does."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ...processing.coco_masks import encode_mask
from ..records import ObjectRecord

# Scenes that the devkit passes over.
SKIPPED_SCENES = ("P1527", "P1530")
SMALLEST_AREA = 11
TOO_SMALL = "object of 10 pixels or fewer in its patch, left out by the devkit"
HAS_SPECK = "object with a speck of 1 or 2 pixels in its patch, left out whole by the devkit"
NO_CLASS_COLOUR = "instance whose colour is none of a class"

# Numbers below are no instances.
_FIRST_INSTANCE = 1000
_COLOURS = {
    "ship": (0, 0, 63),
    "storage_tank": (0, 63, 63),
    "baseball_diamond": (0, 63, 0),
    "tennis_court": (0, 63, 127),
    "basketball_court": (0, 63, 191),
    "Ground_Track_Field": (0, 63, 255),
    "Bridge": (0, 127, 63),
    "Large_Vehicle": (0, 127, 127),
    "Small_Vehicle": (0, 0, 127),
    "Helicopter": (0, 0, 191),
    "Swimming_pool": (0, 0, 255),
    "Roundabout": (0, 191, 127),
    "Soccer_ball_field": (0, 127, 191),
    "plane": (0, 127, 255),
    "Harbor": (0, 100, 155),
}


def _number(red: Any, green: Any, blue: Any) -> Any:
    return red + 256 * green + 65536 * blue


_CLASS_OF_COLOUR = {_number(*colour): name for name, colour in _COLOURS.items()}


class Window(NamedTuple):
    """A rectangle of a scene in pixels; `bottom` and `right` are the first outside."""

    top: int
    bottom: int
    left: int
    right: int


def windows(height: int, width: int, side: int, overlap: int) -> list[Window]:
    """Lists the patches of a scene.

    The last row and column end at the border of the scene. A scene that is not larger than a patch
    in both directions is not cut, however long the other side is.

    Args:
        height: Of the scene, in pixels.
        width: Of the scene, in pixels.
        side: Height and width of a patch.
        overlap: Of neighbours, in pixels.
    """
    if height <= side or width <= side:
        return [Window(0, height, 0, width)]
    tops, lefts = (
        dict.fromkeys(min(start, length - side) for start in range(0, length, side - overlap))
        for length in (height, width)
    )
    return [Window(top, top + side, left, left + side) for top in tops for left in lefts]


@dataclass(frozen=True, eq=False)
class Part:
    """What of an object lies in a patch.

    Args:
        category: Its class; None if its colour is none of a class.
        mask: (rows, columns), bool: the rectangle that holds it.
        top: First row in the patch.
        left: First column in the patch.
    """

    category: str | None
    mask: np.ndarray
    top: int
    left: int


def parts_in_pictures(instances: Image.Image, colours: Image.Image) -> Iterator[Part]:
    """Finds the objects of a patch in the two pictures that encode them.

    Args:
        instances: RGB, whose colours number the instances.
        colours: RGB, whose colours tell the classes.

    Yields:
        The objects. Of several colours under one object the one with the smallest number counts.
    """
    numbers, classes = (
        _number(*np.asarray(picture).astype(np.int32).transpose(2, 0, 1))
        for picture in (instances, colours)
    )
    rows, columns = np.nonzero(numbers >= _FIRST_INSTANCE)
    owners = numbers[rows, columns]
    order = np.argsort(owners, kind="stable")
    first = np.flatnonzero(np.diff(owners[order], prepend=-1))
    for pixels in np.split(order, first[1:]) if order.size else ():
        row, column = rows[pixels], columns[pixels]
        top, left = row.min(), column.min()
        mask = np.zeros((row.max() - top + 1, column.max() - left + 1), dtype=bool)
        mask[row - top, column - left] = True
        colour = int(classes[row, column].min())
        yield Part(_CLASS_OF_COLOUR.get(colour), mask, int(top), int(left))


def keep_as_devkit(
    parts: Iterable[Part], height: int, width: int
) -> tuple[list[ObjectRecord], list[str]]:
    """Keeps the parts that the devkit keeps.

    Args:
        parts: Of one patch.
        height: Of the patch.
        width: Of the patch.

    Returns:
        The objects, and for each that is left out, why.
    """
    objects: list[ObjectRecord] = []
    dropped: list[str] = []
    for part in parts:
        if part.category is None:
            dropped.append(NO_CLASS_COLOUR)
        elif part.mask.sum() < SMALLEST_AREA:
            dropped.append(TOO_SMALL)
        elif has_speck(part.mask):
            dropped.append(HAS_SPECK)
        else:
            mask = torch.from_numpy(part.mask)
            segmentation = encode_mask(mask, part.left, part.top, (height, width))
            objects.append(ObjectRecord(part.category, segmentation))
    return objects, dropped


def has_speck(mask: np.ndarray) -> bool:
    """Tells whether one or two pixels touch no others of the mask, not even at a corner.

    The devkit leaves out an object if any of its outlines has fewer than three points.

    Args:
        mask: (rows, columns), bool.
    """
    near = _neighbours(mask)
    if (mask & (near == 0)).any():
        return True
    ends = mask & (near == 1)
    return bool((ends & (_neighbours(ends) == 1)).any())


def _neighbours(mask: np.ndarray) -> np.ndarray:
    """Number of the eight pixels around each that are in the mask."""
    rows, columns = mask.shape
    padded = np.pad(mask.astype(np.int8), 1)
    around = sum(
        padded[down : down + rows, right : right + columns]
        for down in range(3)
        for right in range(3)
    )
    return np.asarray(around) - mask
