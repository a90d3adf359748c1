"""Where context helps: drawn scenes in which a look does not tell the class.

python -m benchmarks.context --output docs/results/context.json [--methods score,tokens] [...]

Each method is trained and measured on scenes with a growing share of ambiguous objects, with the
same budget and the same seeds. A finished cell is stored in the output and never made again: the
same command goes on after any interruption, and with more seeds, shares or methods it adds to what
is there. Several may run at once, with other methods and a `--work` each. In the end the tables are
printed; beside the json they are written as .md, and a plot as .svg.
"""

import argparse
from pathlib import Path

from score_hf.extras import missing_packages

from .methods import METHODS

# Told before the imports below would end in a traceback.
if __name__ == "__main__" and (
    missing := missing_packages("training needs", "accelerate", "datasets", "scipy")
):
    raise SystemExit(f"context: {missing}")

from ..grid import check_positive, fill, read_methods
from .cells import Budget, Cell, run_cell
from .plot import draw_plot
from .tables import write_tables


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="context", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="json file of the results")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/context"), help="folder for sets and trainings"
    )
    parser.add_argument(
        "--methods", default=",".join(METHODS), help="separated by commas; without it all"
    )
    parser.add_argument(
        "--shares", default="0,0.5,1", help="shares of ambiguous objects, separated by commas"
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a method and share")
    budget = parser.add_argument_group("budget, the same for all")
    budget.add_argument("--steps", type=int, default=300, help="optimiser steps")
    budget.add_argument("--batch-size", type=int, default=8, help="scenes of a step")
    budget.add_argument("--side", type=int, default=128, help="of a scene, in pixels")
    budget.add_argument("--train-scenes", type=int, default=2400, help="to train on")
    budget.add_argument("--val-scenes", type=int, default=400, help="to measure on")
    budget.add_argument("--learning-rate", type=float, default=5e-4, help="at its highest")
    return parser.parse_args(arguments)


def plan(options: argparse.Namespace) -> tuple[Budget, list[Cell]]:
    """Says what is to be done, seed by seed, so that whole grids come first.

    Raises:
        ValueError: If an option is not valid.
    """
    methods = read_methods(options.methods, tuple(METHODS))
    try:
        shares = [float(share) for share in options.shares.split(",")]
    except ValueError:
        shares = [-1.0]
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(
            f"`--shares` must be numbers from 0 to 1 and commas, but got {options.shares!r}."
        )
    names = ("steps", "batch_size", "side", "train_scenes", "val_scenes", "learning_rate")
    check_positive(options, (*names, "seeds"))
    budget = Budget(**{name: getattr(options, name) for name in names})
    cells = [
        Cell(method, share, seed)
        for seed in range(options.seeds)
        for share in shares
        for method in methods
    ]
    return budget, cells


def main() -> None:
    """Runs the command; what is wrong with its options is told in one sentence."""
    options = read_options()
    try:
        results = fill(*plan(options), options.output, options.work, run_cell)
    except ValueError as error:
        raise SystemExit(f"context: {' '.join(str(error).split())}") from None
    tables = write_tables(results)
    print(tables)
    options.output.with_suffix(".md").write_text(tables, encoding="utf-8")
    options.output.with_suffix(".svg").write_text(draw_plot(results), encoding="utf-8")


if __name__ == "__main__":
    main()
