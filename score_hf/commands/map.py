"""`score-hf map`: one web page of what was found in a scene."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import option_names, plain_messages


def map_page(
    source: Annotated[
        Path,
        typer.Argument(
            help="A map that `score-hf segment` wrote: .gpkg, .parquet, .fgb or .geojson.",
            metavar="MAP",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page. Without it: beside the map, as .html."),
    ] = None,
    limit: Annotated[
        int, typer.Option(help="How many features are shown at most, the surest first.", min=1)
    ] = 20_000,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "-f", help="Replace a page that is there.")
    ] = False,
) -> None:
    """Make one web page of a map: to move about, a layer a class, attributes under the pointer."""
    from ..scenes.web_map import make_map, read_features

    page = source.with_suffix(".html") if output is None else output
    with plain_messages(names=option_names(map_page)):
        if page.exists() and not overwrite:
            raise ValueError(f"{str(page)!r} is there already; give `--overwrite` to replace it.")
        try:
            table = read_features(source)
            figure = make_map(table, limit)
        except ImportError as error:
            raise ValueError(str(error)) from error
        page.parent.mkdir(parents=True, exist_ok=True)
        figure.save(str(page))
    typer.echo(f"{min(len(table), limit)} features of {source}, written to {page}")
