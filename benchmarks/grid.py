"""A grid of trainings, each of which is stored once it is measured and never made again.

Several processes may fill one grid, with other cells and a folder of work each.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock


def read_methods(text: str, known: Sequence[str]) -> list[str]:
    """Reads the option `--methods`.

    Raises:
        ValueError: If one is not known.
    """
    methods = text.split(",")
    for method in methods:
        if method not in known:
            raise ValueError(f"`--methods` must be of {', '.join(known)}, but got {method!r}.")
    return methods


def check_positive(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Checks options of a budget by their names in Python.

    Raises:
        ValueError: If one is not positive.
    """
    for name in names:
        if getattr(options, name) <= 0:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"`{option}` must be positive, but is {getattr(options, name)}.")


def open_results(path: Path, budget: Any) -> dict[str, Any]:
    """Reads what is done.

    Raises:
        ValueError: If it was done with another budget.
    """
    if not path.is_file():
        return {"budget": asdict(budget), "cells": []}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if results["budget"] != asdict(budget):
        raise ValueError(
            f"`--output` {str(path)!r} holds results of another budget ({results['budget']}): go "
            "on with that one, or give another file."
        )
    return results


def add(path: Path, budget: Any, figures: dict[str, Any]) -> None:
    """Adds a cell to the results on disk, to which other processes may add as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"score-hf-grid-{place}.lock"):
        results = open_results(path, budget)
        results["cells"].append(figures)
        write_results(path, results)


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Writes results; an older file stays whole until the new one is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def commit() -> str | None:
    """The commit of the code that runs; None outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None


def now() -> str:
    """The time, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def fill(
    budget: Any,
    cells: Sequence[Any],
    output: Path,
    work: Path,
    run: Callable[[Any, Any, Path], dict[str, Any]],
) -> dict[str, Any]:
    """Makes all cells that are not there, stores each, and returns what is there then.

    Args:
        budget: What every training gets; a dataclass.
        cells: What is trained and measured; dataclasses with a `name` each.
        output: File of the results.
        work: Folder for what is needed meanwhile.
        run: Makes a cell in a folder, and returns its figures. A training there that was stopped
            goes on; it is removed once the figures are stored.

    Raises:
        ValueError: If the file holds results of another budget.
    """
    done = [_identity(one, asdict(cells[0])) for one in open_results(output, budget)["cells"]]
    missing = [cell for cell in cells if asdict(cell) not in done]
    # A value may be a path.
    folder = work / "-".join(str(value) for value in asdict(budget).values()).replace("/", "_")
    for number, cell in enumerate(missing, start=1):
        print(f"cell {number} of {len(missing)}: {cell.name}", file=sys.stderr, flush=True)
        wall, processor = time.perf_counter(), time.process_time()
        figures = run(cell, budget, folder)
        took = {
            "seconds": round(time.perf_counter() - wall, 1),
            "cpu_seconds": round(time.process_time() - processor, 1),
            "finished": now(),
            "commit": commit(),
        }
        add(output, budget, {**asdict(cell), **figures, **took})
        shutil.rmtree(folder / cell.name)
    return open_results(output, budget)


def _identity(stored: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {name: stored[name] for name in fields}
