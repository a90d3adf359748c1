"""The part of a scene that is wanted: a box or the areas of a vector file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .extras import import_geopandas, import_pyproj, import_rasterio, import_shapely
from .grid import Window
from .ground import ModelGrid

# Straight lines of a map bend when it is projected; so many pieces a side follow them.
_PIECES_A_SIDE = 16


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Reads a box of longitudes and latitudes.

    Args:
        text: West, south, east and north in degrees, separated by commas.

    Returns:
        The four numbers.

    Raises:
        ValueError: If it is none.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = 0.0
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ValueError(
            "`bbox` must be west,south,east,north in degrees, such as 8.5,47.3,8.6,47.4, but got "
            f"{text!r}."
        )
    return west, south, east, north


def read_areas(path: Path) -> tuple[Any, Any]:
    """Reads the areas of a vector file.

    Args:
        path: Of any vector file that geopandas reads.

    Returns:
        One geometry, and its coordinate reference system.

    Raises:
        ImportError: If geopandas is missing.
        ValueError: If it cannot be read, has no areas or no coordinate reference system.
    """
    geopandas, shapely = import_geopandas(), import_shapely()
    try:
        read = geopandas.read_parquet if path.suffix == ".parquet" else geopandas.read_file
        table = read(path)
    # Readers raise errors of their own for each format.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`aoi` must be a vector file, but {str(path)!r} cannot be read ({reason})."
        ) from error
    areas = table.geometry[table.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    if areas.empty or table.crs is None:
        what = "no areas" if areas.empty else "no coordinate reference system"
        raise ValueError(f"`aoi` must be areas on a map, but {str(path)!r} has {what}.")
    return shapely.union_all(shapely.make_valid(areas.to_numpy())), table.crs


class Area:
    """The part of a scene that is wanted, in pixels of its model grid.

    Args:
        bbox: West, south, east, north in degrees; None for any.
        aoi: A vector file of areas; None for any.
        crs: Of the scene, as WKT; None if it has none.
        grid: Of the whole scene.
        name: Of the scene, for errors.

    Raises:
        ValueError: If the scene has no coordinate reference system or does not show the area.
    """

    def __init__(
        self,
        bbox: Sequence[float] | None,
        aoi: Path | None,
        crs: str | None,
        grid: ModelGrid,
        name: str,
    ) -> None:
        option = "bbox" if aoi is None else "aoi"
        if crs is None:
            raise ValueError(
                f"`{option}` needs a scene with a coordinate reference system, but {name!r} has "
                "none."
            )
        shapely = import_shapely()
        scene = shapely.box(0, 0, grid.width, grid.height)
        wanted = scene
        if bbox is not None:
            box = shapely.box(*bbox)
            # The box around it in pixels, so that a straight cut stays one.
            wanted &= shapely.envelope(_in_pixels(box, "OGC:CRS84", crs, grid))
        self._areas = None
        if aoi is not None:
            self._areas = shapely.make_valid(_in_pixels(*read_areas(aoi), crs, grid)) & wanted
            wanted = self._areas
        if wanted.area == 0:
            raise ValueError(f"`{option}` lies beyond {name!r}, which shows nothing of it.")
        left, top, right, bottom = wanted.bounds
        self.window = Window(
            int(np.floor(top)), int(np.floor(left)), int(np.ceil(bottom)), int(np.ceil(right))
        )
        if self._areas is not None:
            shapely.prepare(self._areas)

    @property
    def outline(self) -> str | None:
        """The areas as text, in pixels; None for a box."""
        return None if self._areas is None else str(self._areas.wkt)

    def inside(self, window: Window) -> np.ndarray | None:
        """Which pixels belong to the area.

        Args:
            window: In pixels of the whole scene's grid.

        Returns:
            `(height, width)` bool; None if all do.
        """
        if self._areas is None:
            return None
        rasterio, shapely = import_rasterio(), import_shapely()
        place = shapely.box(window.left, window.top, window.right, window.bottom)
        if self._areas.contains(place):
            return None
        shape = (window.height, window.width)
        if not self._areas.intersects(place):
            return np.zeros(shape, dtype=bool)
        moved = shapely.transform(
            self._areas & place, lambda points: points - [window.left, window.top]
        )
        return rasterio.features.rasterize([moved], shape, dtype="uint8").astype(bool)


def _in_pixels(geometry: Any, crs: Any, scene_crs: str, grid: ModelGrid) -> Any:
    """Brings a geometry into pixels of a scene."""
    pyproj, shapely = import_pyproj(), import_shapely()
    left, bottom, right, top = geometry.bounds
    geometry = shapely.segmentize(geometry, max(right - left, top - bottom) / _PIECES_A_SIDE)
    transformer = pyproj.Transformer.from_crs(crs, scene_crs, always_xy=True)
    a, b, c, d, e, f = tuple(~grid.transform)[:6]

    def move(points: np.ndarray) -> np.ndarray:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    return shapely.transform(geometry, move)
