"""Checks every golden of a folder: `python -m tests.parity DIR`."""

import argparse
import sys
from pathlib import Path

import torch

from .run import check_folder


def main(arguments: list[str] | None = None) -> int:
    """Prints the table.

    Args:
        arguments: The command line, without the program's name; None reads it.

    Returns:
        The exit status: 0 only if everything holds.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.json and the goldens beside it")
    folder = parser.parse_args(arguments).folder
    if not (folder / "manifest.json").is_file():
        parser.error(f"{folder} holds no manifest.json: it is no set of goldens.")
    torch.set_num_threads(1)
    report = check_folder(folder)
    print(*report.lines(), sep="\n")
    return int(report.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
