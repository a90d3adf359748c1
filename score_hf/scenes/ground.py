"""Pixels and the ground: how large a pixel is, and a grid with pixels of a wanted size."""

import math
from dataclasses import dataclass, replace
from typing import Any

from .extras import import_pyproj
from .grid import Window

# Within this, the pixels of a scene are taken as they are.
_SAME = 0.1
MAX_UPSAMPLING = 4.0


@dataclass(frozen=True)
class ModelGrid:
    """The pixel grid on which a whole scene is seen, whatever the tile.

    It lies along the rows and columns of the file and begins at the same corner.

    Args:
        height: In pixels.
        width: In pixels.
        transform: From its pixels (column, row) to the coordinates of the file's CRS; an `Affine`.
        scale: Pixels of the file in one pixel of the grid, along columns and rows; (1, 1) where
            the file's own pixels are used.
        pixel_metres: Ground size of its pixels at the middle, (width, height); None if not known.
    """

    height: int
    width: int
    transform: Any
    scale: tuple[float, float]
    pixel_metres: tuple[float, float] | None

    @property
    def is_native(self) -> bool:
        return self.scale == (1.0, 1.0)

    def part(self, window: Window) -> "ModelGrid":
        """The grid of a part of the scene."""
        x, y = to_coordinates(self.transform, window.left, window.top)
        a, b, _, d, e, _ = tuple(self.transform)[:6]
        moved = type(self.transform)(a, b, x, d, e, y)
        return replace(self, height=window.height, width=window.width, transform=moved)


def to_coordinates(transform: Any, columns: Any, rows: Any) -> tuple[Any, Any]:
    """Applies a transform to numbers or arrays of pixel corners."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * columns + b * rows + c, d * columns + e * rows + f


def pixel_metres(crs: Any, transform: Any, height: int, width: int) -> tuple[float, float] | None:
    """Measures the middle pixel of a scene on the ground.

    Args:
        crs: Its coordinate reference system as WKT; None if it has none.
        transform: From pixels to coordinates.
        height: Of the scene in pixels.
        width: Of the scene in pixels.

    Returns:
        Width and height in metres; None where the CRS does not lie on the Earth.
    """
    if crs is None:
        return None
    pyproj = import_pyproj()
    column, row = width / 2, height / 2
    corners = [
        to_coordinates(transform, *point)
        for point in ((column, row), (column + 1, row), (column, row + 1))
    ]
    try:
        to_degrees = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        longitudes, latitudes = to_degrees.transform(*zip(*corners, strict=True))
    except pyproj.exceptions.ProjError:
        return None
    if not all(map(math.isfinite, (*longitudes, *latitudes))):
        return None
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(
        [longitudes[0]] * 2, [latitudes[0]] * 2, longitudes[1:], latitudes[1:]
    )
    return float(metres[0]), float(metres[1])


def plan_grid(
    height: int, width: int, crs: Any, transform: Any, gsd: float | None, name: str
) -> ModelGrid:
    """Plans the pixel grid of a scene.

    Without a wanted ground size the pixels of the file are used, unless they are far from square.

    Args:
        height: Of the file in pixels.
        width: Of the file in pixels.
        crs: Of the file, as WKT; None if it has none.
        transform: Of the file, an `Affine`.
        gsd: Ground size that pixels should have, in metres; None: that of the file.
        name: Of the file, for errors.

    Returns:
        The grid.

    Raises:
        ValueError: If the ground size is wanted of a file that does not tell its own, or is so
            small that pixels would be made up.
    """
    metres = pixel_metres(crs, transform, height, width)
    if metres is None:
        if gsd is not None:
            raise ValueError(
                f"`gsd` needs the ground size of pixels, which {name!r} does not tell: it has no "
                "coordinate reference system."
            )
        return ModelGrid(height, width, transform, (1.0, 1.0), None)
    if gsd is not None and not (math.isfinite(gsd) and gsd > 0):
        raise ValueError(f"`gsd` must be a positive number of metres, but got {gsd!r}.")
    if gsd is None and max(metres) <= min(metres) * (1 + _SAME):
        return ModelGrid(height, width, transform, (1.0, 1.0), metres)
    wanted = min(metres) if gsd is None else gsd
    across, down = wanted / metres[0], wanted / metres[1]
    if max(abs(across - 1), abs(down - 1)) <= _SAME:
        return ModelGrid(height, width, transform, (1.0, 1.0), metres)
    if min(across, down) < 1 / MAX_UPSAMPLING:
        raise ValueError(
            f"`gsd` of {wanted:g} m would make up pixels: {name!r} has pixels of {metres[0]:.3g} x "
            f"{metres[1]:.3g} m, and more than {MAX_UPSAMPLING:g} times finer shows nothing more; "
            f"give at least {max(metres) / MAX_UPSAMPLING:.3g}."
        )
    a, b, c, d, e, f = tuple(transform)[:6]
    scaled = type(transform)(a * across, b * down, c, d * across, e * down, f)
    return ModelGrid(
        max(1, int(height / down)),
        max(1, int(width / across)),
        scaled,
        (across, down),
        (wanted, wanted),
    )


def read_crs(text: str) -> Any:
    """Reads a coordinate reference system.

    Args:
        text: A code such as "EPSG:3035", or WKT.

    Returns:
        A pyproj CRS.

    Raises:
        ValueError: If it is none.
    """
    pyproj = import_pyproj()
    try:
        return pyproj.CRS(text)
    except pyproj.exceptions.CRSError as error:
        raise ValueError(
            f"`crs` must be source, utm or a code such as EPSG:3035, but got {text!r}."
        ) from error


def crs_of_map(crs: str | None, grid: ModelGrid, wanted: str) -> str | None:
    """Chooses the coordinate reference system of a map.

    Args:
        crs: That of the scene as WKT; None if it has none.
        grid: Of the scene.
        wanted: "source", "utm" or a code.

    Returns:
        As WKT; None for pixels.
    """
    if crs is None or wanted == "source":
        return crs
    if wanted != "utm":
        return str(read_crs(wanted).to_wkt())
    pyproj = import_pyproj()
    to_degrees = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    middle = to_coordinates(grid.transform, grid.width / 2, grid.height / 2)
    longitude, latitude = to_degrees.transform(*middle)
    zone = int((longitude + 180) % 360 // 6) + 1
    return str(pyproj.CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone).to_wkt())
