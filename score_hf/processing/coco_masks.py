"""Masks in COCO's forms: run-length encodings and polygons."""

from typing import Any

import numpy as np
import torch

from .run_lengths import area_of

# How far a polygon may reach, in longer sides of its image.
_FARTHEST = 10


def _coco_mask_api() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            "Masks in COCO form need the package pycocotools: run `pip install pycocotools`, "
            "or use boolean masks."
        ) from error
    return mask


def encode_mask(mask: torch.Tensor, left: int, top: int, size: tuple[int, int]) -> dict[str, Any]:
    """Encodes a mask as COCO's compressed run lengths.

    Only the rectangle that holds the mask is looked at, however large the picture.

    Args:
        mask: Boolean mask of the rectangle, `(rows, columns)`.
        left: Column of the picture at which the rectangle begins.
        top: Row of the picture at which the rectangle begins.
        size: Height and width of the picture.

    Returns:
        `{"size": [height, width], "counts": str}`, ready for JSON.

    Raises:
        ImportError: If pycocotools is not installed.
    """
    height, width = size
    # COCO runs down the columns: a border of zeros above and below ends each run in its column.
    rows, across = mask.shape
    columns = np.zeros((across, rows + 2), dtype=bool)
    # NumPy is slow to turn booleans around.
    columns[:, 1:-1] = mask.t().contiguous().cpu().numpy()
    changed = np.flatnonzero(columns[:, 1:] != columns[:, :-1])
    column, row = np.divmod(changed, rows + 1)
    changes = (left + column) * height + top + row
    # A run to the lower edge goes on in the next column if that one begins at the upper edge.
    joined = np.flatnonzero(changes[1:] == changes[:-1])
    changes = np.delete(changes, np.concatenate([joined, joined + 1]))
    end = height * width
    if changes.size and changes[-1] == end:
        changes = changes[:-1]
    counts = np.diff(changes, prepend=0, append=end).tolist()
    api = _coco_mask_api()
    encoded = api.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


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
    stated = segmentation["size"] if is_encoding else size
    stated = tuple(stated) if isinstance(stated, list | tuple | np.ndarray) else stated
    if stated != size:
        raise ValueError(
            f"`{argument}` is a mask of height and width {stated!r:.80}, but its image has {size}."
        )
    api = _coco_mask_api()
    try:
        if is_polygons:
            parts = [[float(number) for number in polygon] for polygon in segmentation]
            if not np.isfinite([number for part in parts for number in part]).all():
                raise ValueError("its corners must be finite numbers")
            # Drawing a polygon takes memory in proportion to its extent.
            if max(abs(number) for part in parts for number in part) > _FARTHEST * max(size):
                raise ValueError("it reaches far out of its image")
            encoded = api.merge(api.frPyObjects(parts, height, width))
        else:
            encoded = _checked_runs(segmentation["counts"], height, width)
        return torch.from_numpy(np.ascontiguousarray(api.decode(encoded)))
    except (OverflowError, TypeError, ValueError) as error:
        reason = f"{error!s:.200}"
        raise ValueError(f"`{argument}` is no valid COCO segmentation ({reason}).") from error


def _checked_runs(counts: Any, height: int, width: int) -> dict[str, Any]:
    """Compresses run lengths; pycocotools takes whatever lies in memory for what they lack."""
    if isinstance(counts, str | bytes):
        area_of(counts if isinstance(counts, str) else counts.decode("ascii"), height, width)
        return {"size": [height, width], "counts": counts}
    runs = np.asarray(counts)
    whole = runs.ndim == 1 and runs.dtype.kind in "iuf" and bool((runs == runs.round()).all())
    if not whole or runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise ValueError(f"its runs do not fill {height} x {width} pixels")
    plain = {"size": [height, width], "counts": runs.astype(np.int64).tolist()}
    return _coco_mask_api().frPyObjects(plain, height, width)
