"""The paper's component table (Table 2) on real imagery, at small scale.

python -m benchmarks.components --dataset isaid --test nwpu=nwpu_prepared --test isaid=isaid \
    --output docs/results/components.json [--methods baseline,rai,gca,score] [--seeds 3] [...]

Sets are folders that `score-hf prepare` wrote; docs/small_aerial.md tells how. Each method is
trained and measured with the same budget and the same seeds. A finished training is stored in the
output and never made again: the same command goes on after any interruption, and with more seeds or
methods it adds to what is there. In the end the tables are printed, and written beside the json.
"""

import argparse
from functools import partial
from pathlib import Path

from score_hf.extras import missing_packages

# Told before the imports below would end in a traceback.
if __name__ == "__main__" and (
    missing := missing_packages("training needs", "accelerate", "datasets", "scipy")
):
    raise SystemExit(f"components: {missing}")

from ..grid import check_positive, fill, read_methods
from .cells import Budget, Cell, run_cell
from .tables import ROWS, write_tables

METHODS = tuple(method for method, _, _ in ROWS)


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="components",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", required=True, help="set to train on, with a split train")
    parser.add_argument(
        "--test",
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="set to measure on, with a split val; may be given several times",
    )
    parser.add_argument("--output", type=Path, required=True, help="json file of the results")
    parser.add_argument("--work", type=Path, default=Path("runs/components"), help="for trainings")
    parser.add_argument("--methods", default=",".join(METHODS), help="separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a method")
    budget = parser.add_argument_group("budget, the same for all")
    budget.add_argument("--start", default="score-small-aerial", help="trained model")
    budget.add_argument("--recipe", default="small_aerial", help="of pictures and class names")
    budget.add_argument("--settling-steps", type=int, default=100, help="without context, once")
    budget.add_argument("--steps", type=int, default=200, help="of each method")
    budget.add_argument("--batch-size", type=int, default=8, help="pictures of a step")
    budget.add_argument("--learning-rate", type=float, default=3e-4, help="at its highest")
    return parser.parse_args(arguments)


def plan(options: argparse.Namespace) -> tuple[Budget, list[Cell], dict[str, str]]:
    """Says what is to be done, seed by seed, so that whole tables come first.

    Returns:
        The budget, the cells, and the folders of the tests by name.

    Raises:
        ValueError: If an option is not valid.
    """
    methods = read_methods(options.methods, METHODS)
    tests = {}
    for entry in options.test:
        name, equals, folder = entry.partition("=")
        if not (name and equals and folder) or name in tests:
            raise ValueError(
                f"`--test` must be NAME=DIR with a name of its own, such as nwpu=sets/nwpu, but "
                f"got {entry!r}."
            )
        tests[name] = folder
    names = ("settling_steps", "steps", "batch_size", "learning_rate")
    check_positive(options, (*names, "seeds"))
    budget = Budget(options.start, options.recipe, *(getattr(options, name) for name in names))
    cells = [Cell(method, seed) for seed in range(options.seeds) for method in methods]
    return budget, cells, tests


def main() -> None:
    """Runs the command; what is wrong with its options is told in one sentence."""
    options = read_options()
    try:
        budget, cells, tests = plan(options)
        run = partial(run_cell, dataset=options.dataset, tests=tests)
        results = fill(budget, cells, options.output, options.work, run)
    except ValueError as error:
        raise SystemExit(f"components: {' '.join(str(error).split())}") from None
    tables = write_tables(results)
    print(tables)
    options.output.with_suffix(".md").write_text(tables, encoding="utf-8")


if __name__ == "__main__":
    main()
