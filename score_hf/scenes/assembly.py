"""Shards to files: stitches what the tiles show and writes the features of the scene."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .coco_file import CocoFile
from .features import BATCH, Feature, FeatureMaker, VectorOptions
from .ground import crs_of_map
from .matching import MatchingRule
from .options import SceneOptions
from .pieces import Piece
from .plan import ScenePlan
from .raster_files import RasterFiles
from .stitching import stitch
from .style import qml
from .vector_files import VECTOR_FORMATS, FeatureFile, LayerSettings, open_vector_file

FORMATS = {**VECTOR_FORMATS, "coco": ".json"}
ReadTile = Callable[[int, int], list[Piece]]


@dataclass(frozen=True)
class ClassTotal:
    """What was found of a class.

    Args:
        name: Of the class.
        count: How many instances.
        area_m2: Their ground area; None without a CRS.
        best_score: The highest score; None if there is no instance.
    """

    name: str
    count: int = 0
    area_m2: float | None = None
    best_score: float | None = None

    def with_feature(self, feature: Feature) -> "ClassTotal":
        """The total with one more."""
        area = feature.area_m2
        if area is not None:
            area += self.area_m2 or 0.0
        best = max(feature.score, self.best_score or 0.0)
        return ClassTotal(self.name, self.count + 1, area, best)


def rule_of(plan: ScenePlan, threshold: float) -> MatchingRule:
    """Gives the matching rule of a vocabulary.

    Args:
        plan: With the vocabulary.
        threshold: Lowest score of classes that have none of their own.

    Returns:
        The rule.

    Raises:
        ValueError: If a threshold is lower than what was kept of the tiles.
    """
    thresholds = [threshold if one.threshold is None else one.threshold for one in plan.classes]
    if min(thresholds) < plan.floor:
        raise ValueError(
            f"`threshold` must be at least {plan.floor:g}, the lowest score that was kept of the "
            f"tiles, but got {min(thresholds):g}; the tiles must be computed again for less."
        )
    return MatchingRule([one.merge for one in plan.classes], thresholds)


def make_features(
    plan: ScenePlan, read_tile: ReadTile, threshold: float, options: VectorOptions | None = None
) -> Iterator[Feature]:
    """Makes the features of a scene from its tiles.

    Args:
        plan: Of the scene.
        read_tile: Gives the pieces of a tile.
        threshold: Lowest score of classes that have none of their own.
        options: What becomes of outlines.

    Yields:
        Features.
    """
    maker = FeatureMaker(plan.crs, plan.grid, plan.classes, options)
    yield from maker.make(stitch(plan.tiles, read_tile, rule_of(plan, threshold)))


def beside(outputs: dict[str, Path], options: SceneOptions) -> dict[str, Path]:
    """The files that go beside a map, by kind, named after its first file."""
    first = next(iter(outputs.values()))
    paths = {kind: first.with_name(f"{first.stem}_{kind}.tif") for kind in options.rasters}
    if options.stac:
        paths["stac"] = first.with_name(f"{first.stem}.stac.json")
    return paths


def check_outputs(
    plan: ScenePlan, outputs: dict[str, Path], overwrite: bool, options: SceneOptions
) -> None:
    """Checks, before anything is computed, that files can be written.

    Args:
        plan: Of the scene.
        outputs: Path by format.
        overwrite: Whether files that are there may be replaced.
        options: What else is written.

    Raises:
        ValueError: If a format does not fit the scene, a file is there, or cannot be written.
    """
    if options.stac and plan.crs is None:
        raise ValueError(
            f"A STAC item needs a place on the ground, which {plan.source_name!r} does not tell."
        )
    for path in beside(outputs, options).values():
        if path.exists() and not overwrite:
            raise ValueError(f"{str(path)!r} is there already; give `--overwrite` to replace it.")
    for format, path in outputs.items():
        if format not in FORMATS:
            raise ValueError(f"`formats` must be of {', '.join(FORMATS)}, but got {format!r}.")
        if path.exists() and not overwrite:
            raise ValueError(f"{str(path)!r} is there already; give `--overwrite` to replace it.")
        if path.is_dir():
            raise ValueError(f"{str(path)!r} is a folder; it cannot be replaced by a file.")
        try:
            # Refuses formats that do not fit, and folders that cannot be written to.
            file = _open(plan, format, path, {}, plan.crs)
            file.unfinished.touch()
            file.abandon()
        except OSError as error:
            raise ValueError(f"{str(path)!r} cannot be written ({error.strerror}).") from error


def write_features(
    plan: ScenePlan,
    features: Iterator[Feature],
    outputs: dict[str, Path],
    info: dict[str, Any],
    options: SceneOptions,
    progress: Callable[[int], None] | None = None,
) -> list[ClassTotal]:
    """Writes features into all files at once.

    Args:
        plan: Of the scene.
        features: Of the scene.
        outputs: Path by format.
        info: Whatever should be remembered of how they were made, ready for JSON.
        options: The CRS of the map, and what else is written.
        progress: Told how many features are written.

    Returns:
        What was found of each class.

    Raises:
        OSError: If a file cannot be written; then none is left behind half-written.
    """
    totals = [ClassTotal(one.name) for one in plan.classes]
    crs = crs_of_map(plan.crs, plan.grid, options.vectors.crs)
    files = [_open(plan, format, path, info, crs) for format, path in outputs.items()]
    if options.rasters:
        first = next(iter(outputs.values()))
        files.append(RasterFiles(options.rasters, first, plan.crs, plan.grid, plan.classes))
    try:
        written = 0
        for batch in _batches(features):
            for file in files:
                file.add(batch)
            for feature in batch:
                totals[feature.label] = totals[feature.label].with_feature(feature)
            written += len(batch)
            if progress is not None:
                progress(written)
        for file in files:
            file.finish()
    except BaseException:
        for file in files:
            file.abandon()
        raise
    return totals


def _open(
    plan: ScenePlan, format: str, path: Path, info: dict[str, Any], crs: str | None
) -> FeatureFile:
    if format == "coco":
        size = (plan.grid.height, plan.grid.width)
        return CocoFile(path, plan.source_name, size, plan.classes, info)
    settings = LayerSettings(crs, plan.source_name, info, qml(plan.classes))
    return open_vector_file(path, format, settings)


def _batches(features: Iterator[Feature]) -> Iterator[Sequence[Feature]]:
    batch: list[Feature] = []
    for feature in features:
        batch.append(feature)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
