"""Objects to features of a map: outlines with attributes, in the coordinates of the scene."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .extras import import_pyproj, import_regulariser, import_shapely
from .ground import ModelGrid, crs_of_map, read_crs, to_coordinates
from .groups import StitchedObject
from .outlines import fill_holes, outlines, regularized, simplified
from .vocabulary import SceneClass, class_numbers

BATCH = 2048
_CRS_KINDS = ("source", "utm")


@dataclass(frozen=True)
class VectorOptions:
    """What becomes of the outlines of whole objects.

    Args:
        min_area: Smallest ground area in square metres.
        max_area: Largest ground area in square metres; None for any.
        holes: Ground area in square metres up to which holes are filled.
        simplify: Distance in ground metres within which corners are left out; 0: all pixel
            corners stay.
        crs: Of the map: "source", "utm" for the UTM zone of the scene's middle, or a code such as
            "EPSG:3035". GeoJSON is in longitudes and latitudes all the same.
        regularize: Names of the classes whose outlines are made straight and right-angled; or
            "all".
    """

    min_area: float = 0.0
    max_area: float | None = None
    holes: float = 0.0
    simplify: float = 0.0
    crs: str = "source"
    regularize: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.crs not in _CRS_KINDS:
            read_crs(self.crs)

    @property
    def needs_metres(self) -> bool:
        lengths = (self.min_area, self.max_area, self.holes, self.simplify)
        return any(lengths) or self.crs != "source" or bool(self.regularize)


@dataclass(frozen=True)
class Feature:
    """An object of a scene on the map.

    Args:
        label: Index of its class.
        class_name: Of its class.
        class_number: What maps call its class.
        score: Between 0 and 1.
        seen: Whether the model was trained on the class; None if that is not known.
        geometry: Shapely MultiPolygon in the CRS of the map, or in pixels (x to the right, y down)
            if the scene has none.
        pixels: Its area in pixels of the model grid.
        area_m2: Its area on the ground; None without a CRS.
        perimeter_m: The length of its outlines on the ground; None without a CRS.
        sides_m: The sides of the smallest rectangle around it, the shorter first, on the ground;
            None without a CRS.
        runner_up: Name and score of the class that it would have had next; None if not known.
        tiles: How many tiles saw something of it.
        at_edge: Whether it touches the scene's border or pixels without data.
        found: The object itself.
    """

    label: int
    class_name: str
    class_number: int
    score: float
    seen: bool | None
    geometry: Any
    pixels: int
    area_m2: float | None
    perimeter_m: float | None
    sides_m: tuple[float, float] | None
    runner_up: tuple[str, float] | None
    tiles: int
    at_edge: bool
    found: StitchedObject


class FeatureMaker:
    """Turns the objects of one scene into features.

    Args:
        crs: Of the scene, as WKT; None if it has none.
        grid: Its pixel grid.
        classes: Its vocabulary.
        options: What becomes of the outlines.

    Raises:
        ValueError: If an option is in metres and the scene has none.
    """

    def __init__(
        self,
        crs: str | None,
        grid: ModelGrid,
        classes: Sequence[SceneClass],
        options: VectorOptions | None = None,
    ) -> None:
        self.grid, self.classes = grid, classes
        self.options = options or VectorOptions()
        self._numbers = class_numbers(classes)
        self._has_ground = grid.pixel_metres is not None
        limits = any(one.min_area or one.max_area for one in classes)
        if not self._has_ground and (self.options.needs_metres or limits):
            raise ValueError(
                "Areas and distances in metres need a scene with a coordinate reference system, "
                "but this one has none; leave out the options in metres."
            )
        unknown = {*self.options.regularize} - {"all", *(one.name for one in classes)}
        if unknown:
            raise ValueError(
                f"`regularize` must name classes of the vocabulary or all, but got "
                f"{sorted(unknown)[0]!r}."
            )
        if self.options.regularize:
            import_regulariser()
        if self._has_ground:
            pyproj = import_pyproj()
            map_crs = crs_of_map(crs, grid, self.options.crs)
            self._to_map: Any = None
            if map_crs != crs:
                self._to_map = pyproj.Transformer.from_crs(crs, map_crs, always_xy=True)
            self._to_degrees = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
            self._geod = pyproj.Geod(ellps="WGS84")

    def make(self, objects: Iterable[StitchedObject]) -> Iterator[Feature]:
        """Makes features, some at a time.

        Args:
            objects: Of the scene.

        Yields:
            A feature for each object that is neither too small nor too large.
        """
        batch: list[StitchedObject] = []
        for found in objects:
            batch.append(found)
            if len(batch) == BATCH:
                yield from self._batch(batch)
                batch = []
        if batch:
            yield from self._batch(batch)

    def _batch(self, objects: list[StitchedObject]) -> Iterator[Feature]:
        shapely = import_shapely()
        drawn = outlines(objects)
        pixels = np.rint(shapely.area(drawn)).astype(np.int64).tolist()
        if self.grid.pixel_metres is not None:
            across, down = self.grid.pixel_metres
            if self.options.holes:
                largest = self.options.holes / (across * down)
                drawn = np.array([fill_holes(one, largest) for one in drawn])
            if self.options.simplify:
                drawn = simplified(drawn, self.options.simplify / max(across, down))
            if self.options.regularize:
                self._regularize(objects, drawn, (across, down))
        geometries = shapely.transform(drawn, self._to_coordinates)
        measures: list[tuple[float, float] | tuple[None, None]]
        measures = [(None, None)] * len(objects)
        sides: list[tuple[float, float] | None] = [None] * len(objects)
        if self.grid.pixel_metres is not None:
            degrees = shapely.transform(geometries, self._in_degrees)
            measures = [self._measure(one) for one in degrees]
            on_ground = shapely.transform(drawn, lambda points: points * self.grid.pixel_metres)
            sides = [_sides(one) for one in shapely.oriented_envelope(on_ground)]
            if self._to_map is not None:
                geometries = shapely.transform(geometries, self._in_map)
        for found, geometry, count, (area, perimeter), side in zip(
            objects, geometries, pixels, measures, sides, strict=True
        ):
            entry = self.classes[found.label]
            if not self._has_size(entry, area):
                continue
            yield Feature(
                found.label,
                entry.name,
                self._numbers[found.label],
                found.score,
                entry.seen,
                geometry,
                count,
                area,
                perimeter,
                side,
                self._runner_up(found),
                found.tiles,
                found.touches_border,
                found,
            )

    def _regularize(
        self, objects: list[StitchedObject], drawn: np.ndarray, metres: tuple[float, float]
    ) -> None:
        """Makes outlines of the classes wanted right-angled, in place."""
        shapely, wanted = import_shapely(), self.options.regularize
        chosen = [
            index
            for index, one in enumerate(objects)
            if "all" in wanted or self.classes[one.label].name in wanted
        ]
        if chosen:
            on_ground = shapely.transform(drawn[chosen], lambda points: points * metres)
            straight = regularized(on_ground, max(metres))
            drawn[chosen] = shapely.transform(straight, lambda points: points / metres)

    def _runner_up(self, found: StitchedObject) -> tuple[str, float] | None:
        if found.runner_up is None:
            return None
        return self.classes[found.runner_up.label].name, found.runner_up.score

    def _has_size(self, entry: SceneClass, area: float | None) -> bool:
        if area is None:
            return True
        least = self.options.min_area if entry.min_area is None else entry.min_area
        most = self.options.max_area if entry.max_area is None else entry.max_area
        return area >= least and (most is None or area <= most)

    def _to_coordinates(self, points: np.ndarray) -> np.ndarray:
        places = to_coordinates(self.grid.transform, points[:, 0], points[:, 1])
        return np.stack(places, axis=1)

    def _in_degrees(self, points: np.ndarray) -> np.ndarray:
        return np.stack(self._to_degrees.transform(points[:, 0], points[:, 1]), axis=1)

    def _in_map(self, points: np.ndarray) -> np.ndarray:
        return np.stack(self._to_map.transform(points[:, 0], points[:, 1]), axis=1)

    def _measure(self, degrees: Any) -> tuple[float, float]:
        """Area and perimeter on the ellipsoid."""
        area = perimeter = 0.0
        for polygon in degrees.geoms:
            # The sign of a ring's area tells its direction, which a transform may turn round.
            shell, length = self._ring(polygon.exterior)
            holes = [self._ring(ring) for ring in polygon.interiors]
            area += shell - sum(hole for hole, _ in holes)
            perimeter += length + sum(extent for _, extent in holes)
        return area, perimeter

    def _ring(self, ring: Any) -> tuple[float, float]:
        area, perimeter = self._geod.polygon_area_perimeter(*ring.coords.xy)
        return abs(area), perimeter


def _sides(rectangle: Any) -> tuple[float, float] | None:
    """The lengths of the sides of a rectangle, the shorter first."""
    if rectangle.geom_type != "Polygon":
        return None
    corners = np.array(rectangle.exterior.coords)[:3]
    first, second = np.hypot(*np.diff(corners, axis=0).T).tolist()
    return min(first, second), max(first, second)
