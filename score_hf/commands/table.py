"""`score-hf table`: repeats a table of the paper, or says what that would take."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..extras import missing_packages
from .terminal import FAILURE, INTERRUPTED, complain, fail, option_names, plain_messages

if TYPE_CHECKING:
    from ..tables.paper import PaperTable
    from ..tables.plan import Cell
    from ..tables.workspace import Workspace


def table(
    number: Annotated[
        str, typer.Argument(metavar="TABLE", help="1 to 6, or A.", show_default=False)
    ],
    root: Annotated[
        Path,
        typer.Option(help="Folder with the prepared sets: isaid, sior, nwpu, sota, fast ..."),
    ],
    weights: Annotated[
        Path,
        typer.Option(
            help="Folder with what `score-hf convert` wrote: remoteclip, georsclip, skyclip, clip."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the runs of all tables, and for the tables."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would run, and the table as it is.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these runs or cells, named as the list of --dry-run does: isaid-remoteclip, "
            "'isaid*/nwpu'. May be repeated."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Another value in the recipes of all trainings, such as steps=1000. May be "
            "repeated.",
        ),
    ] = None,
    launch_options: Annotated[
        str,
        typer.Option(
            help="Options of `accelerate launch`, such as '--num_processes 4'. Without them: what "
            "`accelerate config` has stored."
        ),
    ] = "",
) -> None:
    """Repeat a table of the paper: train, evaluate, and print it beside the paper's numbers.

    Runs are shared by all tables with the same --output. What is done is skipped, what was
    stopped goes on with the same command.
    """
    missing = missing_packages("tables need", "accelerate", "datasets", "scipy")
    if missing is not None:
        fail(missing)
    from ..tables.paper import TABLES
    from ..tables.plan import cells_of
    from ..tables.workspace import Workspace

    with plain_messages(names=option_names(table)):
        if number.upper() not in TABLES:
            raise ValueError(f"`TABLE` must be one of {', '.join(TABLES)}, got {number!r}.")
        chosen = TABLES[number.upper()]
        cells = cells_of(chosen, only or ())
        workspace = Workspace(root, weights, output, tuple(changes or ()))
        try:
            options = shlex.split(launch_options)
        except ValueError as error:
            raise ValueError(f"`--launch-options` cannot be read: {error}.") from error
        problems = workspace.problems(cells)
    if problems:
        complain(f"table {chosen.number} needs what is not there:")
        for problem in problems:
            typer.echo(f"  {problem}", err=True)
    if dry_run:
        _list_work(workspace, cells, options)
        typer.echo(_markdown(chosen, workspace))
        return
    if problems:
        fail("nothing was run; make these first (RAW: the download as it was unpacked).")
    _run(chosen, workspace, cells, options)


def _run(
    chosen: "PaperTable", workspace: "Workspace", cells: Sequence["Cell"], options: Sequence[str]
) -> None:
    from ..tables.run import run_cells

    workspace.output.mkdir(parents=True, exist_ok=True)
    try:
        failures = run_cells(workspace, cells, options, complain)
    except KeyboardInterrupt:
        _write(chosen, workspace)
        fail("stopped by the user; run the same command again to go on.", INTERRUPTED)
    _write(chosen, workspace)
    for failure in failures:
        complain(failure)
    if failures:
        raise typer.Exit(FAILURE)


def _list_work(workspace: "Workspace", cells: Sequence["Cell"], options: Sequence[str]) -> None:
    launch = shlex.join(["accelerate", "launch", *options, "-m"])
    runs = list(dict.fromkeys(cell.run for cell in cells))
    typer.echo(f"{len(runs)} trainings:")
    for run in runs:
        typer.echo(f"[{workspace.run_state(run)}] {run.name}")
        typer.echo(f"    {launch} {shlex.join(workspace.train_command(run))}")
    typer.echo(f"\n{len(cells)} cells:")
    for cell in cells:
        alpha, beta = cell.ensemble
        whose = "" if cell.is_authors_ensemble else " (ours: the authors' are not known)"
        typer.echo(f"[{workspace.cell_state(cell)}] {cell.name}: alpha {alpha}, beta {beta}{whose}")
        typer.echo(f"    {launch} {shlex.join(workspace.evaluate_command(cell))}")
    typer.echo()


def _markdown(chosen: "PaperTable", workspace: "Workspace") -> str:
    from ..tables.render import as_markdown

    return as_markdown(chosen, workspace.percent)


def _write(chosen: "PaperTable", workspace: "Workspace") -> None:
    from ..tables.render import as_csv

    text = _markdown(chosen, workspace)
    place = workspace.output / f"table-{chosen.number}"
    place.with_suffix(".md").write_text(f"{text}\n", encoding="utf-8")
    place.with_suffix(".csv").write_text(as_csv(chosen, workspace.percent), encoding="utf-8")
    typer.echo(text)
    complain(f"written to {place}.md and {place}.csv")
