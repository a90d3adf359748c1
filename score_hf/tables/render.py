"""A table beside the paper's numbers, as Markdown and CSV."""

import csv
import io
from collections.abc import Callable

from .paper import PaperTable, Row
from .plan import Cell, cell_of
from .sources import DATA_FOLDERS

_METRICS = {
    "AP": "Mask mAP in percent (COCO's, IoU 0.50 to 0.95, at most 300 detections an image).",
    "mIoU": "Mean IoU in percent.",
}
Percent = Callable[[Cell], float | None]


def as_rows(table: PaperTable, percent: Percent) -> list[list[str]]:
    """Writes a table out, its header first.

    Args:
        table: The table.
        percent: Gives the number of a cell, None if it is not there yet.

    Returns:
        The header; the paper's numbers of each row and, for what this package repeats, a second
        row with its own. Averages are there when all their cells are.
    """
    header = [*table.row_heads, "Numbers of"]
    for column in table.columns:
        tested = "Average" if column.tested_on is None else DATA_FOLDERS[column.tested_on].title
        trained = DATA_FOLDERS[column.trained_on].title
        header.append(f"{trained} → {tested}" if table.names_training else tested)
    lines = [header]
    for row in table.rows:
        lines.append([*row.head, "the paper", *(f"{value:.2f}" for value in row.printed)])
        if row.variant is not None:
            own = _own_numbers(table, row, percent)
            lines.append([*row.head, "score_hf", *("" if v is None else f"{v:.2f}" for v in own)])
    return lines


def _own_numbers(table: PaperTable, row: Row, percent: Percent) -> list[float | None]:
    numbers: list[float | None] = []
    for column in table.columns:
        cell = cell_of(table, row, column)
        if cell is not None:
            numbers.append(percent(cell))
            continue
        parts = [
            numbers[place]
            for place, other in enumerate(table.columns[: len(numbers)])
            if other.trained_on == column.trained_on
        ]
        known = [part for part in parts if part is not None]
        numbers.append(sum(known) / len(known) if len(known) == len(parts) else None)
    return numbers


def as_markdown(table: PaperTable, percent: Percent) -> str:
    """Writes a table as Markdown, with its caption and what its numbers are.

    Args:
        table: The table.
        percent: Gives the number of a cell, None if it is not there yet.
    """
    rows = as_rows(table, percent)
    words = len(table.row_heads) + 1
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            text.ljust(width) if place < words else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = [
        "-" * width if place < words else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    lines.insert(1, f"| {' | '.join(rule)} |")
    title = f"**Table {table.number}.** {table.caption}. {_METRICS[table.metric]}"
    return "\n".join([title, "", *lines])


def as_csv(table: PaperTable, percent: Percent) -> str:
    """Writes a table as CSV.

    Args:
        table: The table.
        percent: Gives the number of a cell, None if it is not there yet.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(as_rows(table, percent))
    return text.getvalue()
