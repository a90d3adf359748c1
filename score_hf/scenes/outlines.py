"""Masks to polygons, exactly along the edges of pixels."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .extras import import_geopandas, import_rasterio, import_regulariser, import_shapely
from .grid import Window
from .groups import StitchedObject

# A mask of more pixels, such as that of a river through the whole scene, is never made in one.
_LARGEST_BOX = 2**24
# Smaller masks are traced many at once, side by side on a sheet: each call of GDAL costs more than
# the tracing.
_SHEET_SIDE, _LARGEST_ON_SHEET = 2048, 256


def outlines(objects: Sequence[StitchedObject]) -> np.ndarray:
    """Draws the outlines of objects.

    Args:
        objects: The objects.

    Returns:
        Shapely MultiPolygons in pixels of the scene (x to the right, y down), valid, with holes;
        parts that touch in corners only are polygons of their own.
    """
    shapely = import_shapely()
    polygons: list[list[Any]] = [[] for _ in objects]
    small = []
    for index, found in enumerate(objects):
        box = found.window
        if max(box.height, box.width) <= _LARGEST_ON_SHEET:
            small.append(index)
        elif box.height * box.width <= _LARGEST_BOX or len(found.stored) == 1:
            polygons[index] = _trace(found.mask(), box)
        else:
            pieces = [
                polygon for part in found.parts() for polygon in _trace(part.mask, part.window)
            ]
            # Where parts meet, the union leaves corners on straight lines.
            joined = shapely.simplify(shapely.union_all(pieces), 0)
            polygons[index] = list(shapely.get_parts(joined))
    for index, polygon in _trace_on_sheets(objects, small):
        polygons[index].append(polygon)
    drawn = np.array([shapely.multipolygons(shapely.normalize(one)) for one in polygons])
    for index in np.flatnonzero(~shapely.is_valid(drawn)).tolist():
        drawn[index] = polygons_only(shapely.make_valid(drawn[index]))
    return drawn


def _trace(mask: np.ndarray, box: Window) -> list[Any]:
    labels = mask.astype(np.int32)
    return [polygon for _, polygon in _polygons(labels, [(box.left, box.top)])]


def _trace_on_sheets(
    objects: Sequence[StitchedObject], small: Sequence[int]
) -> Iterator[tuple[int, Any]]:
    """Traces small masks; objects on a sheet may touch, since each has a number of its own."""
    sheet = np.zeros((_SHEET_SIDE, _SHEET_SIDE), dtype=np.int32)
    placed: list[int] = []
    shifts: list[tuple[int, int]] = []
    row = column = lowest = 0

    def traced() -> Iterator[tuple[int, Any]]:
        for number, polygon in _polygons(sheet[:lowest], shifts):
            yield placed[number], polygon

    for index in small:
        box = objects[index].window
        if column + box.width > _SHEET_SIDE:
            row, column = lowest, 0
        if row + box.height > _SHEET_SIDE:
            yield from traced()
            sheet[:] = 0
            placed, shifts = [], []
            row = column = lowest = 0
        placed.append(index)
        shifts.append((box.left - column, box.top - row))
        place = sheet[row : row + box.height, column : column + box.width]
        place[objects[index].mask()] = len(placed)
        column, lowest = column + box.width, max(lowest, row + box.height)
    if placed:
        yield from traced()


def _polygons(labels: np.ndarray, shifts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Any]]:
    """Polygons of the regions of labels from 1, each moved to its place, with their numbers."""
    rasterio, shapely = import_rasterio(), import_shapely()
    for rings, value in rasterio.features.shapes(labels, mask=labels > 0, connectivity=4):
        number = int(value) - 1
        shell, *holes = (np.add(ring, shifts[number]) for ring in rings["coordinates"])
        yield number, shapely.Polygon(shell, holes)


def polygons_only(geometry: Any) -> Any:
    """Keeps the areas of a geometry, as a MultiPolygon."""
    shapely = import_shapely()
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == 3])


def fill_holes(geometry: Any, largest: float) -> Any:
    """Fills holes.

    Args:
        geometry: A MultiPolygon.
        largest: Area up to which holes are filled, in the geometry's own unit.

    Returns:
        A MultiPolygon.
    """
    shapely = import_shapely()
    filled = []
    for polygon in shapely.get_parts(geometry):
        kept = [ring for ring in polygon.interiors if shapely.Polygon(ring).area > largest]
        filled.append(shapely.Polygon(polygon.exterior, kept))
    return shapely.multipolygons(filled)


def simplified(geometries: np.ndarray, tolerance: float) -> Any:
    """Leaves out corners that lie within a tolerance of the line without them.

    Args:
        geometries: MultiPolygons.
        tolerance: In their own unit.

    Returns:
        An array of valid MultiPolygons; what would vanish stays as it was.
    """
    shapely = import_shapely()
    after = shapely.make_valid(shapely.simplify(geometries, tolerance))
    kept = [polygons_only(one) for one in after]
    return np.array(
        [old if shapely.is_empty(new) else new for old, new in zip(geometries, kept, strict=True)]
    )


def regularized(geometries: np.ndarray, pixel: float) -> np.ndarray:
    """Makes outlines of buildings straight and right-angled, by the package buildingregulariser.

    Args:
        geometries: MultiPolygons on a plane of metres.
        pixel: Size in metres of the pixels that they were drawn along.

    Returns:
        An array of valid MultiPolygons; what cannot be made so stays as it was.

    Raises:
        ImportError: If the package is missing.
    """
    shapely, geopandas = import_shapely(), import_geopandas()
    table = geopandas.GeoDataFrame({"number": range(len(geometries))}, geometry=list(geometries))
    straight = import_regulariser().regularize_geodataframe(
        table, parallel_threshold=2 * pixel, simplify_tolerance=1.5 * pixel, num_cores=1
    )
    results = geometries.copy()
    for number, group in straight.groupby("number"):
        joined = polygons_only(shapely.make_valid(shapely.union_all(group.geometry.to_numpy())))
        if not shapely.is_empty(joined):
            results[number] = joined
    return results
