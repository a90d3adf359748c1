"""Reads the patches of iSAID's scenes, with masks from pictures or from a COCO file."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ...processing.coco_masks import decode_mask
from ..checking import EMPTY_MASK, UNREADABLE
from ..records import Dropped, ImageRecord
from .coco_categories import CocoCategories
from .coco_index import CocoIndex
from .isaid_patches import Part, Window, keep_as_devkit, parts_in_pictures
from .segmentations import BAD_POLYGON, FAR_POLYGON, compress, valid_polygons


class Found(NamedTuple):
    """What of a scene's objects lies in a patch, and reasons as in `ImageRecord`."""

    parts: list[Part]
    dropped: list[str]
    altered: list[str]


# Opens a scene of some height and width; what it returns finds the objects in a window.
MaskSource = Callable[[str, int, int], Callable[[Window], Found]]


@dataclass(frozen=True)
class Patch:
    """A patch not yet cut.

    Args:
        image_id: Its number in the split.
        scene: Stem of its scene.
        window: Where it lies in the scene.
        is_whole: Whether it is the whole scene.
        scene_bytes: Size of the scene's file.
    """

    image_id: int
    scene: str
    window: Window
    is_whole: bool
    scene_bytes: int

    @property
    def file_name(self) -> str:
        """The devkit's name: rows first, then columns."""
        if self.is_whole:
            return f"{self.scene}.png"
        return "_".join([self.scene, *(str(edge) for edge in self.window)]) + ".png"


class PatchReader:
    """Cuts patches; keeps the last scene open, because its patches follow one another.

    Args:
        scenes: Picture of each scene.
        masks: Where the objects come from.
    """

    def __init__(self, scenes: Mapping[str, Path], masks: MaskSource) -> None:
        self._scenes = scenes
        self._masks = masks
        self._scene: str | None = None
        self._opened: tuple[Image.Image, Callable[[Window], Found]] | None = None

    def read(self, patch: Patch) -> Iterator[ImageRecord | Dropped]:
        """Reads one patch.

        Args:
            patch: Which.

        Yields:
            The record, or that its scene cannot be read.
        """
        path = self._scenes[patch.scene]
        if patch.scene != self._scene:
            self._scene, self._opened = patch.scene, None
            # Decoders of damaged files raise whatever they stumble over.
            try:
                picture = _in_colour(path)
                self._opened = picture, self._masks(patch.scene, picture.height, picture.width)
            except Exception:
                self._opened = None
        if self._opened is None:
            yield Dropped(patch.file_name, UNREADABLE)
            return
        picture, find = self._opened
        top, bottom, left, right = patch.window
        height, width = bottom - top, right - left
        found = find(patch.window)
        objects, left_out = keep_as_devkit(found.parts, height, width)
        yield ImageRecord(
            image_id=patch.image_id,
            file_name=patch.file_name,
            image=path if patch.is_whole else picture.crop((left, top, right, bottom)),
            width=width,
            height=height,
            objects=tuple(objects),
            dropped=(*found.dropped, *left_out),
            altered=tuple(found.altered),
        )


def _in_colour(path: Path) -> Image.Image:
    """A few scenes are grey."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def masks_in_pictures(instances: Mapping[str, Path], colours: Mapping[str, Path]) -> MaskSource:
    """Takes the objects from the pictures that number them: exact masks, with holes.

    Args:
        instances: Picture of each scene whose colours number the instances.
        colours: Picture of each scene whose colours tell the classes.
    """

    def open_scene(scene: str, height: int, width: int) -> Callable[[Window], Found]:
        numbers, classes = _in_colour(instances[scene]), _in_colour(colours[scene])
        if not numbers.size == classes.size == (width, height):
            raise ValueError(f"the pictures of {scene} differ in size")

        def find(window: Window) -> Found:
            top, bottom, left, right = window
            box = (left, top, right, bottom)
            return Found(list(parts_in_pictures(numbers.crop(box), classes.crop(box))), [], [])

        return find

    return open_scene


def masks_in_coco(index: CocoIndex, categories: CocoCategories) -> MaskSource:
    """Takes the objects from the COCO file of whole scenes.

    Args:
        index: The file.
        categories: Its classes.
    """
    places = {Path(image.file_name).stem: place for place, image in enumerate(index.images)}

    def open_scene(scene: str, height: int, width: int) -> Callable[[Window], Found]:
        whole = Found([], [], [])
        for annotation in index.annotations_of(places[scene]):
            _add_object(whole, annotation, categories, height, width)

        def find(window: Window) -> Found:
            parts = [part for one in whole.parts if (part := _cut(one, window)) is not None]
            # What is wrong with an object is told once, with the first patch of its scene.
            is_first = window.top == window.left == 0
            return whole._replace(parts=parts) if is_first else Found(parts, [], [])

        return find

    return open_scene


def _add_object(
    whole: Found, annotation: dict[str, Any], categories: CocoCategories, height: int, width: int
) -> None:
    category, remark = categories.category_of(annotation)
    if category is None:
        whole.dropped.append(str(remark))
        return
    drawn, changed = _draw(annotation.get("segmentation"), height, width)
    if drawn is None:
        whole.dropped.append(str(changed))
        return
    whole.altered.extend(one for one in (remark, changed) if one is not None)
    whole.parts.append(replace(drawn, category=category))


def _draw(segmentation: Any, height: int, width: int) -> tuple[Part | None, str | None]:
    """Draws an object in the rectangle that holds it, because scenes are large."""
    if not isinstance(segmentation, list) or not segmentation:
        encoded, remark = compress(segmentation, height, width)
        if encoded is None:
            return None, remark
        mask = decode_mask(encoded, (height, width), "segmentation").numpy().astype(bool)
        held = _trimmed(mask)
        return (None, EMPTY_MASK) if held is None else (held, remark)
    polygons, changed = valid_polygons(segmentation)
    if not polygons:
        return None, BAD_POLYGON
    columns = [number for polygon in polygons for number in polygon[0::2]]
    rows = [number for polygon in polygons for number in polygon[1::2]]
    left, top = math.floor(min(columns)), math.floor(min(rows))
    extent = math.ceil(max(rows)) - top + 1, math.ceil(max(columns)) - left + 1
    if extent[0] > 2 * height or extent[1] > 2 * width:
        return None, FAR_POLYGON
    moved = [
        [number - (left, top)[place % 2] for place, number in enumerate(polygon)]
        for polygon in polygons
    ]
    encoded, remark = compress(moved, *extent)
    if encoded is None:
        return None, remark
    mask = decode_mask(encoded, extent, "segmentation").numpy().astype(bool)
    return Part(None, mask, top, left), changed


def _trimmed(mask: np.ndarray) -> Part | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Part(None, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy(), top, left)


def _cut(part: Part, window: Window) -> Part | None:
    """What of an object lies in a window; None if nothing."""
    rows, columns = part.mask.shape
    top, left = max(part.top, window.top), max(part.left, window.left)
    bottom, right = min(part.top + rows, window.bottom), min(part.left + columns, window.right)
    if top >= bottom or left >= right:
        return None
    mask = part.mask[top - part.top : bottom - part.top, left - part.left : right - part.left]
    if not mask.any():
        return None
    return Part(part.category, np.ascontiguousarray(mask), top - window.top, left - window.left)
