"""Flip, large-scale jitter and one crop, as detectron2 does them, on pictures and masks."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .recipe import AugmentationRecipe

# What fills the crop beside a picture that is smaller, in raw units.
GREY = 128
# Columns and rows beside a mask that Pillow's bilinear filter may read, in resized pixels.
_MARGIN = 2


@dataclass(frozen=True)
class View:
    """What a training picture shows of an image: flipped, then resized, then cropped.

    Args:
        image_size: Height and width of the image.
        flip: Whether left and right change places.
        resized: Height and width after resizing.
        top: First row of the crop in the resized image.
        left: First column.
        side: Side of the crop; where the resized image is smaller, it is filled right and below.
    """

    image_size: tuple[int, int]
    flip: bool
    resized: tuple[int, int]
    top: int
    left: int
    side: int

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
        return canvas

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
        return canvas

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
        return canvas

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
    recipe: AugmentationRecipe, height: int, width: int, rng: np.random.Generator
) -> View:
    """Draws how an image is shown: one number for the flip, one for the scale, one for the crop.

    As in detectron2, the crop's one number serves both axes: crops lie on the diagonal.

    Args:
        recipe: The bounds.
        height: Of the image.
        width: Of the image.
        rng: Where the numbers come from; always three.

    Returns:
        The view.
    """
    flip = bool(rng.random() < recipe.flip)
    target = recipe.crop_size * rng.uniform(*recipe.scale)
    factor = min(target / height, target / width)
    resized = max(1, round(height * factor)), max(1, round(width * factor))
    place = rng.random()
    top, left = (round(max(0, side - recipe.crop_size) * place) for side in resized)
    return View((height, width), flip, resized, top, left, recipe.crop_size)


def _resize(
    grey: np.ndarray,
    size: tuple[int, int],
    smooth: bool,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    filtered = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size[::-1], filtered, box))
