"""`score-hf segment`: pictures and class names in, overlays, COCO json and a table out."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import (
    FAILURE,
    INTERRUPTED,
    complain,
    fail,
    plain_messages,
    quiet_transformers,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ..inference import NamedClass, Segmenter
    from ..results import CocoResults

FORMATS = ("png", "coco")
RESULTS_FILE = "results.json"
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2")


def segment(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders of pictures, or http(s) addresses.", metavar="IMAGE..."
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help='What to look for: "ship, harbor, storage tank | oil tank". Commas separate '
            "classes, | synonyms. Without it: the vocabulary that the model stores."
        ),
    ] = None,
    classes_file: Annotated[
        Path | None, typer.Option(help="The same in a file, where new lines separate classes too.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder, bundled model or hub id. Without it: the bundled score-tiny."),
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where to write.")] = Path(
        "out"
    ),
    threshold: Annotated[float, typer.Option(help="Lowest score of an instance, 0 to 1.")] = 0.3,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16-trunks, bfloat16 or float16.")
    ] = "float32",
    format: Annotated[
        str,
        typer.Option(
            help="What to write, separated by commas. png: an overlay for each picture. "
            f"coco: {RESULTS_FILE} with the instances of all."
        ),
    ] = "png,coco",
    sample: Annotated[
        bool, typer.Option("--sample", help="Segment the pictures of the package.")
    ] = False,
) -> None:
    """Find the instances of named classes in aerial pictures."""
    with plain_messages():
        formats = _read_formats(format)
        pictures = _list_pictures(images or [], sample, output_dir)
        names = _read_classes(classes, classes_file)
    quiet_transformers()
    from .. import __version__
    from ..bundled import DEFAULT_MODEL, bundled_model
    from ..inference import Segmenter
    from ..processing.predictions import check_fraction
    from ..results import CocoResults

    model = DEFAULT_MODEL if model is None else model
    with plain_messages():
        check_fraction(threshold, "threshold")
        segmenter = Segmenter(model, names, device=device, dtype=dtype)
        _make_writable(output_dir)
        info = {"version": __version__, "model": model, "threshold": threshold}
        results = CocoResults(segmenter.classes, info)
    if images and segmenter.model.name_or_path == str(bundled_model()):
        complain(
            f"note: {DEFAULT_MODEL} is a demonstration, trained on drawn scenes only; it is not "
            "fit for real imagery."
        )
    _print(_vocabulary_table(segmenter.classes))
    with plain_messages(FAILURE):
        interrupted, unwritten = _segment_all(
            segmenter, pictures, threshold, formats, output_dir, results
        )

    _print(_results_table(segmenter.classes, results))
    found = results.contents["images"], results.contents["annotations"], results.contents["failed"]
    read, instances, failed = (len(entries) for entries in found)
    typer.echo(
        f"{instances} instances in {read} of {len(pictures)} images, written to {output_dir}"
    )
    if interrupted:
        fail(f"stopped by the user; {read} of {len(pictures)} images are done.", INTERRUPTED)
    if failed:
        fail(f"{failed} of {len(pictures)} images could not be read.", FAILURE)
    if unwritten:
        fail(f"{unwritten} of the files could not be written to {str(output_dir)!r}.", FAILURE)


def _read_formats(text: str) -> list[str]:
    formats = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"`--format` must be of {', '.join(FORMATS)}, got {text!r}.")
    return formats


def _read_classes(classes: str | None, classes_file: Path | None) -> list[str] | None:
    if classes is not None and classes_file is not None:
        raise ValueError("Give `--classes` or `--classes-file`, got both.")
    if classes is None and classes_file is None:
        return None
    from ..processing.prompts import parse_class_names

    if classes is not None:
        return parse_class_names(classes, "--classes")
    assert classes_file is not None
    try:
        # Some editors of Windows begin a file with a mark that is no part of the first name.
        text = classes_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`--classes-file` must be in UTF-8, but {str(classes_file)!r} is not ({error.reason} "
            f"at byte {error.start}); save it with that encoding."
        ) from error
    except OSError as error:
        raise ValueError(
            f"`--classes-file` must be a text file, but {str(classes_file)!r} cannot be read "
            f"({error.strerror})."
        ) from error
    return parse_class_names(text, "--classes-file")


def _list_pictures(images: Sequence[str], sample: bool, output_dir: Path) -> list[str]:
    """Lists pictures, those of folders by name; what is no picture is told when it is opened."""
    from ..bundled import sample_pictures

    pictures = [str(path) for path in sample_pictures()] if sample else []
    for image in images:
        if not image:
            raise ValueError("`IMAGE` must be a picture, a folder or an address, but got ''.")
        if not os.path.isdir(image):
            pictures.append(image)
            continue
        folder = Path(image)
        if os.path.realpath(folder) == os.path.realpath(output_dir):
            raise ValueError(
                f"`--output-dir` must be another folder than that of the images, {image!r}."
            )
        inside = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _PICTURE_SUFFIXES and not path.is_dir()
        )
        if not inside:
            raise ValueError(f"`IMAGE` is the folder {image!r}, in which there is no picture.")
        pictures.extend(str(path) for path in inside)
    if not pictures:
        raise ValueError(
            "Give at least one `IMAGE`, or `--sample` for the pictures of the package."
        )
    # A picture and its folder may both be named.
    return list(dict.fromkeys(pictures))


def _make_writable(folder: Path) -> None:
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


def _segment_all(
    segmenter: "Segmenter",
    pictures: list[str],
    threshold: float,
    formats: list[str],
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


def _vocabulary_table(classes: "Sequence[NamedClass]") -> "Table":
    table = _table("Class", "Also called", "Trained on")
    for entry in classes:
        trained = {True: "yes", False: "no", None: "not known"}[entry.seen]
        _add_row(table, entry.name, ", ".join(entry.synonyms[1:]), trained)
    return table


def _results_table(classes: "Sequence[NamedClass]", results: "CocoResults") -> "Table":
    table = _table("Class", "Instances", "Images", "Best score")
    for number, entry in enumerate(classes, start=1):
        found = [one for one in results.contents["annotations"] if one["category_id"] == number]
        images = {one["image_id"] for one in found}
        best = f"{max(one['score'] for one in found):.2f}" if found else ""
        _add_row(table, entry.name, str(len(found)), str(len(images)), best)
    return table


def _table(first: str, *others: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, box=SIMPLE_HEAD)
    for name in others:
        table.add_column(name, justify="left" if name == "Also called" else "right")
    return table


def _add_row(table: "Table", *cells: str) -> None:
    from rich.text import Text

    from ..processing.prompts import shortened

    # Not as plain strings: what stands in square brackets would be taken for markup.
    table.add_row(*(Text(shortened(cell, 200)) for cell in cells))


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)
