"""Whole scenes: a raster and a predictor in, a map of objects out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..bundled import DEFAULT_MODEL
from ..inference import DEFAULT_THRESHOLD, Segmenter
from ..processing.predictions import check_count, check_fraction
from .assembly import (
    FORMATS,
    ClassTotal,
    check_outputs,
    make_features,
    write_features,
)
from .extras import import_geopandas
from .features import Feature, VectorOptions
from .pieces import Piece, Predictor, make_pieces
from .plan import ScenePlan, plan_scene
from .raster import ReadingOptions, Scene
from .score_predictor import ScorePredictor
from .shards import WorkFolder
from .tile_run import FailedTile, TileProgress, run_tiles
from .vocabulary import SceneClass

DEFAULT_FLOOR = 0.05
_DEFAULT_TILE, _LARGEST_OVERLAP = 1024, 160


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is segmented.

    Args:
        threshold: Lowest score of an instance.
        floor: Lowest score of what is kept of tiles while they are merged, and for merging again
            with another threshold; at most `threshold`.
        tile_size: Side of a tile in pixels that the model sees; None: what the predictor likes.
        overlap: How many pixels tiles share at least: what the model sees around what it decides;
            None: 160, or a quarter of a small tile.
        batch_size: How many tiles are computed together.
        reading: How the scene is read.
        vectors: What becomes of outlines.
    """

    threshold: float = DEFAULT_THRESHOLD
    floor: float = DEFAULT_FLOOR
    tile_size: int | None = None
    overlap: int | None = None
    batch_size: int = 1
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    vectors: VectorOptions = field(default_factory=VectorOptions)

    def __post_init__(self) -> None:
        check_fraction(self.threshold, "threshold")
        check_fraction(self.floor, "floor")
        check_count(self.batch_size, "batch_size")


@dataclass(frozen=True)
class SceneResult:
    """What became of a scene.

    Args:
        plan: What was done.
        totals: What was found of each class; empty if tiles failed.
        outputs: The files that were written, by format.
        failed: Tiles that could not be read or computed; then no file is written.
        work: The folder of what was computed, if it is still there.
    """

    plan: ScenePlan
    totals: list[ClassTotal]
    outputs: dict[str, Path]
    failed: list[FailedTile]
    work: Path | None

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
            if format != "coco":
                return geopandas.read_file(path)
        raise ValueError("No vector file was written; give `output` one of gpkg, parquet or fgb.")

    def explore(self, **options: Any) -> Any:
        """Shows the features on an interactive map, by geopandas and folium.

        Args:
            **options: Those of `GeoDataFrame.explore`.
        """
        options = {"column": "class_name", "tooltip": ["class_name", "score", "area_m2"], **options}
        return self.to_geodataframe().explore(**options)


