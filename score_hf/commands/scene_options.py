"""Options for whole scenes, shared by the commands that read or merge them."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Whole scenes (georeferenced, or too large to be seen at once)"
# What Python calls otherwise than the command line; see `one_sentence`.
OTHER_NAMES = {"tile_size": "--tile"}

Gsd = Annotated[
    float | None,
    typer.Option(
        help="Ground size in metres of the pixels that the model sees. Without it: that of the "
        "scene.",
        rich_help_panel=_PANEL,
    ),
]
Bands = Annotated[
    str | None,
    typer.Option(
        help="Which bands are red, green and blue, from 1: 4,3,2. Without it: as the file says, "
        "else the first three.",
        rich_help_panel=_PANEL,
    ),
]
Stretch = Annotated[
    str,
    typer.Option(
        help="Values to colours, one stretch a scene: auto (8 bits as they are, all else by "
        "percentiles), none, 2%,98% or 0,3000.",
        rich_help_panel=_PANEL,
    ),
]
Nodata = Annotated[
    float | None,
    typer.Option(
        help="Value of pixels without data, beside what the file says.", rich_help_panel=_PANEL
    ),
]
TileSide = Annotated[
    int | None,
    typer.Option(
        "--tile",
        help="Side of a tile in pixels; plain pictures then go through tiles too. Without it: "
        "what the model is given without resizing.",
        rich_help_panel=_PANEL,
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        help="Pixels that tiles share. Without it: 160, or a quarter of a small tile.",
        rich_help_panel=_PANEL,
    ),
]
BatchSize = Annotated[
    int, typer.Option(help="How many tiles are computed together.", rich_help_panel=_PANEL)
]
MergeKind = Annotated[
    str | None,
    typer.Option(
        "--merge",
        help="How what tiles show of one object is joined: things (a tile shows it once), stuff "
        "(roads, water: a tile may show several pieces of it) or none. Without it: by the name of "
        "the class.",
        rich_help_panel=_PANEL,
    ),
]
MinArea = Annotated[
    float, typer.Option(help="Smallest object in square metres.", rich_help_panel=_PANEL)
]
MaxArea = Annotated[
    float | None, typer.Option(help="Largest object in square metres.", rich_help_panel=_PANEL)
]
FillHoles = Annotated[
    float, typer.Option(help="Largest hole to fill in square metres.", rich_help_panel=_PANEL)
]
Simplify = Annotated[
    float,
    typer.Option(
        help="Leave out corners of outlines that lie within so many metres.",
        rich_help_panel=_PANEL,
    ),
]
Work = Annotated[
    Path | None,
    typer.Option(
        help="Folder where tiles are kept until the map is written: a run that was stopped goes "
        "on where it was. Without it: beside the output.",
        rich_help_panel=_PANEL,
    ),
]
KeepWork = Annotated[
    bool,
    typer.Option(
        "--keep-work", help="Keep the tiles, for `score-hf stitch`.", rich_help_panel=_PANEL
    ),
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="Throw away what a stopped run left.", rich_help_panel=_PANEL),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", "-f", help="Replace maps that are there.", rich_help_panel=_PANEL),
]
Bbox = Annotated[
    str | None,
    typer.Option(
        help="Only this part: west,south,east,north in degrees, such as 8.5,47.3,8.6,47.4.",
        rich_help_panel=_PANEL,
    ),
]
Aoi = Annotated[
    Path | None,
    typer.Option(
        help="Only the areas of this vector file, in any coordinate reference system.",
        rich_help_panel=_PANEL,
    ),
]
MapCrs = Annotated[
    str,
    typer.Option(
        "--crs",
        help="Coordinate reference system of the map: source, utm or a code such as EPSG:3035. "
        "GeoJSON is always in longitudes and latitudes.",
        rich_help_panel=_PANEL,
    ),
]
Regularize = Annotated[
    str | None,
    typer.Option(
        help='Make outlines straight and right-angled: "building, garage", or all. Needs '
        "score-hf[regularize].",
        rich_help_panel=_PANEL,
    ),
]
Rasters = Annotated[
    str | None,
    typer.Option(
        help="Cloud-optimised GeoTIFFs beside the map: class, instance, score, separated by "
        "commas.",
        rich_help_panel=_PANEL,
    ),
]
Stac = Annotated[
    bool,
    typer.Option(
        "--stac", help="Write a STAC item that describes the map.", rich_help_panel=_PANEL
    ),
]
ProgressKind = Annotated[
    str,
    typer.Option(
        "--progress",
        help="bar (on a terminal), or json: for other programs, a line a batch on standard error.",
        rich_help_panel=_PANEL,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        help="Devices that share the tiles, one process each: 0,1 or cuda:0,cuda:1.",
        rich_help_panel=_PANEL,
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Who computes the tiles: local (this machine, or a share of them below torchrun, "
        "accelerate launch or SLURM) or ray (the cluster of RAY_ADDRESS, or this machine).",
        rich_help_panel=_PANEL,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="How many processes Ray runs. Without it: one for each GPU, two without GPUs.",
        min=1,
        rich_help_panel=_PANEL,
    ),
]


def parse_bands(text: str | None) -> tuple[int, ...] | None:
    """Reads band numbers.

    Args:
        text: Such as "4,3,2".

    Returns:
        The numbers.

    Raises:
        ValueError: If they are none.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"`--bands` must be three numbers such as 4,3,2, got {text!r}.") from error


def parse_list(text: str | None) -> tuple[str, ...]:
    """Reads words that commas separate, such as "class,score"."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def parse_bbox(text: str | None) -> tuple[float, float, float, float] | None:
    """Reads a box of longitudes and latitudes.

    Args:
        text: Such as "8.5,47.3,8.6,47.4".

    Returns:
        West, south, east and north.

    Raises:
        ValueError: If it is none.
    """
    if text is None:
        return None
    from ..scenes.area import parse_box

    return parse_box(text)
