"""`score-hf info`: what would be done with a scene, without doing it."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..bundled import DEFAULT_MODEL
from .class_tables import add_row, make_table, print_table
from .scene_options import (
    OTHER_NAMES,
    Aoi,
    Bands,
    BatchSize,
    Bbox,
    Gsd,
    Nodata,
    Overlap,
    Stretch,
    TileSide,
    parse_bands,
    parse_bbox,
)
from .terminal import complain, option_names, plain_messages, quiet_transformers

if TYPE_CHECKING:
    from ..scenes import Scene, SceneSegmenter
    from ..scenes.plan import ScenePlan


def info(
    scene: Annotated[str, typer.Argument(help="Path or address of a raster.")],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Folder, bundled model or hub id. Without it: the bundled {DEFAULT_MODEL}."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help="Compute one tile to tell the time and the memory."
        ),
    ] = True,
    gsd: Gsd = None,
    bands: Bands = None,
    stretch: Stretch = "auto",
    nodata: Nodata = None,
    bbox: Bbox = None,
    aoi: Aoi = None,
    tile: TileSide = None,
    overlap: Overlap = None,
    batch_size: BatchSize = 1,
) -> None:
    """Say what would be done with a scene: size, ground, tiles, memory and time."""
    quiet_transformers()
    from ..scenes import ReadingOptions, Scene, SceneOptions, SceneSegmenter

    with plain_messages(names={**option_names(info), **OTHER_NAMES}):
        reading = ReadingOptions(gsd, parse_bands(bands), stretch, nodata, parse_bbox(bbox), aoi)
        options = SceneOptions(
            tile_size=tile, overlap=overlap, batch_size=batch_size, reading=reading
        )
        try:
            opened = Scene(scene, reading)
        except ImportError as error:
            raise ValueError(str(error)) from error
        with opened:
            segmenter = SceneSegmenter.from_pretrained(model or DEFAULT_MODEL, device=device)
            plan = segmenter.plan(opened, options)
            table = make_table("Scene", scene)
            for name, value in _describe(opened, plan):
                add_row(table, name, value)
            if measure:
                for name, value in _measure(segmenter, opened, plan, batch_size):
                    add_row(table, name, value)
    print_table(table)
    if opened.crs is None:
        complain(
            "note: it has no coordinate reference system: results would be in PIXELS, x to the "
            "right and y down."
        )
    if opened.has_long_strips:
        complain(
            "note: it is stored in long strips, which is slow to read in tiles; "
            "`gdal_translate -of COG` makes it fast."
        )


def _describe(scene: "Scene", plan: "ScenePlan") -> list[tuple[str, str]]:
    height, width = scene.source_size
    metres = plan.grid.pixel_metres
    stretch = scene.radiometry
    grid = plan.tiles
    as_is = "as they are" if plan.grid.is_native else f"{plan.grid.width} x {plan.grid.height}"
    if stretch.low is None or stretch.high is None:
        colours = "as they are"
    else:
        ranges = zip(stretch.low, stretch.high, strict=True)
        colours = ", ".join(f"{low:g} to {high:g}" for low, high in ranges)
    return [
        ("Size", f"{width} x {height} pixels, {scene.band_count} bands of {scene.dtype}"),
        ("Coordinates", scene.crs_name or "none"),
        (
            "Ground size of a pixel",
            "not known" if metres is None else f"{metres[0]:.3g} x {metres[1]:.3g} m",
        ),
        ("Pixels the model sees", as_is),
        ("Bands", ", ".join(map(str, scene.bands))),
        ("Stretch", colours),
        (
            "Tiles",
            f"{len(grid)} ({grid.columns} x {grid.rows}) of {plan.tile_size}, overlap "
            f"{plan.overlap}",
        ),
    ]


def _measure(
    segmenter: "SceneSegmenter", scene: "Scene", plan: "ScenePlan", batch_size: int
) -> list[tuple[str, str]]:
    """Computes the middle of the scene twice: the first time pays for what comes once."""
    import resource

    grid = plan.tiles
    tile = scene.read(grid.window(grid.rows // 2, grid.columns // 2))
    segmenter.predictor([tile] * batch_size)
    start = time.perf_counter()
    segmenter.predictor([tile] * batch_size)
    seconds = (time.perf_counter() - start) * len(grid) / batch_size
    # In kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        ("Memory", f"about {peak:.0f} MiB, whatever the size of the scene"),
        ("Time", f"about {_duration(seconds)} at this speed"),
    ]


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{minutes:.0f} minutes" if minutes >= 2 else f"{seconds:.0f} seconds"
