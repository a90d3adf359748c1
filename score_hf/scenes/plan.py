"""What will be done with a scene, and all that its tiles depend on."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any, get_args

from .. import __version__
from .extras import import_pyproj, import_rasterio
from .grid import TileGrid
from .ground import ModelGrid
from .matching import Merge
from .raster import Scene
from .vocabulary import SceneClass


@dataclass(frozen=True)
class ScenePlan:
    """The plan of a scene.

    Args:
        source: Path or address of the scene.
        crs: As WKT; None if it has none.
        grid: Its pixel grid.
        tile_size: Side of a tile in pixels of the grid.
        overlap: How many pixels tiles share at least.
        floor: Lowest score of what is kept of a tile.
        classes: The vocabulary.
        origin: What tells the file, how it is read and the predictor from others.
    """

    source: str
    crs: str | None
    grid: ModelGrid
    tile_size: int
    overlap: int
    floor: float
    classes: tuple[SceneClass, ...]
    origin: dict[str, Any]

    @property
    def source_name(self) -> str:
        """The name of the file alone."""
        return PurePath(self.source).name or self.source

    @property
    def tiles(self) -> TileGrid:
        return TileGrid(self.grid.height, self.grid.width, self.tile_size, self.overlap)

    def as_dictionary(self) -> dict[str, Any]:
        """All that the pieces of the tiles depend on, ready for JSON."""
        return {
            "version": __version__,
            "source": self.source_name,
            "crs": self.crs,
            "height": self.grid.height,
            "width": self.grid.width,
            "transform": list(self.grid.transform)[:6],
            "scale": list(self.grid.scale),
            "pixel_metres": self.grid.pixel_metres and list(self.grid.pixel_metres),
            "tile_size": self.tile_size,
            "overlap": self.overlap,
            "floor": self.floor,
            "classes": [
                {"name": one.name, "synonyms": list(one.synonyms), "seen": one.seen}
                for one in self.classes
            ],
            **self.origin,
        }

    @classmethod
    def from_dictionaries(cls, stored: dict[str, Any], notes: dict[str, Any]) -> "ScenePlan":
        """Reads what `as_dictionary` and `notes` wrote.

        Raises:
            ValueError: If something else is in them.
        """
        try:
            plan = cls._from_dictionaries(stored, notes)
            _check(plan)
        # What is missing or of another kind shows in any way.
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            raise ValueError(
                f"`work` must be the work folder of a run, but its plan is damaged ({reason})."
            ) from error
        return plan

    @classmethod
    def _from_dictionaries(cls, stored: dict[str, Any], notes: dict[str, Any]) -> "ScenePlan":
        metres = stored["pixel_metres"]
        grid = ModelGrid(
            stored["height"],
            stored["width"],
            import_rasterio().Affine(*stored["transform"]),
            tuple(stored["scale"]),
            None if metres is None else tuple(metres),
        )
        settings = notes.get("classes") or stored["classes"]
        classes = tuple(
            SceneClass(**{**one, "synonyms": tuple(one["synonyms"])}) for one in settings
        )
        if len(classes) != len(stored["classes"]):
            raise ValueError(f"its notes are of {len(classes)} classes")
        return cls(
            stored["source"],
            stored["crs"],
            grid,
            stored["tile_size"],
            stored["overlap"],
            stored["floor"],
            classes,
            {name: stored[name] for name in ("file", "reading", "predictor")},
        )

    def notes(self) -> dict[str, Any]:
        """What the pieces do not depend on, ready for JSON."""
        return {"classes": [asdict(one) for one in self.classes]}

    def with_classes(self, classes: Sequence[SceneClass]) -> "ScenePlan":
        """The same with other thresholds, limits and ways of merging."""
        return replace(self, classes=tuple(classes))


def _check(plan: ScenePlan) -> None:
    """Refuses what a run would not have written.

    Raises:
        Exception: Of any kind.
    """
    _ = plan.tiles
    if plan.crs is not None:
        import_pyproj().CRS(plan.crs)
    numbers = [plan.floor, *plan.grid.scale, *(plan.grid.pixel_metres or ())]
    numbers += list(plan.grid.transform)[:6]
    for one in plan.classes:
        numbers += [
            value for value in (one.threshold, one.min_area, one.max_area) if value is not None
        ]
        texts = (plan.source, one.name, *one.synonyms, one.color or "")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("names must be texts")
        if one.merge not in get_args(Merge) or not isinstance(one.number, int | None):
            raise ValueError(f"the class {one.name!r} is merged by {one.merge!r:.40}")
        if not isinstance(one.seen, bool | None):
            raise TypeError(f"the class {one.name!r} is seen: {one.seen!r:.40}")
    if not plan.classes or not all(map(math.isfinite, numbers)):
        raise ValueError("it lacks classes, or numbers are not finite")


def plan_scene(
    scene: Scene,
    classes: Sequence[SceneClass],
    tile_size: int,
    overlap: int,
    floor: float,
    predictor: dict[str, Any],
) -> ScenePlan:
    """Plans a scene.

    Args:
        scene: Opened.
        classes: The vocabulary.
        tile_size: Side of a tile in pixels of the model grid.
        overlap: How many pixels tiles share at least.
        floor: Lowest score of what is kept.
        predictor: What tells the predictor from others, ready for JSON.

    Returns:
        The plan.

    Raises:
        ValueError: If tile and overlap do not go together.
    """
    file: dict[str, Any] = {"size": list(scene.source_size), "dtype": scene.dtype}
    if os.path.isfile(scene.name):
        status = os.stat(scene.name)
        file |= {"bytes": status.st_size, "changed": status.st_mtime_ns}
    reading = {
        "bands": list(scene.bands),
        "nodata": None if scene.options.nodata is None else str(scene.options.nodata),
        "radiometry": scene.radiometry.as_dictionary(),
        "area": None if scene.area is None else [*scene.area.window, scene.area.outline],
    }
    plan = ScenePlan(
        scene.name,
        scene.crs,
        scene.grid,
        tile_size,
        overlap,
        floor,
        tuple(classes),
        {"file": file, "reading": reading, "predictor": predictor},
    )
    # Refuses what does not go together.
    _ = plan.tiles
    return plan
