"""What `score-hf segment` does with plain pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import typer

from .class_tables import add_row, make_table, print_table
from .terminal import FAILURE, INTERRUPTED, complain

if TYPE_CHECKING:
    from rich.table import Table

    from ..inference import NamedClass, Segmenter
    from ..results import CocoResults

RESULTS_FILE = "results.json"


def make_writable(folder: Path) -> None:
    """Makes the folder of the results, and tries it before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"`--output-dir` must be a folder that can be written to, but {str(folder)!r} cannot "
            f"({error.strerror})."
        ) from error


def segment_pictures(
    segmenter: "Segmenter",
    pictures: list[str],
    model: str,
    threshold: float,
    formats: Sequence[str],
    output_dir: Path,
) -> list[tuple[str, int]]:
    """Segments pictures and prints what was found.

    Args:
        segmenter: Model and vocabulary.
        pictures: Paths and addresses.
        model: What the user calls the model.
        threshold: Lowest score of an instance.
        formats: What is written.
        output_dir: Where.

    Returns:
        What went wrong, in one sentence, with its exit status; or nothing.
    """
    from .. import __version__
    from ..results import CocoResults

    info = {"version": __version__, "model": model, "threshold": threshold}
    results = CocoResults(segmenter.classes, info)
    interrupted, unwritten = _segment_all(
        segmenter, pictures, threshold, formats, output_dir, results
    )
    print_table(_results_table(segmenter.classes, results))
    found = results.contents["images"], results.contents["annotations"], results.contents["failed"]
    read, instances, failed = (len(entries) for entries in found)
    typer.echo(
        f"{instances} instances in {read} of {len(pictures)} images, written to {output_dir}"
    )
    if interrupted:
        message = f"stopped by the user; {read} of {len(pictures)} images are done."
        return [(message, INTERRUPTED)]
    if failed:
        return [(f"{failed} of {len(pictures)} images could not be read.", FAILURE)]
    if unwritten:
        where = repr(str(output_dir))
        return [(f"{unwritten} of the files could not be written to {where}.", FAILURE)]
    return []


def _segment_all(
    segmenter: "Segmenter",
    pictures: list[str],
    threshold: float,
    formats: Sequence[str],
    output_dir: Path,
    results: "CocoResults",
) -> tuple[bool, int]:
    """Segments and writes what is done in any case.

    Returns:
        Whether the user stopped it, and how many files could not be written.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from ..results import draw_result, overlay_name

    # Overlays must not replace pictures that lie in the same folder.
    here = os.path.realpath(output_dir)
    paths = [Path(picture) for picture in pictures]
    taken = {path.name.lower() for path in paths if os.path.realpath(path.parent) == here}
    interrupted, unwritten = False, 0
    columns = (TextColumn("segmenting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=len(pictures))
            for result in segmenter.segment(pictures, threshold, return_rle=True):
                results.add(result)
                if result.error is not None:
                    complain(result.error)
                elif "png" in formats:
                    overlay = draw_result(result, segmenter.classes)
                    path = output_dir / overlay_name(result.name, taken)
                    unwritten += not _is_written(path, overlay.save)
                bar.advance(task)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if "coco" in formats:
            unwritten += not _is_written(output_dir / RESULTS_FILE, results.write)
    return interrupted, unwritten


def _is_written(path: Path, write: Callable[[Path], None]) -> bool:
    """Writes a file; what keeps it from that is told and stops nothing else."""
    try:
        write(path)
    except OSError as error:
        complain(f"{str(path)!r} cannot be written ({error.strerror or error}).")
        return False
    return True


def _results_table(classes: "Sequence[NamedClass]", results: "CocoResults") -> "Table":
    table = make_table("Class", "Instances", "Images", "Best score")
    for number, entry in enumerate(classes, start=1):
        found = [one for one in results.contents["annotations"] if one["category_id"] == number]
        images = {one["image_id"] for one in found}
        best = f"{max(one['score'] for one in found):.2f}" if found else ""
        add_row(table, entry.name, str(len(found)), str(len(images)), best)
    return table
