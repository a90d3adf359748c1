"""The command line `score-hf`: one thin door to the commands."""

from typing import Annotated

import typer

from . import __version__
from .commands.convert import convert
from .commands.demo import demo
from .commands.evaluate import evaluate
from .commands.export import export
from .commands.info import info
from .commands.map import map_page
from .commands.prepare import prepare
from .commands.push import push
from .commands.segment import segment
from .commands.stitch import stitch
from .commands.table import table
from .commands.terminal import print_any_text

app = typer.Typer(
    name="score-hf",
    help="Open-vocabulary instance segmentation of aerial images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"score-hf {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Open-vocabulary instance segmentation of aerial images."""
    print_any_text()


app.command()(segment)
app.command()(info)
app.command()(stitch)
app.command("map")(map_page)
app.command()(convert)
app.command()(demo)
app.command()(evaluate)
app.command()(push)
app.command()(table)
app.add_typer(prepare)
app.add_typer(export)
