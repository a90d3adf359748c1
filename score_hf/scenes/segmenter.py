"""Whole scenes: a raster and a predictor in, a map of objects out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..bundled import DEFAULT_MODEL
from ..inference import Segmenter
from .assembly import check_outputs, make_features
from .crowding import CrowdSplitter
from .engines import Engine, TileJob
from .features import Feature
from .options import SceneOptions
from .pieces import Piece, Predictor, make_pieces
from .plan import ScenePlan, plan_scene
from .raster import Scene
from .result import SceneResult, outputs_by_format, restitch, work_folder
from .score_predictor import ScorePredictor
from .shards import WorkFolder
from .tile_run import FailedTile, TileBatch, TileProgress, batches_of, is_empty, run_tiles
from .vocabulary import SceneClass

_DEFAULT_TILE, _LARGEST_OVERLAP = 1024, 160


class SceneSegmenter:
    """A predictor and its vocabulary, for any number of scenes.

    Args:
        predictor: Finds instances in tiles: SCORE's or anybody's, see `Predictor`.
        classes: The vocabulary, names or more; None: that of SCORE's predictor.
        identity: Tells a predictor that is not SCORE's from others, so that tiles of another are
            never taken for its own; change it when the predictor changes.
        capacity: How many instances a predictor that is not SCORE's can find in a tile; tiles where
            it has found nearly so many are seen again in closer views. None: any number.

    Raises:
        ValueError: If `classes` are missing.
    """

    def __init__(
        self,
        predictor: Predictor,
        classes: Sequence[str | SceneClass] | None = None,
        identity: str | None = None,
        capacity: int | None = None,
    ) -> None:
        self.predictor, self.capacity = predictor, capacity
        self.identity: dict[str, Any] = {
            "name": identity or getattr(predictor, "__qualname__", type(predictor).__qualname__)
        }
        self.tile_size = _DEFAULT_TILE
        if isinstance(predictor, ScorePredictor):
            self.identity, self.tile_size = predictor.identity, predictor.tile_size
            self.capacity = predictor.capacity
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
        identity = dict(self.identity)
        if self.capacity is not None:
            identity |= {"capacity": self.capacity, "merge": [one.merge for one in self.classes]}
        return plan_scene(scene, self.classes, tile, overlap, floor, identity)

    def _predictor(self, floor: float) -> Predictor:
        if isinstance(self.predictor, ScorePredictor):
            self.predictor.floor = floor
        if self.capacity is None:
            return self.predictor
        return CrowdSplitter(self.predictor, self.capacity, [one.merge for one in self.classes])

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
            predictor = self._predictor(plan.floor)

            def read_tile(row: int, column: int) -> list[Piece]:
                tile = opened.read(grid.window(row, column))
                if is_empty(tile, grid.core(row, column)):
                    return []
                (found,) = predictor([tile])
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
        engine: Engine | None = None,
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
            engine: Has tiles computed by other processes too; None: this one computes all. A
                process that helps another heeds neither `fresh` nor `overwrite`, and finds nothing
                to do when the output is there.

        Returns:
            What was found and written. If tiles failed, no file is written; the same call then
            computes only those again. Nothing is written by a process that helps another.

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
            folder = work_folder(outputs) if work is None else Path(work)
            if engine is not None and engine.is_helper:
                if all(path.exists() for path in outputs.values()):
                    # Those that come late find all done.
                    return SceneResult(plan, [], {}, [], None)
                return self._help(opened, plan, _job(scene, options, folder), engine, progress)
            check_outputs(plan, outputs, overwrite, options)
            shards = WorkFolder(folder, plan.as_dictionary())
            shards.prepare(plan.notes(), fresh)
            predictor = self._predictor(plan.floor)
            batches = batches_of(plan.tiles, options.batch_size)
            if engine is not None:
                mine = engine.start(_job(scene, options, folder), batches)
                self._run(opened, plan, predictor, shards, mine, progress)
                engine.wait()
                # From the end on, where other processes come last.
                batches.reverse()
            failed = self._run(opened, plan, predictor, shards, batches, progress)
        split = predictor.split_tiles if isinstance(predictor, CrowdSplitter) else 0
        if failed:
            return SceneResult(plan, [], {}, failed, folder, split)
        result = replace(restitch(shards, plan, outputs, options), split_tiles=split)
        if keep_work:
            return result
        shards.remove()
        return replace(result, work=None)

    def compute_tiles(
        self,
        scene: str | os.PathLike[str],
        options: SceneOptions,
        work: str | os.PathLike[str],
        batches: Sequence[TileBatch],
    ) -> list[FailedTile]:
        """Computes tiles for a work folder, which another process has prepared.

        Args:
            scene: A path or address.
            options: How the scene is segmented.
            work: The work folder.
            batches: Rows and columns.

        Returns:
            The tiles that failed.

        Raises:
            OSError: If what was found cannot be stored.
            ValueError: If the work folder is none, or that of another plan.
        """
        with Scene(scene, options.reading) as opened:
            plan = self.plan(opened, options)
            shards = WorkFolder(Path(work), plan.as_dictionary())
            if WorkFolder.existing(Path(work)).key != shards.key:
                raise ValueError(f"`work` {str(work)!r} belongs to another run.")
            return self._run(opened, plan, self._predictor(plan.floor), shards, batches, None)

    def _help(
        self,
        scene: Scene,
        plan: ScenePlan,
        job: TileJob,
        engine: Engine,
        progress: TileProgress | None,
    ) -> SceneResult:
        """Computes a share of the tiles for the process that stitches."""
        shards = WorkFolder(job.work, plan.as_dictionary())
        shards.prepare(plan.notes())
        mine = engine.start(job, batches_of(plan.tiles, job.options.batch_size))
        failed: list[FailedTile] = []
        try:
            failed = self._run(scene, plan, self._predictor(plan.floor), shards, mine, progress)
        except FileNotFoundError:
            if shards.is_there():
                raise
        return SceneResult(plan, [], {}, failed, job.work)

    def _run(
        self,
        scene: Scene,
        plan: ScenePlan,
        predictor: Predictor,
        shards: WorkFolder,
        batches: Sequence[TileBatch],
        progress: TileProgress | None,
    ) -> list[FailedTile]:
        return run_tiles(scene, plan.tiles, predictor, shards, batches, len(plan.classes), progress)


def _job(scene: Any, options: SceneOptions, work: Path) -> TileJob:
    if not isinstance(scene, str | os.PathLike):
        raise TypeError(
            "`scene` must be a path or an address where several processes read it, but got "
            f"{type(scene).__name__}."
        )
    return TileJob(os.fspath(scene), options, work)
