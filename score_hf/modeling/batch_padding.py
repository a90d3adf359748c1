"""Images of different size in one batch: padded together, or each computed as if alone."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

# The coarsest stride of the general trunk: inputs must be a multiple of it.
SIZE_DIVISOR = 32
# Logit of a mask outside the part of the canvas that was computed: certainly not the object.
OUTSIDE = -1e4

Output = TypeVar("Output", bound=ModelOutput)


def pad_to_multiple(pixel_values: Tensor) -> Tensor:
    """Pads (..., height, width) right and below with zeros, to multiples of 32."""
    height, width = pixel_values.shape[-2:]
    return nn.functional.pad(pixel_values, (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))


def image_sizes_of(pixel_values: Tensor, pixel_mask: Tensor | None) -> Tensor:
    """Reads each image's own size from the padding mask.

    Args:
        pixel_values: (batch, 3, height, width).
        pixel_mask: (batch, height, width), 1 on the image; None means no padding.

    Returns:
        (batch, 2) int64, height and width.

    Raises:
        TypeError: If the pixels are no tensor.
        ValueError: If they are no batch of RGB images, or the mask does not fit them.
    """
    if not isinstance(pixel_values, Tensor):
        raise TypeError(
            "`pixel_values` must be a tensor of shape (batch, 3, height, width), got "
            f"{type(pixel_values).__name__}."
        )
    if pixel_values.ndim != 4 or pixel_values.shape[1] != 3 or pixel_values.numel() == 0:
        raise ValueError(
            "`pixel_values` must be of shape (batch, 3, height, width), nothing of it 0, got "
            f"{tuple(pixel_values.shape)}."
        )
    batch, _, height, width = pixel_values.shape
    if pixel_mask is None:
        size = torch.tensor([height, width], device=pixel_values.device)
        return size.expand(batch, 2)
    if pixel_mask.shape != (batch, height, width):
        raise ValueError(
            f"`pixel_mask` must be of shape {(batch, height, width)} to fit `pixel_values`, "
            f"got {tuple(pixel_mask.shape)}."
        )
    on_image = pixel_mask.bool()
    return torch.stack((on_image.any(dim=2).sum(dim=1), on_image.any(dim=1).sum(dim=1)), dim=1)


def group_by_size(pixel_values: Tensor, image_sizes: Tensor) -> list[tuple[list[int], Tensor]]:
    """Collects images that have one padded size when they stand alone.

    Args:
        pixel_values: (batch, 3, height, width).
        image_sizes: (batch, 2).

    Returns:
        For each size the images' places in the batch and their pixels, cut to that size.

    Raises:
        ValueError: If an image has no pixel.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (height, width) in enumerate(image_sizes.tolist()):
        if height == 0:
            raise ValueError(f"`pixel_mask[{index}]` must mark the image by 1, got only 0.")
        size = (height + -height % SIZE_DIVISOR, width + -width % SIZE_DIVISOR)
        groups.setdefault(size, []).append(index)
    return [
        (indices, pad_to_multiple(pixel_values[indices, :, :height, :width]))
        for (height, width), indices in groups.items()
    ]


def merge_groups(outputs: list[Output], groups: list[list[int]], pixel_values: Tensor) -> Output:
    """Puts the outputs of groups back into the batch's order.

    Masks are extended to the batch's canvas by logits that are certainly outside.
    Cross-attention weights have no common shape and are left out if there are several groups.

    Args:
        outputs: One output a group.
        groups: The images' places in the batch.
        pixel_values: (batch, 3, height, width), which gives the canvas.

    Returns:
        One output for the batch.
    """
    height, width = pad_to_multiple(pixel_values[:1]).shape[-2:]
    canvas = (height // 4, width // 4)
    places = torch.tensor([place for group in groups for place in group]).argsort()

    def merge(name: str, parts: list[Tensor]) -> Tensor | None:
        if parts[0] is None:
            # Of the hidden states only some may have been asked for.
            return None
        if name in ("masks_queries_logits", "auxiliary_mask_logits"):
            parts = [_extend(part, canvas) for part in parts]
        return torch.cat(parts)[places.to(parts[0].device)]

    merged: dict[str, Tensor | tuple[Tensor | None, ...] | None] = {}
    for name, first in outputs[0].items():
        if name == "cross_attentions" and len(outputs) > 1:
            continue
        values = [output[name] for output in outputs]
        if isinstance(first, tuple):
            layers = zip(*values, strict=True)
            merged[name] = tuple(merge(name, list(layer)) for layer in layers)
        else:
            merged[name] = merge(name, values)
    return type(outputs[0])(**merged)


def _extend(masks: Tensor, canvas: tuple[int, int]) -> Tensor:
    height, width = masks.shape[-2:]
    missing = (0, canvas[1] - width, 0, canvas[0] - height)
    return nn.functional.pad(masks, missing, value=OUTSIDE)
