"""Feeds the targets with new inputs: `python -m tests.fuzz --examples 10000`."""

import argparse
import sys

import torch

from .target import run
from .targets import TARGETS


def main(arguments: list[str] | None = None) -> int:
    """Prints a line a target.

    Args:
        arguments: The command line, without the program's name; None reads it.

    Returns:
        The exit status: 0 only if no rule was broken.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="inputs of a target, about")
    parser.add_argument(
        "--target", action="append", choices=[target.name for target in TARGETS], help="only this"
    )
    given = parser.parse_args(arguments)
    # On such small inputs threads mostly wait for one another.
    torch.set_num_threads(1)
    failed = 0
    print(f"{'target':14}{'inputs':>9}{'refused':>9}{'seconds':>9}")
    for target in TARGETS:
        if given.target and target.name not in given.target:
            continue
        try:
            seen = run(target, given.examples)
        except Exception as error:
            failed += 1
            print(
                f"{target.name:14} {type(error).__name__}: {error}",
                *getattr(error, "__notes__", ()),
                sep="\n  ",
            )
        else:
            print(f"{target.name:14}{seen.inputs:9,}{seen.refused:9,}{seen.seconds:9.0f}")
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
