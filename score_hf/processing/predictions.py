"""The network's output for one image, and its masks at the size of the picture."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from operator import index
from typing import Any

import torch
from torch import nn

# Mask logits come at this stride of the padded input.
MASK_STRIDE = 4
# Full-size mask logits that are held at a time: 2^22 float32 numbers are 16 MiB.
_CHUNK_PIXELS = 2**22


@dataclass(frozen=True)
class Prediction:
    """What the network says about one image.

    Args:
        class_logits: `(queries, classes + 1)` float32; the last column is void.
        mask_logits: `(queries, padded height / 4, padded width / 4)`.
        seen_classes: `(classes,)` bool: was the class trained on. None where that is not known.
        image_size: Height and width of the image inside the padded input.
        target_size: Height and width of the masks to make.
    """

    class_logits: torch.Tensor
    mask_logits: torch.Tensor
    seen_classes: torch.Tensor | None
    image_size: tuple[int, int]
    target_size: tuple[int, int]

    @property
    def num_classes(self) -> int:
        return self.class_logits.shape[-1] - 1

    def full_size_masks(self, queries: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Brings masks to the target size, a few at a time.

        As in the original: mask logits are resized to the padded input, cropped to the image and
        resized again to the target, both times bilinearly.

        Args:
            queries: `(n,)` indices of the queries wanted.

        Yields:
            The next few of `queries`, and their mask logits `(few, height, width)` in float32.
        """
        if len(queries) == 0:
            return
        height, width = self.image_size
        # One cell more than the image covers is all that reaches into it: the padding around it
        # need not be resized.
        rows = min(math.ceil(height / MASK_STRIDE) + 1, self.mask_logits.shape[-2])
        columns = min(math.ceil(width / MASK_STRIDE) + 1, self.mask_logits.shape[-1])
        resized = (rows * MASK_STRIDE, columns * MASK_STRIDE)
        largest = max(math.prod(resized), math.prod(self.target_size))
        for some in queries.split(max(1, _CHUNK_PIXELS // largest)):
            masks = self.mask_logits[some, :rows, :columns].float()[None]
            masks = nn.functional.interpolate(
                masks, size=resized, mode="bilinear", align_corners=False
            )[..., :height, :width]
            if self.target_size != self.image_size:
                masks = nn.functional.interpolate(
                    masks, size=self.target_size, mode="bilinear", align_corners=False
                )
            yield some, masks[0]


def _read(outputs: Any, name: str) -> Any:
    if isinstance(outputs, dict):
        return outputs.get(name)
    return getattr(outputs, name, None)


def _as_sizes(sizes: Any) -> list[tuple[int, int]]:
    if isinstance(sizes, torch.Tensor):
        sizes = sizes.tolist()
    # Not `int`, which would cut off what follows the point.
    return [(index(height), index(width)) for height, width in sizes]


def _check_target_sizes(target_sizes: Any, batch_size: int) -> list[tuple[int, int]]:
    try:
        sizes = _as_sizes(target_sizes)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`target_sizes` must hold two whole numbers, (height, width), for each image, but got "
            f"{target_sizes!r:.200}."
        ) from error
    if len(sizes) != batch_size:
        raise ValueError(
            f"`target_sizes` has {len(sizes)} entries for {batch_size} images; give one "
            "(height, width) an image."
        )
    if any(side < 1 for size in sizes for side in size):
        raise ValueError(f"`target_sizes` must hold positive heights and widths, but got {sizes}.")
    return sizes


def split_outputs(
    outputs: Any, target_sizes: Sequence[tuple[int, int]] | torch.Tensor | None = None
) -> list[Prediction]:
    """Takes a batch of model outputs apart.

    Args:
        outputs: Has `class_queries_logits` `(batch, queries, classes + 1)`,
            `masks_queries_logits` `(batch, queries, height / 4, width / 4)` and, if known,
            `image_sizes` `(batch, 2)` and `seen_classes` `(classes,)` or `(batch, classes)`.
        target_sizes: `(height, width)` of each image's result. None: that of the resized image.

    Returns:
        One [`Prediction`] an image.

    Raises:
        ValueError: If shapes or numbers of images do not go together.
    """
    class_logits = _read(outputs, "class_queries_logits")
    mask_logits = _read(outputs, "masks_queries_logits")
    if class_logits is None or mask_logits is None:
        raise ValueError(
            "`outputs` must have `class_queries_logits` and `masks_queries_logits`, as SCORE's "
            f"model returns them, but got {type(outputs).__name__}."
        )
    if (
        class_logits.ndim != 3
        or mask_logits.ndim != 4
        or class_logits.shape[:2] != mask_logits.shape[:2]
        or class_logits.shape[2] < 2
    ):
        raise ValueError(
            "`outputs` must hold class logits (batch, queries, classes + 1) and mask logits "
            f"(batch, queries, height, width), but got {tuple(class_logits.shape)} and "
            f"{tuple(mask_logits.shape)}."
        )
    batch_size, num_classes = class_logits.shape[0], class_logits.shape[2] - 1
    padded = (mask_logits.shape[2] * MASK_STRIDE, mask_logits.shape[3] * MASK_STRIDE)

    image_sizes = _read(outputs, "image_sizes")
    image_sizes = [padded] * batch_size if image_sizes is None else _as_sizes(image_sizes)
    if len(image_sizes) != batch_size or any(
        not 0 < side <= limit
        for size in image_sizes
        for side, limit in zip(size, padded, strict=True)
    ):
        raise ValueError(
            f"`outputs.image_sizes` must hold {batch_size} sizes within the padded input {padded}, "
            f"but got {image_sizes}."
        )
    if target_sizes is None:
        target_sizes = image_sizes
    else:
        target_sizes = _check_target_sizes(target_sizes, batch_size)

    seen_classes = _read(outputs, "seen_classes")
    if seen_classes is not None:
        if seen_classes.shape not in ((num_classes,), (batch_size, num_classes)):
            raise ValueError(
                f"`outputs.seen_classes` must have an entry for each of {num_classes} classes, but "
                f"got shape {tuple(seen_classes.shape)}."
            )
        seen_classes = seen_classes.bool().expand(batch_size, num_classes)
    return [
        Prediction(
            class_logits=class_logits[index].float(),
            mask_logits=mask_logits[index],
            seen_classes=None if seen_classes is None else seen_classes[index],
            image_size=image_sizes[index],
            target_size=target_sizes[index],
        )
        for index in range(batch_size)
    ]


def check_fraction(value: float, argument: str) -> float:
    """Checks a number that must lie between 0 and 1.

    Args:
        value: The number.
        argument: What the caller calls it; named in the error.

    Returns:
        The number.

    Raises:
        ValueError: If it is not a number in [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"`{argument}` must be a number between 0 and 1, but got {value!r}.")
    return float(value)


def check_count(value: int, argument: str) -> int:
    """Checks a number of things that must be a positive integer.

    Args:
        value: The number.
        argument: What the caller calls it; named in the error.

    Returns:
        The number.

    Raises:
        ValueError: If it is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{argument}` must be a positive integer, but got {value!r}.")
    return int(value)
