"""What `score-hf segment` does with whole scenes."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from .class_tables import add_row, make_table, print_table
from .scene_engines import EngineChoice
from .terminal import FAILURE, INTERRUPTED, complain

if TYPE_CHECKING:
    from rich.table import Table

    from ..inference import Segmenter
    from ..scenes import SceneOptions, SceneResult, SceneSegmenter
    from ..scenes.engines import Engine
    from ..scenes.matching import Merge
    from ..scenes.tile_run import TileProgress
    from ..scenes.vocabulary import SceneClass

MERGE_KINDS = ("things", "stuff", "none")
PROGRESS_KINDS = ("bar", "json")


@dataclass(frozen=True)
class SceneRequest:
    """What is wanted of scenes.

    Args:
        options: How they are segmented.
        formats: What is written.
        output: A folder, or a file if there is one scene.
        engine: Who computes the tiles.
        names: Of the classes, as `Segmenter` takes them; None: those that the model stores.
        dtype: Of the model.
        merge: How all classes are merged; None: each by its own setting.
        work: Where tiles are kept; None: beside the output.
        keep_work: Whether they stay.
        fresh: Whether those of a stopped run are thrown away.
        overwrite: Whether files that are there are replaced.
        progress: One of `PROGRESS_KINDS`.
    """

    options: "SceneOptions"
    formats: Sequence[str]
    output: Path
    engine: EngineChoice
    names: Sequence[str] | None = None
    dtype: str = "float32"
    merge: str | None = None
    work: Path | None = None
    keep_work: bool = False
    fresh: bool = False
    overwrite: bool = False
    progress: str = "bar"

    @property
    def is_one_file(self) -> bool:
        from ..scenes.assembly import FORMATS

        return self.output.suffix.lower() in FORMATS.values() and not self.output.is_dir()

    def check(self, scenes: Collection[str], pictures: int) -> None:
        """Checks the request before anything is computed.

        Args:
            scenes: The scenes.
            pictures: How many plain pictures there are beside.

        Raises:
            ValueError: If the output is one file for several inputs, `merge` or `progress` is not
                known, or one of several processes could throw away what another has done.
        """
        if self.is_one_file and len(scenes) + pictures > 1:
            raise ValueError(
                f"`--output-dir` must be a folder for {len(scenes) + pictures} inputs, got the "
                f"file {str(self.output)!r}."
            )
        check_merge(self.merge)
        if self.progress not in PROGRESS_KINDS:
            raise ValueError(
                f"`--progress` must be {' or '.join(PROGRESS_KINDS)}, got {self.progress!r}."
            )
        self.engine.check(self.fresh, self.overwrite)


def check_merge(merge: str | None) -> None:
    """Checks how pieces are to be merged.

    Raises:
        ValueError: If it is not known.
    """
    if merge is not None and merge not in MERGE_KINDS:
        raise ValueError(f"`--merge` must be things, stuff or none, got {merge!r}.")


def scene_outputs(request: SceneRequest, scenes: Collection[str]) -> dict[str, dict[str, Path]]:
    """Names the files of each scene.

    Args:
        request: What is wanted.
        scenes: The scenes.

    Returns:
        For each scene the path of each format.
    """
    from ..scenes.assembly import FORMATS
    from ..scenes.result import outputs_by_format

    if request.is_one_file:
        return {scene: outputs_by_format(request.output) for scene in scenes}
    taken: set[str] = set()
    outputs = {}
    for scene in sorted(scenes):
        stem = Path(scene.partition("?")[0]).stem or "scene"
        name, number = stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        outputs[scene] = {one: request.output / f"{name}{FORMATS[one]}" for one in request.formats}
    return outputs


def segment_scenes(
    model: "Segmenter",
    vocabulary: Sequence["SceneClass"] | None,
    scenes: Collection[str],
    request: SceneRequest,
) -> list[tuple[str, int]]:
    """Segments scenes, one after the other; one that fails does not stop the rest.

    Args:
        model: Model and vocabulary.
        vocabulary: What a vocabulary file says of the classes; None without.
        scenes: The scenes.
        request: What is wanted.

    Returns:
        What went wrong, each in one sentence with its exit status; or nothing.
    """
    from ..scenes import SceneSegmenter
    from ..scenes.score_predictor import ScorePredictor

    predictor = ScorePredictor(model)
    classes = with_settings(predictor.classes, vocabulary, request.merge)
    segmenter = SceneSegmenter(predictor, classes)
    problems: list[tuple[str, int]] = []
    with ExitStack() as stack:
        engine = request.engine.make(
            str(model.model.name_or_path), request.names, request.dtype, classes
        )
        if engine is not None:
            stack.enter_context(closing(engine))
        for scene, outputs in scene_outputs(request, scenes).items():
            work = request.work
            if work is not None and len(scenes) > 1:
                work = work / next(iter(outputs.values())).stem
            try:
                result = _segment_one(segmenter, scene, outputs, work, request, engine)
            except KeyboardInterrupt:
                message = "stopped by the user; the same command goes on where it was."
                return [*problems, (message, INTERRUPTED)]
            except (ImportError, OSError, TypeError, ValueError) as error:
                problems.append((" ".join(str(error).split()), FAILURE))
                continue
            problem = _tell(scene, result, request.engine)
            if problem is not None:
                problems.append((problem, FAILURE))
    return problems


def _tell(scene: str, result: "SceneResult", engine: EngineChoice) -> str | None:
    """Says what became of a scene; returns what went wrong."""
    if engine.rank is not None and engine.is_helper:
        typer.echo(
            f"process {engine.rank.number} of {engine.rank.processes} has done its share of "
            f"{scene}; process 0 writes the map."
        )
        return None
    if result.failed:
        return _tell_failed(scene, result)
    print_table(result_table(result))
    files = ", ".join(str(path) for path in result.outputs.values())
    typer.echo(f"{sum(result.counts.values())} instances in {scene}, written to {files}")
    return None


def _segment_one(
    segmenter: "SceneSegmenter",
    source: str,
    outputs: dict[str, Path],
    work: Path | None,
    request: SceneRequest,
    engine: "Engine | None",
) -> "SceneResult":
    if not request.engine.is_helper:
        _tell_place(source, request)
    shown = _progress_lines if request.progress == "json" else _progress_bar
    with shown(source) as progress:
        return segmenter.segment(
            source,
            output=list(outputs.values()),
            options=request.options,
            work=work,
            keep_work=request.keep_work,
            fresh=request.fresh,
            overwrite=request.overwrite,
            engine=engine,
            progress=progress,
        )


@contextmanager
def _progress_bar(source: str) -> Iterator["TileProgress"]:
    """Shows, on a terminal, the tiles done, the objects found and the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles, {task.fields[found]} found"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(Path(source).name, total=None, found=0)
        yield lambda done, total, found: bar.update(task, completed=done, total=total, found=found)


