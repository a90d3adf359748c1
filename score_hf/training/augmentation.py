"""Flip, large-scale jitter and one crop, as detectron2 does them, on pictures and masks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .recipe import AugmentationRecipe

# What fills the crop beside a picture that is smaller, in raw units.
GREY = 128
# Columns and rows beside a mask that Pillow's bilinear filter may read, in resized pixels.
_MARGIN = 2


@dataclass(frozen=True)
class View:
    """What a training picture shows of an image: flipped, resized, cropped, then turned.

    Args:
        image_size: Height and width of the image.
        flip: Whether left and right change places.
        resized: Height and width after resizing.
        top: First row of the crop in the resized image.
        left: First column.
        side: Side of the crop; where the resized image is smaller, it is filled right and below.
        turns: Quarter turns of the crop against the clock.
    """

    image_size: tuple[int, int]
    flip: bool
    resized: tuple[int, int]
    top: int
    left: int
    side: int
    turns: int = 0

    def of_image(self, image: Image.Image) -> np.ndarray:
        """Shows an image.

        Args:
            image: RGB.

        Returns:
            (side, side, 3) uint8.
        """
        if self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        resized = np.asarray(image.resize(self.resized[::-1], Image.Resampling.BILINEAR))
        shown = resized[self.top : self.top + self.side, self.left : self.left + self.side]
        canvas = np.full((self.side, self.side, 3), GREY, dtype=np.uint8)
        canvas[: shown.shape[0], : shown.shape[1]] = shown
        return self._turned(canvas)

    def of_label(self, label: np.ndarray, outside: int) -> np.ndarray:
        """Shows a map of class indices; resized without mixing them.

        Args:
            label: (height, width) uint8.
            outside: What fills the crop beside a map that is smaller.

        Returns:
            (side, side) uint8.
        """
        resized = _resize(label[:, ::-1] if self.flip else label, self.resized, False)
        shown = resized[self.top : self.top + self.side, self.left : self.left + self.side]
        canvas = np.full((self.side, self.side), outside, dtype=np.uint8)
        canvas[: shown.shape[0], : shown.shape[1]] = shown
        return self._turned(canvas)

    def of_mask(self, mask: np.ndarray) -> np.ndarray:
        """Shows a mask.

        The original resizes polygons and rasterises them, which takes half a pixel off every
        border and so much of a small object. Here the mask itself is resized, filtered as the
        image is, and a pixel belongs to the object if at least half of it does: what is left of an
        object has its area. Only the part around the object is computed, with the same result as
        for the whole.

        Args:
            mask: (height, width) bool.

        Returns:
            (side, side) bool.
        """
        canvas = np.zeros((self.side, self.side), dtype=bool)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return canvas
        if self.flip:
            mask, columns = mask[:, ::-1], self.image_size[1] - 1 - columns[::-1]
        top, bottom = self._reach(rows[0], rows[-1] + 1, 0)
        left, right = self._reach(columns[0], columns[-1] + 1, 1)
        if not self._shows(top, bottom, left, right):
            return canvas
        (height, width), (new_height, new_width) = self.image_size, self.resized
        grid = _resize(
            mask.astype(np.uint8) * 255,
            (bottom - top, right - left),
            True,
            # The region in image pixels; it is exactly that of the resized pixels.
            (
                left * width / new_width,
                top * height / new_height,
                right * width / new_width,
                bottom * height / new_height,
            ),
        )
        # Rows and columns that both the region and the crop have.
        first_row, first_column = max(top, self.top), max(left, self.left)
        last_row, last_column = (
            min(bottom, self.top + self.side),
            min(right, self.left + self.side),
        )
        canvas[
            first_row - self.top : last_row - self.top,
            first_column - self.left : last_column - self.left,
        ] = grid[first_row - top : last_row - top, first_column - left : last_column - left] >= 128
        return self._turned(canvas)

    def shows_box(self, box: tuple[float, float, float, float]) -> bool:
        """Whether anything of a box can be in the crop.

        Args:
            box: Left, top, width and height in pixels of the image.
        """
        left, top, width, height = box
        if self.flip:
            left = self.image_size[1] - left - width
        rows = self._reach(math.floor(top), math.ceil(top + height), 0)
        columns = self._reach(math.floor(left), math.ceil(left + width), 1)
        return self._shows(*rows, *columns)

    def _turned(self, canvas: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(canvas, self.turns))

    def _reach(self, first: int, end: int, axis: int) -> tuple[int, int]:
        """Resized rows or columns that pixels from `first` to before `end` take part in."""
        before, after = self.image_size[axis], self.resized[axis]
        # Where the image grows, a pixel reaches as far as it is large.
        margin = _MARGIN + math.ceil(after / before)
        low = math.floor(first * after / before) - margin
        high = math.ceil(end * after / before) + margin
        return max(0, low), min(after, high)

    def _shows(self, top: int, bottom: int, left: int, right: int) -> bool:
        return (
            bottom > self.top
            and right > self.left
            and top < self.top + self.side
            and left < self.left + self.side
        )


def draw_view(
    recipe: AugmentationRecipe,
    height: int,
    width: int,
    rng: np.random.Generator,
    objects: Sequence[Mapping[str, Any]] = (),
) -> View:
    """Draws how an image is shown: flip, scale, place of the crop, and turns.

    Args:
        recipe: The bounds.
        height: Of the image.
        width: Of the image.
        rng: Where the numbers come from; always as many for one recipe and number of objects.
        objects: Those of the image, with `bbox` and `category`, to crop around where the recipe
            says so; an image without is cropped anywhere.

    Returns:
        The view.
    """
    flip = bool(rng.random() < recipe.flip)
    target = recipe.crop_size * rng.uniform(*recipe.scale)
    factor = min(target / height, target / width)
    resized = max(1, round(height * factor)), max(1, round(width * factor))
    if recipe.crops == "diagonal":
        place = rng.random()
        top, left = (round(max(0, side - recipe.crop_size) * place) for side in resized)
    else:
        centre = _draw_centre(objects, width, flip, rng)
        top, left = (
            _draw_start(side, recipe.crop_size, None if centre is None else at * factor, rng)
            for side, at in zip(resized, centre or (0.0, 0.0), strict=True)
        )
    turns = int(rng.integers(4)) if recipe.quarter_turns else 0
    return View((height, width), flip, resized, top, left, recipe.crop_size, turns)


def _draw_centre(
    objects: Sequence[Mapping[str, Any]], width: int, flip: bool, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Row and column of an object's centre; first a class is drawn, so that rare ones count."""
    classes = sorted({one["category"] for one in objects})
    if not classes:
        return None
    drawn = classes[int(rng.integers(len(classes)))]
    of_class = [one for one in objects if one["category"] == drawn]
    left, top, box_width, box_height = of_class[int(rng.integers(len(of_class)))]["bbox"]
    column = left + box_width / 2
    return top + box_height / 2, width - column if flip else column


def _draw_start(side: int, crop: int, centre: float | None, rng: np.random.Generator) -> int:
    """First row or column of a crop that lies in the picture and shows the centre, if any."""
    last = max(0, side - crop)
    low, high = 0, last
    if centre is not None:
        low = min(last, max(0, math.ceil(centre) - crop))
        high = max(low, min(last, math.floor(centre)))
    return int(rng.integers(low, high + 1))


def _resize(
    grey: np.ndarray,
    size: tuple[int, int],
    smooth: bool,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    filtered = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size[::-1], filtered, box))
