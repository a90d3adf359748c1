"""The results as Markdown tables, beside the paper's differences."""

from collections.abc import Callable
from statistics import mean
from typing import Any

from score_hf.tables.paper import TABLES

from ..spread import percent

# Method, its row here, and the row of Table 2 that it stands for.
ROWS = (
    ("baseline", "neither", 0),
    ("rai", "RAI", 1),
    ("gca", "GCA", 2),
    ("score", "RAI and GCA", 3),
    ("tokens", "classes over all tokens (ours)", None),
    ("rai-tokens", "RAI, and classes over all tokens (ours)", None),
    ("joint", "queries over one another (ours)", None),
    ("joint-tokens", "both of ours", None),
)

COLUMNS: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "AP": lambda figures: figures["AP"],
    "AP50": lambda figures: figures["AP50"],
    "AP seen": lambda figures: figures.get("seen"),
    "AP unseen": lambda figures: figures.get("unseen"),
}


def write_tables(results: dict[str, Any]) -> str:
    """Writes a table for each test.

    Args:
        results: As they are stored.
    """
    budget = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in results["budget"].items()
    )
    lines = [
        "# Components on real imagery",
        "",
        f"Budget: {budget}.",
        "",
        "All numbers in percent, mean ± standard deviation over seeds. *gain*: of mean AP over "
        "that of the first row. *paper*: the same in Table 2, trained on iSAID, tested on NWPU.",
    ]
    for test in _tests(results):
        lines += ["", f"## Tested on {test}", "", *_table(results, test)]
    return "\n".join(lines) + "\n"


def _tests(results: dict[str, Any]) -> list[str]:
    return sorted({name for cell in results["cells"] for name, one in cell.items() if _is(one)})


def _is(value: Any) -> bool:
    return isinstance(value, dict) and "AP" in value


def _table(results: dict[str, Any], test: str) -> list[str]:
    lines = [
        f"| | seeds | {' | '.join(COLUMNS)} | gain | paper |",
        "|---|" + "---:|" * (3 + len(COLUMNS)),
    ]
    base = [cell[test]["AP"] for cell in _of(results, "baseline", test)]
    for method, label, printed in ROWS:
        cells = [cell[test] for cell in _of(results, method, test)]
        if not cells:
            continue
        figures = [percent([figure(cell) for cell in cells]) for figure in COLUMNS.values()]
        more = 100 * (mean(cell["AP"] for cell in cells) - mean(base)) if base else None
        gain = "" if more is None else _signed(more)
        paper = "" if printed is None or test != "nwpu" else _signed(_printed(printed))
        lines.append(f"| {label} | {len(cells)} | {' | '.join(figures)} | {gain} | {paper} |")
    return lines


def _of(results: dict[str, Any], method: str, test: str) -> list[dict[str, Any]]:
    return [cell for cell in results["cells"] if cell["method"] == method and test in cell]


def _printed(row: int) -> float:
    rows = TABLES["2"].rows
    return rows[row].printed[0] - rows[0].printed[0]


def _signed(value: float) -> str:
    return f"{value:+.1f}"
