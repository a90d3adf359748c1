"""What becomes of a scene, and merging its tiles once more."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .assembly import FORMATS, ClassTotal, beside, make_features, write_features
from .extras import import_geopandas
from .options import SceneOptions
from .pieces import Piece
from .plan import ScenePlan
from .shards import WorkFolder
from .stac import write_item
from .tile_run import FailedTile
from .vector_files import LAYER, VECTOR_FORMATS
from .web_map import DEFAULT_LIMIT, make_map


@dataclass(frozen=True)
class SceneResult:
    """What became of a scene.

    Args:
        plan: What was done.
        totals: What was found of each class; empty if tiles failed.
        outputs: The files that were written, by format.
        failed: Tiles that could not be read or computed; then no file is written.
        work: The folder of what was computed, if it is still there.
        split_tiles: How many tiles of this run were so crowded that they were seen again in closer
            views.
    """

    plan: ScenePlan
    totals: list[ClassTotal]
    outputs: dict[str, Path]
    failed: list[FailedTile]
    work: Path | None
    split_tiles: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Instances by class name."""
        return {total.name: total.count for total in self.totals}

    @property
    def area_m2(self) -> dict[str, float | None]:
        """Ground area by class name."""
        return {total.name: total.area_m2 for total in self.totals}

    def to_geodataframe(self) -> Any:
        """Reads the features as a geopandas GeoDataFrame.

        Raises:
            ImportError: If geopandas is missing.
            ValueError: If no vector file was written.
        """
        geopandas = import_geopandas()
        for format, path in self.outputs.items():
            if format == "parquet":
                return geopandas.read_parquet(path)
            if format in VECTOR_FORMATS:
                return geopandas.read_file(path, layer=LAYER)
        raise ValueError("No vector file was written; give `output` one of gpkg, parquet or fgb.")

    def explore(self, limit: int = DEFAULT_LIMIT) -> Any:
        """Shows the features on an interactive map of folium.

        Args:
            limit: How many features are shown at most, by falling score.

        Raises:
            ImportError: If folium is missing.
            ValueError: If no vector file was written, or the scene has no place on the ground.
        """
        return make_map(self.to_geodataframe(), limit)


def restitch(
    shards: WorkFolder,
    plan: ScenePlan,
    outputs: dict[str, Path],
    options: SceneOptions,
    partial: bool = False,
) -> SceneResult:
    """Merges the tiles of a work folder, without the network, and writes files.

    Args:
        shards: With all tiles of the plan.
        plan: Of the scene; its classes may have other thresholds, limits and ways of merging.
        outputs: Path by format.
        options: Threshold and outlines.
        partial: Whether tiles that are missing or damaged are passed over.

    Returns:
        What was found and written; the tiles that were passed over are `failed`.

    Raises:
        OSError: If a file cannot be written.
        ValueError: If a tile is missing or damaged, or the threshold is lower than what was kept.
    """
    grid = plan.tiles
    missing: list[FailedTile] = []

    def read_tile(row: int, column: int) -> list[Piece]:
        try:
            return shards.read(row, column)
        except (OSError, ValueError) as error:
            reason = "it is not done" if isinstance(error, FileNotFoundError) else str(error)
            if not partial:
                raise ValueError(
                    f"{str(shards.path)!r} lacks the tile in row {row}, column {column} "
                    f"({reason}): run the same `score-hf segment` again, or stitch with "
                    "`--partial`."
                ) from error
            missing.append(FailedTile(row, column, grid.window(row, column), reason))
            return []

    features = make_features(plan, read_tile, options.threshold, options.vectors)
    info = {
        **plan.as_dictionary(),
        "threshold": options.threshold,
        "vectors": asdict(options.vectors),
        "merge": [one.merge for one in plan.classes],
    }
    totals = write_features(plan, features, outputs, info, options)
    more = beside(outputs, options)
    if options.stac:
        item = more.pop("stac")
        write_item(plan, {**outputs, **more}, item, options.threshold)
        more["stac"] = item
    return SceneResult(plan, totals, {**outputs, **more}, missing, shards.path)


def outputs_by_format(
    output: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> dict[str, Path]:
    """Tells the formats of files by their endings.

    Args:
        output: One or several paths.

    Returns:
        Path by format.

    Raises:
        ValueError: If an ending is not known, or two files have one format.
    """
    paths = [output] if isinstance(output, str | os.PathLike) else list(output)
    outputs: dict[str, Path] = {}
    for path in map(Path, paths):
        formats = [name for name, suffix in FORMATS.items() if suffix == path.suffix.lower()]
        if not formats or formats[0] in outputs:
            raise ValueError(
                f"`output` must end in {', '.join(FORMATS.values())}, each at most once, but got "
                f"{str(path)!r}."
            )
        outputs[formats[0]] = path
    if not outputs:
        raise ValueError(f"`output` must name a file that ends in {', '.join(FORMATS.values())}.")
    return outputs


def work_folder(outputs: dict[str, Path]) -> Path:
    """The place of the work folder if none is given: beside the first output."""
    first = next(iter(outputs.values()))
    return first.parent / ".work" / first.stem
