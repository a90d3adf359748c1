"""The results as Markdown tables."""

from collections.abc import Callable, Sequence
from typing import Any

from ..spread import percent
from .looks import PITCHES, PLACES, SHARED
from .methods import TABLES
from .scenes import KINDS

Figure = Callable[[dict[str, Any]], float | None]


def right_of(kind: str) -> Figure:
    """Which share of the objects of a kind that were found are called right; None without any."""

    def share(cell: dict[str, Any]) -> float | None:
        counts = cell["kinds"][kind]
        return counts["right"] / counts["found"] if counts["found"] else None

    return share


def found(cell: dict[str, Any]) -> float:
    """Which share of all objects was found."""
    counts = cell["kinds"].values()
    objects: int = sum(one["objects"] for one in counts)
    return sum(one["found"] for one in counts) / max(1, objects)


EXPLANATION = f"""
All numbers in percent, mean ± standard deviation over seeds.

- *found*: objects that a prediction covers (IoU of one half)
- *right by …*: of these, how many the best such prediction calls right, by what tells the class:
  the object's own look, its surroundings or the sensor. Guessing by the look alone gives
  {100 * len(SHARED) / len(PLACES):.1f} by surroundings and {100 / len(PITCHES):.1f} by sensor.
- *moved by scene*: queries for which the classifier of another scene finds another class best
""".rstrip().splitlines()

FIGURES: dict[str, Figure] = {
    "AP": lambda cell: cell["AP"],
    "AP50": lambda cell: cell["AP50"],
    "found": found,
    **{f"right by {kind}": right_of(kind) for kind in KINDS},
    "moved by scene": lambda cell: cell["moved_by_scene"],
}


def select(results: dict[str, Any], method: str, share: float) -> list[dict[str, Any]]:
    """The cells of a method and share, one a seed."""
    cells = [one for one in results["cells"] if (one["method"], one["share"]) == (method, share)]
    return sorted(cells, key=lambda one: one["seed"])


def write_tables(results: dict[str, Any]) -> str:
    """Writes what is there, share by share."""
    budget = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in results["budget"].items()
    )
    lines = ["# Context on drawn scenes", "", f"Budget of each training: {budget}.", *EXPLANATION]
    for share in sorted({one["share"] for one in results["cells"]}):
        lines += ["", f"## Share of ambiguous objects: {share:g}"]
        for title, rows in TABLES.items():
            filled = [
                (label, cells)
                for method, label in rows.items()
                if (cells := select(results, method, share))
            ]
            if filled:
                lines += ["", f"{title}:", "", *_table(filled)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[str]:
    lines = [f"| | seeds | {' | '.join(FIGURES)} |", "|---|" + "---:|" * (1 + len(FIGURES))]
    for label, cells in rows:
        figures = [percent([figure(cell) for cell in cells]) for figure in FIGURES.values()]
        lines.append(f"| {label} | {len(cells)} | {' | '.join(figures)} |")
    return lines
