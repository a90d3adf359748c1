"""Any form in which COCO files hold a mask, to compressed run lengths."""

from typing import Any

from ...processing.run_lengths import area_of
from ..checking import OTHER_MASK_SIZE

NO_MASK = "no mask, at most a box"
BAD_POLYGON = "polygon that has no area or is not of pairs of numbers"
FAR_POLYGON = "polygon that reaches far out of its image"
BAD_RUNS = "run lengths that do not fill the image"
BAD_FORM = "mask in a form that COCO does not have"
PART_LEFT_OUT = "a part of the polygon without area was left out"

# Drawing a polygon takes memory in proportion to its extent.
_FARTHEST = 10


def compress(
    segmentation: Any, height: int, width: int
) -> tuple[dict[str, Any] | None, str | None]:
    """Turns polygons or run lengths into compressed run lengths.

    As in detectron2's reader of COCO files, parts of a polygon that are not of at least three
    pairs of numbers are left out.

    Args:
        segmentation: Polygons `[[x1, y1, x2, y2, ...], ...]` in pixels, one polygon without the
            outer list, or run lengths `{"size", "counts"}`, compressed or not.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        `{"size": [height, width], "counts": str}`, and what was changed, if anything; or None and
        why there is no mask.
    """
    if not segmentation:
        return None, NO_MASK
    if isinstance(segmentation, dict):
        return _compress_runs(segmentation, height, width)
    if isinstance(segmentation, list):
        return _compress_polygons(segmentation, height, width)
    return None, BAD_FORM


def _compress_polygons(
    polygons: list[Any], height: int, width: int
) -> tuple[dict[str, Any] | None, str | None]:
    from pycocotools import mask as coco_mask

    parts, changed = valid_polygons(polygons)
    if not parts:
        return None, BAD_POLYGON
    farthest = _FARTHEST * max(height, width)
    if max(abs(number) for polygon in parts for number in polygon) > farthest:
        return None, FAR_POLYGON
    encoded = coco_mask.merge(coco_mask.frPyObjects(parts, height, width))
    return _as_text(encoded, height, width), changed


def valid_polygons(polygons: list[Any]) -> tuple[list[list[float]], str | None]:
    """Picks the parts of a polygon that have an area.

    Args:
        polygons: The parts, or one part without the outer list.

    Returns:
        Those of at least three pairs of finite numbers; and what was changed, if any is not.
    """
    if not isinstance(polygons[0], list):
        polygons = [polygons]
    parts = [polygon for polygon in polygons if _is_polygon(polygon)]
    return parts, PART_LEFT_OUT if len(parts) < len(polygons) else None


def _is_polygon(polygon: Any) -> bool:
    return (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        # Not `math.isfinite`, which fails at whole numbers of hundreds of digits.
        and all(isinstance(one, int | float) and abs(one) < float("inf") for one in polygon)
    )


def _compress_runs(
    runs: dict[str, Any], height: int, width: int
) -> tuple[dict[str, Any] | None, str | None]:
    from pycocotools import mask as coco_mask

    counts, size = runs.get("counts"), runs.get("size")
    if not isinstance(size, list) or not isinstance(counts, str | list):
        return None, BAD_FORM
    if size != [height, width]:
        return None, OTHER_MASK_SIZE
    if isinstance(counts, str):
        try:
            area_of(counts, height, width)
        except ValueError:
            return None, BAD_RUNS
        return {"size": [height, width], "counts": counts}, None
    # pycocotools fills what is missing with whatever lies in memory.
    if not all(isinstance(length, int) and length >= 0 for length in counts):
        return None, BAD_RUNS
    if sum(counts) != height * width:
        return None, BAD_RUNS
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return _as_text(encoded, height, width), None


def _as_text(encoded: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
