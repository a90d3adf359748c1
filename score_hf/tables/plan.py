"""Which trainings and evaluations fill a table; each is known by a name and done once."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .paper import Column, Ensemble, PaperTable, Row
from .sources import AUTHORS_ENSEMBLE, OWN_ENSEMBLE


@dataclass(frozen=True)
class Run:
    """A training. Whatever table asks for the same recipe and weights asks for the same run.

    Args:
        recipe: Name of the recipe.
        weights: Name of the folder of converted weights that it starts with.
        trained_on: Name of the training set.
    """

    recipe: str
    weights: str
    trained_on: str

    @property
    def name(self) -> str:
        """The run's folder, such as "isaid_rai-remoteclip"."""
        return f"{self.recipe}-{self.weights}"


@dataclass(frozen=True)
class Cell:
    """An evaluation: one number of a table, or of several.

    Args:
        run: What is tested.
        tested_on: Name of the set.
        out_of_vocabulary: Which CLIP scores classes out of vocabulary.
        metric: The figure that is wanted.
    """

    run: Run
    tested_on: str
    out_of_vocabulary: Ensemble
    metric: str

    @property
    def evaluation(self) -> str:
        """Name within the run, such as "nwpu" or "nwpu-context"."""
        ending = "-context" if self.out_of_vocabulary == "context" else ""
        return self.tested_on + ending

    @property
    def name(self) -> str:
        """Name of run and evaluation, such as "isaid-remoteclip/nwpu"."""
        return f"{self.run.name}/{self.evaluation}"

    @property
    def is_authors_ensemble(self) -> bool:
        """Whether `ensemble` is that of the authors' scripts."""
        return (self.run.trained_on, self.tested_on) in AUTHORS_ENSEMBLE

    @property
    def ensemble(self) -> tuple[float, float]:
        """Weights alpha and beta of the out-of-vocabulary scores."""
        return AUTHORS_ENSEMBLE.get((self.run.trained_on, self.tested_on), OWN_ENSEMBLE)


def cell_of(table: PaperTable, row: Row, column: Column) -> Cell | None:
    """Says what gives the number at a place of a table.

    Args:
        table: The table.
        row: One of its rows.
        column: One of its columns.

    Returns:
        The evaluation; None for averages and for methods of others.
    """
    if row.variant is None or column.tested_on is None:
        return None
    recipe = "_".join(filter(None, (column.trained_on, row.variant.suffix)))
    run = Run(recipe, row.variant.weights, column.trained_on)
    return Cell(run, column.tested_on, row.variant.out_of_vocabulary, table.metric)


def cells_of(table: PaperTable, only: Sequence[str] = ()) -> list[Cell]:
    """Lists the evaluations of a table, run by run.

    Args:
        table: The table.
        only: Patterns of which a cell's name or its run's name must match one; none: all cells.

    Returns:
        Each once.

    Raises:
        ValueError: If a pattern matches nothing.
    """
    found = dict.fromkeys(
        cell
        for column in table.columns
        for row in table.rows
        if (cell := cell_of(table, row, column)) is not None
    )
    runs = list(dict.fromkeys(cell.run for cell in found))
    for pattern in only:
        if not any(_matches(cell, pattern) for cell in found):
            raise ValueError(
                f"`only` {pattern!r} is in table {table.number} no run "
                f"({', '.join(run.name for run in runs)}) and no cell of one (such as "
                f"{next(iter(found)).name})."
            )
    return sorted(
        (cell for cell in found if not only or any(_matches(cell, pattern) for pattern in only)),
        key=lambda cell: runs.index(cell.run),
    )


def _matches(cell: Cell, pattern: str) -> bool:
    return fnmatchcase(cell.run.name, pattern) or fnmatchcase(cell.name, pattern)
