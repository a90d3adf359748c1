"""What all `score-hf prepare` commands share: progress, the summary, and going on after a stop."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .terminal import FAILURE, INTERRUPTED, complain, fail, one_sentence, plain_messages

if TYPE_CHECKING:
    from rich.console import Console

    from ..data.records import SourceSplit


def prepare_splits(
    read: "Callable[[str], SourceSplit]",
    splits: Sequence[str],
    split: str | None,
    output: Path,
    images_per_shard: int,
    names: Mapping[str, str],
) -> None:
    """Reads and writes one split, or all of a set that are there, and prints what came of it.

    Args:
        read: Reads a split by its name.
        splits: Names of all splits of the set.
        split: What the user asked for; None: all that are there.
        output: Folder of the prepared set.
        images_per_shard: Number of images in one file.
        names: What the readers' arguments are called on the command line; see `option_names`.

    Raises:
        Exit: If there is nothing to read, or it cannot be written.
    """
    from rich.console import Console

    console = Console(stderr=True)
    absent: list[str] = []
    wanted = splits if split is None else [split]
    for name in wanted:
        # Large annotation files take a minute to look through.
        with plain_messages(names=names), console.status(f"reading {name}"):
            try:
                source = read(name)
            except FileNotFoundError as error:
                absent.append(one_sentence(error, names))
                continue
        summary = _write(source, output, images_per_shard, console, names)
        typer.echo(summary_text(summary, output))
        if not summary["images"]:
            fail(f"no image of {source.name} {source.split} could be kept, for the reasons above.")
    if len(absent) == len(wanted):
        fail(absent[0])
    if absent:
        for reason in absent:
            complain(reason)
        fail("the rest was prepared; `--split` asks for one split only.")


def _write(
    source: "SourceSplit",
    output: Path,
    images_per_shard: int,
    console: "Console",
    names: Mapping[str, str],
) -> dict[str, Any]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from ..data.writing import write_split

    label = TextColumn(f"preparing {source.name} {source.split}", markup=False)
    columns = (label, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with (
            plain_messages(FAILURE, names),
            Progress(*columns, console=console, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task("", total=len(source.keys))
            return write_split(
                source, output, images_per_shard, lambda images: bar.advance(task, images)
            )
    except KeyboardInterrupt:
        fail("stopped by the user; run the same command again to go on.", INTERRUPTED)


def summary_text(summary: dict[str, Any], output: Path) -> str:
    """Writes out what was kept, what was left out and why, beside what the paper states.

    Args:
        summary: What `write_split` returned.
        output: Folder of the prepared set.
    """
    images, empty = summary["images"], summary["images_without_objects"]
    what = "objects" if summary["kind"] == "instance" else "labelled pixels"
    lines = [
        f"{summary['name']} {summary['split']}, written to {output}",
        f"  images    {images:,} kept of {summary['source_images']:,}: {images - empty:,} with "
        f"{what}, {empty:,} without",
    ]
    if summary["paper_images"] is not None:
        lines.append(f"  paper     {summary['paper_images']:,} images")
    if summary["kind"] == "instance":
        crowds = f", {summary['crowds']:,} of them crowds" if summary["crowds"] else ""
        lines.append(f"  objects   {summary['objects']:,}{crowds}")
    found = summary["objects_of_class"]
    lines.append(
        "  classes   "
        + ", ".join(f"{name} {found.get(name, 0):,}" for name in summary["class_names"])
    )
    for title, unit, reasons in (
        ("left out", "images", summary["dropped_images"]),
        ("left out", "objects", summary["dropped_objects"]),
        ("changed", "times", summary["altered"]),
    ):
        for reason, number in reasons.items():
            examples = ", ".join(summary["examples"].get(reason, [])[:3])
            lines.append(f"  {title:<10}{number:,} {unit}: {reason} ({examples})")
    lines.extend(f"  note      {note}" for note in summary["notes"])
    return "\n".join(lines)
