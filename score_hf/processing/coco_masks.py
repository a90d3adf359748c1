"""Masks in COCO's forms: run-length encodings and polygons."""

from typing import Any

import numpy as np
import torch


def _coco_mask_api() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            "Masks in COCO form need the package pycocotools: run `pip install pycocotools`, "
            "or use boolean masks."
        ) from error
    return mask


def encode_masks(masks: torch.Tensor) -> list[dict[str, Any]]:
    """Encodes masks as COCO's compressed run lengths.

    Args:
        masks: Boolean masks of shape `(masks, height, width)`.

    Returns:
        One dictionary a mask, `{"size": [height, width], "counts": str}`, ready for JSON.

    Raises:
        ImportError: If pycocotools is not installed.
    """
    api = _coco_mask_api()
    columns_first = np.asfortranarray(masks.cpu().numpy().astype(np.uint8).transpose(1, 2, 0))
    return [
        {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}
        for encoded in api.encode(columns_first)
    ]


def decode_mask(segmentation: Any, size: tuple[int, int], argument: str) -> torch.Tensor:
    """Draws one object that is given in COCO's form.

    Args:
        segmentation: A run-length encoding (compressed or not) or a list of polygons
            `[[x1, y1, x2, y2, ...], ...]` in pixels.
        size: Height and width of the image.
        argument: What the caller calls it; named in the errors.

    Returns:
        A mask of shape `(height, width)`, uint8 of 0 and 1.

    Raises:
        ImportError: If pycocotools is not installed.
        ValueError: If the form is not understood or the size is another.
    """
    height, width = size
    is_encoding = isinstance(segmentation, dict) and {"size", "counts"} <= segmentation.keys()
    is_polygons = (
        isinstance(segmentation, list | tuple)
        and len(segmentation) > 0
        and all(
            isinstance(polygon, list | tuple | np.ndarray)
            and len(polygon) >= 6
            and len(polygon) % 2 == 0
            for polygon in segmentation
        )
    )
    if not is_encoding and not is_polygons:
        raise ValueError(
            f"`{argument}` must be a COCO run-length encoding with `size` and `counts`, or a list "
            f"of polygons [[x1, y1, x2, y2, x3, y3, ...], ...], but got {segmentation!r:.80}."
        )
    if is_encoding and tuple(segmentation["size"]) != size:
        raise ValueError(
            f"`{argument}` is a mask of height and width {tuple(segmentation['size'])}, but its "
            f"image has {size}."
        )
    api = _coco_mask_api()
    try:
        if is_polygons:
            parts = [[float(number) for number in polygon] for polygon in segmentation]
            encoded = api.merge(api.frPyObjects(parts, height, width))
        elif isinstance(segmentation["counts"], str | bytes):
            encoded = segmentation
        else:
            encoded = api.frPyObjects(segmentation, height, width)
        return torch.from_numpy(np.ascontiguousarray(api.decode(encoded)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{argument}` is no valid COCO segmentation ({error}).") from error
