"""Checks every golden of a folder: `python -m tests.parity DIR`."""

import argparse
import sys
from pathlib import Path

import torch

from .run import check_folder


def main() -> int:
    """Prints the table; the exit status is 0 only if everything holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.json and the goldens beside it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report = check_folder(arguments.folder)
    print(*report.lines(), sep="\n")
    return int(report.failed > 0)


sys.exit(main())
