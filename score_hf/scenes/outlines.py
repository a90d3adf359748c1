"""Masks to polygons, exactly along the edges of pixels."""

from typing import Any

import numpy as np

from .extras import import_rasterio, import_shapely
from .groups import StitchedObject
from .pieces import Piece

# A mask of more pixels, such as that of a river through the whole scene, is never made in one.
_LARGEST_BOX = 2**24


def outline(found: StitchedObject) -> Any:
    """Draws the outline of an object.

    Args:
        found: The object.

    Returns:
        A shapely MultiPolygon in pixels of the scene (x to the right, y down), valid, with holes;
        parts that touch in corners only are polygons of their own.
    """
    shapely = import_shapely()
    box = found.window
    if len(found.stored) == 1:
        polygons = _trace(next(found.parts()))
    elif box.height * box.width <= _LARGEST_BOX:
        mask = found.mask()
        polygons = _trace(Piece(found.label, found.score, box.top, box.left, mask))
    else:
        pieces = [polygon for part in found.parts() for polygon in _trace(part)]
        # Where parts meet, the union leaves corners on straight lines.
        joined = shapely.simplify(shapely.union_all(pieces), 0)
        polygons = list(shapely.get_parts(joined))
    outlined = shapely.multipolygons(shapely.normalize(polygons))
    return outlined if shapely.is_valid(outlined) else _repaired(outlined)


def _trace(piece: Piece) -> list[Any]:
    rasterio, shapely = import_rasterio(), import_shapely()
    shapes = rasterio.features.shapes(
        piece.mask.view(np.uint8),
        mask=piece.mask,
        connectivity=4,
        transform=rasterio.Affine.translation(piece.left, piece.top),
    )
    return [
        shapely.Polygon(rings["coordinates"][0], rings["coordinates"][1:]) for rings, _ in shapes
    ]


def polygons_only(geometry: Any) -> Any:
    """Keeps the areas of a geometry, as a MultiPolygon."""
    shapely = import_shapely()
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == 3])


def _repaired(geometry: Any) -> Any:
    return polygons_only(import_shapely().make_valid(geometry))


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
