"""Tables of classes on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..inference import NamedClass


def vocabulary_table(classes: "Sequence[NamedClass]") -> "Table":
    """A table of what was understood of a vocabulary."""
    table = make_table("Class", "Also called", "Trained on")
    for entry in classes:
        trained = {True: "yes", False: "no", None: "not known"}[entry.seen]
        add_row(table, entry.name, ", ".join(entry.synonyms[1:]), trained)
    return table


def make_table(first: str, *others: str) -> "Table":
    """An empty table with these columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, box=SIMPLE_HEAD)
    for name in others:
        table.add_column(name, justify="left" if name == "Also called" else "right")
    return table


def add_row(table: "Table", *cells: str) -> None:
    """Adds a row of plain text."""
    from rich.text import Text

    from ..processing.prompts import shortened

    # Not as plain strings: what stands in square brackets would be taken for markup.
    table.add_row(*(Text(shortened(cell, 200)) for cell in cells))


def print_table(table: "Table") -> None:
    """Prints a table on standard output."""
    from rich.console import Console

    Console().print(table)