class SceneSegmenter:
    """A predictor and its vocabulary, for any number of scenes.

    Args:
        predictor: Finds instances in tiles: SCORE's or anybody's, see `Predictor`.
        classes: The vocabulary, names or more; None: that of SCORE's predictor.
        identity: Tells a predictor that is not SCORE's from others, so that tiles of another are
            never taken for its own; change it when the predictor changes.

    Raises:
        ValueError: If `classes` are missing.
    """

    def __init__(
        self,
        predictor: Predictor,
        classes: Sequence[str | SceneClass] | None = None,
        identity: str | None = None,
    ) -> None:
        self.predictor = predictor
        self.identity: dict[str, Any] = {
            "name": identity or getattr(predictor, "__qualname__", type(predictor).__qualname__)
        }
        self.tile_size = _DEFAULT_TILE
        if isinstance(predictor, ScorePredictor):
            self.identity, self.tile_size = predictor.identity, predictor.tile_size
            classes = classes or predictor.classes
        if not classes:
            raise ValueError("`classes` must name the classes of the predictor, but got none.")
        self.classes = [one if isinstance(one, SceneClass) else SceneClass(one) for one in classes]

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        classes: Sequence[str] | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "float32",
    ) -> "SceneSegmenter":
        """Loads a model of SCORE.

        Args:
            model: A folder, bundled name or hub id.
            classes: One item a class, a comma inside an item separates synonyms; None: those that
                the model stores.
            device: Such as "cpu" or "cuda"; None takes a GPU if there is one.
            dtype: See `score_hf.loading.load_model`.

        Returns:
            The segmenter.

        Raises:
            ValueError: As `score_hf.Segmenter`.
        """
        return cls(ScorePredictor(Segmenter(model, classes, device=device, dtype=dtype)))

    def set_classes(self, classes: Sequence[str]) -> None:
        """Encodes another vocabulary, of a predictor that is SCORE's.

        Args:
            classes: One item a class, a comma inside an item separates synonyms.

        Raises:
            TypeError: If the predictor is not SCORE's, and so has its own classes.
            ValueError: If the names are not valid.
        """
        if not isinstance(self.predictor, ScorePredictor):
            raise TypeError("`classes` can be changed only for SCORE's predictor; make another.")
        self.predictor.segmenter.set_classes(classes)
        self.classes = self.predictor.classes

    def plan(self, scene: Scene, options: SceneOptions | None = None) -> ScenePlan:
        """Plans a scene without computing anything.

        Args:
            scene: Opened.
            options: How it is segmented.

        Returns:
            The plan.

        Raises:
            ValueError: If options do not go together.
        """
        options = options or SceneOptions()
        tile = self.tile_size if options.tile_size is None else options.tile_size
        overlap = options.overlap
        if overlap is None:
            overlap = max(1, min(_LARGEST_OVERLAP, tile // 4))
        least = [one.threshold for one in self.classes if one.threshold is not None]
        floor = min([options.floor, options.threshold, *least])
        return plan_scene(scene, self.classes, tile, overlap, floor, self.identity)

    def iter_instances(
        self,
        scene: Any,
        classes: Sequence[str] | None = None,
        options: SceneOptions | None = None,
    ) -> Iterator[Feature]:
        """Segments a scene and gives its features one by one, without any file.

        Args:
            scene: A path, an address, or a dataset opened by rasterio.
            classes: Another vocabulary; None: that of the segmenter.
            options: How it is segmented.

        Yields:
            Features, as soon as no further tile can add to them.

        Raises:
            OSError: If a tile cannot be read.
            ValueError: If an argument is not valid.
        """
        options = options or SceneOptions()
        if classes is not None:
            self.set_classes(classes)
        with Scene(scene, options.reading) as opened:
            plan = self.plan(opened, options)
            grid = plan.tiles
            self._keep_from(plan.floor)

            def read_tile(row: int, column: int) -> list[Piece]:
                tile = opened.read(grid.window(row, column))
                (found,) = self.predictor([tile])
                return make_pieces(tile, found, grid, len(plan.classes))

            yield from make_features(plan, read_tile, options.threshold, options.vectors)

    def segment(
        self,
        scene: Any,
        classes: Sequence[str] | None = None,
        output: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        options: SceneOptions | None = None,
        work: str | os.PathLike[str] | None = None,
        keep_work: bool = False,
        fresh: bool = False,
        overwrite: bool = False,
        progress: TileProgress | None = None,
    ) -> SceneResult:
        """Segments a scene into files.

        What was found in tiles is kept in a work folder until the files are written: the same
        call after an interruption goes on where it was, and gives the same bytes.

        Args:
            scene: A path, an address, or a dataset opened by rasterio.
            classes: Another vocabulary; None: that of the segmenter.
            output: One or several files, their formats by their endings: .gpkg, .parquet, .fgb,
                .geojson, .json (COCO).
            options: How it is segmented.
            work: The work folder; None: beside the output, named after it.
            keep_work: Whether the work folder stays, for `restitch`.
            fresh: Whether what an interrupted run left is thrown away.
            overwrite: Whether files that are there are replaced.
            progress: Told after each batch of tiles what is done.

        Returns:
            What was found and written. If tiles failed, no file is written; the same call then
            computes only those again.

        Raises:
            OSError: If a file cannot be written.
            ValueError: If an argument is not valid.
        """
        options = options or SceneOptions()
        outputs = outputs_by_format(output)
        if classes is not None:
            self.set_classes(classes)
        with Scene(scene, options.reading) as opened:
            plan = self.plan(opened, options)
            check_outputs(plan, outputs, overwrite)
            folder = work_folder(outputs) if work is None else Path(work)
            shards = WorkFolder(folder, plan.as_dictionary())
            shards.prepare(plan.notes(), fresh)
            grid = plan.tiles
            self._keep_from(plan.floor)
            failed = run_tiles(
                opened,
                grid,
                self.predictor,
                shards,
                list(grid),
                len(plan.classes),
                options.batch_size,
                progress,
            )
        if failed:
            return SceneResult(plan, [], {}, failed, folder)
        result = restitch(shards, plan, outputs, options)
        if keep_work:
            return result
        shards.remove()
        return replace(result, work=None)

    def _keep_from(self, floor: float) -> None:
        if isinstance(self.predictor, ScorePredictor):
            self.predictor.floor = floor


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
    totals = write_features(plan, features, outputs, info)
    return SceneResult(plan, totals, outputs, missing, shards.path)


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