@contextmanager
def _progress_lines(source: str) -> Iterator["TileProgress"]:
    """Tells other programs the same, a line of JSON a batch."""
    yield lambda done, total, found: typer.echo(
        json.dumps({"scene": source, "done": done, "total": total, "found": found}), err=True
    )


def _tell_place(source: str, request: SceneRequest) -> None:
    """Says what a user could take for granted and should not."""
    from ..scenes.raster import Scene

    with Scene(source, request.options.reading) as scene:
        if scene.crs is None:
            complain(
                f"note: {source!r} has no coordinate reference system: its results are in PIXELS, "
                "x to the right and y down, and have no areas in square metres."
            )
        if scene.has_long_strips:
            complain(
                f"note: {source!r} is stored in long strips, which is slow to read in tiles; "
                "`gdal_translate -of COG` makes it fast."
            )


def _tell_failed(scene: str, result: "SceneResult") -> str:
    for tile in result.failed:
        complain(
            f"{scene!r}, rows {tile.window.top} to {tile.window.bottom}, columns "
            f"{tile.window.left} to {tile.window.right}: {tile.reason}"
        )
    return (
        f"{len(result.failed)} of {len(result.plan.tiles)} tiles of {scene!r} failed, so nothing "
        f"is written; the same command tries those again, and `score-hf stitch {result.work} "
        "--partial` writes what there is."
    )


def result_table(result: "SceneResult") -> "Table":
    """A table of what was found of each class."""
    table = make_table("Class", "Instances", "Area (m2)", "Best score")
    for total in result.totals:
        area = "" if total.area_m2 is None else f"{total.area_m2:,.0f}"
        best = "" if total.best_score is None else f"{total.best_score:.2f}"
        add_row(table, total.name, str(total.count), area, best)
    return table


def with_settings(
    known: Sequence["SceneClass"], given: Sequence["SceneClass"] | None, merge: str | None
) -> list["SceneClass"]:
    """Brings together what the model says of classes and what the user wants of them.

    Args:
        known: As the predictor has them.
        given: As a vocabulary file has them; None without.
        merge: One of `MERGE_KINDS` for all of them; None: each as the file or its name says.

    Returns:
        The classes.
    """
    classes = list(known)
    if given is not None:
        classes = [replace(wanted, seen=one.seen) for wanted, one in zip(given, known, strict=True)]
    if merge is None:
        return classes
    return [replace(one, merge=cast("Merge", merge)) for one in classes]
