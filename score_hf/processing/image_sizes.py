"""How large images become, and how large the network takes them."""

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image
from transformers.image_utils import SizeDict


def resized_size(
    height: int, width: int, shortest_edge: int, longest_edge: int | None
) -> tuple[int, int]:
    """Size of the resized image, by detectron2's rule that the original was evaluated with.

    Transformers' own helper truncates where detectron2 rounds, and so differs by a pixel.

    Args:
        height: Height of the image.
        width: Width of the image.
        shortest_edge: The short side is brought to this,
        longest_edge: unless the long side would exceed this: then the long side is.

    Returns:
        Height and width, at least 1.
    """
    scale = shortest_edge / min(height, width)
    new_height, new_width = scale * height, scale * width
    longest = max(new_height, new_width)
    if longest_edge is not None and longest > longest_edge:
        new_height, new_width = (side * longest_edge / longest for side in (new_height, new_width))
    return max(1, math.floor(new_height + 0.5)), max(1, math.floor(new_width + 0.5))


def fitted_size(height: int, width: int, size: SizeDict) -> tuple[int, int]:
    """Size of the resized image, by any of the rules of Transformers' image processors.

    Args:
        height: Height of the image.
        width: Width of the image.
        size: `shortest_edge` and perhaps `longest_edge`, or `height` and `width`, or `max_height`
            and `max_width`.

    Returns:
        Height and width, at least 1.

    Raises:
        ValueError: If `size` has other keys, or lengths that are not positive.
    """
    if any(length is not None and length < 1 for length in dict(size).values()):
        raise ValueError(f"`size` must hold positive numbers of pixels, but got {dict(size)}.")
    if size.shortest_edge:
        return resized_size(height, width, size.shortest_edge, size.longest_edge)
    if size.height and size.width:
        return size.height, size.width
    if size.max_height and size.max_width:
        scale = min(size.max_height / height, size.max_width / width)
        return max(1, int(height * scale)), max(1, int(width * scale))
    raise ValueError(
        "`size` must have `shortest_edge` and perhaps `longest_edge`, or `height` and `width`, or "
        f"`max_height` and `max_width`, but got {dict(size)}."
    )


def padded_size(height: int, width: int, divisor: int) -> tuple[int, int]:
    """Height and width, brought up to multiples of `divisor`."""
    return math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor


@dataclass(frozen=True)
class SizeLimit:
    """What one image may become, so that the network has the memory and the time for it.

    Args:
        max_pixels: Most pixels of the network's input.
        size: What images are resized to before; None: they are not.
        divisor: Inputs are padded to multiples of this.
    """

    max_pixels: int
    size: SizeDict | None
    divisor: int

    def check(self, height: int, width: int, name: str) -> None:
        """Checks an image by its height and width, which files tell before they are decoded.

        Args:
            height: Height of the image as given.
            width: Width of the image as given.
            name: What the caller calls it; named in the error.

        Raises:
            ValueError: If the network's input would be too large.
        """
        if height < 1 or width < 1:
            # Nothing to compute; that it has no pixels is told where pixels are read.
            return
        resized = (height, width) if self.size is None else fitted_size(height, width, self.size)
        rows, columns = padded_size(*resized, self.divisor)
        if rows * columns > self.max_pixels:
            raise ValueError(
                f"{name} is {width} pixels wide and {height} high, for the network "
                f"{columns} x {rows} = {rows * columns:,} pixels, more than the "
                f"{self.max_pixels:,} of `max_pixels`; cut it into tiles, make it smaller (the "
                "image processor does by `do_resize=True` and `size`), or raise `max_pixels` if "
                "there is the memory."
            )

    def check_image(self, image: Any, name: str) -> None:
        """Checks an image in memory; what is none is left to those who read its pixels.

        Args:
            image: A PIL image, decoded or not, an array or a tensor.
            name: What the caller calls it; named in the error.

        Raises:
            ValueError: If the network's input would be too large.
        """
        if isinstance(image, Image.Image) or getattr(image, "ndim", 0) in (2, 3):
            self.check(*height_and_width(image), name)


def height_and_width(image: Any) -> tuple[int, int]:
    """Gives the size of an image.

    Args:
        image: A PIL image, or an array or tensor with channels first, last or without.

    Returns:
        Height and width.
    """
    if isinstance(image, Image.Image):
        return image.height, image.width
    if image.ndim == 2:
        return image.shape[0], image.shape[1]
    # As Transformers decides: channels come first where both could be.
    start = 1 if image.shape[0] in (1, 3, 4) else 0
    return image.shape[start], image.shape[start + 1]
