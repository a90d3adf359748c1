"""Checks every golden of a folder: `python -m tests.parity DIR`."""

import argparse
import sys
from pathlib import Path

import torch

from score_hf.extras import missing_packages


def main(arguments: list[str] | None = None) -> int:
    """Prints the table.

    Args:
        arguments: The command line, without the program's name; None reads it.

    Returns:
        The exit status: 0 only if everything holds.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.json and the goldens beside it")
    parser.add_argument(
        "--model",
        type=Path,
        help="a folder that `score-hf convert` made of the goldens' weights, checked in their "
        "place; of several seeds, a folder that holds one for each, such as seed101",
    )
    given = parser.parse_args(arguments)
    folder, model = given.folder, given.model
    if not (folder / "manifest.json").is_file():
        parser.error(f"{folder} holds no manifest.json: it is no set of goldens.")
    if model is not None and not model.is_dir():
        parser.error(f"{model} is no folder of a model.")
    missing = missing_packages(
        "the checks need", "open_clip", "ftfy", "scipy", extra="convert,train"
    )
    if missing is not None:
        parser.error(missing)
    from .run import check_folder

    torch.set_num_threads(1)
    report = check_folder(folder, model)
    print(*report.lines(), sep="\n")
    return int(report.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
