"""`score-hf export`: the image half of a model, for programs without this package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..extras import missing_packages
from .terminal import (
    FAILURE,
    INTERRUPTED,
    ending_like_ctrl_c,
    fail,
    option_names,
    plain_messages,
    quiet_transformers,
)

if TYPE_CHECKING:
    from ..export.model_folder import Format

Model = Annotated[
    str,
    typer.Argument(help="Folder, bundled model or hub id.", metavar="MODEL", show_default=False),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder to write; it must not be there yet."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        "-c",
        help='What to look for at first: "ship, harbor, storage tank | oil tank". Without it: the '
        "vocabulary that the model stores. `export classes` makes others.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE or HEIGHTxWIDTH",
        help="The only size of image that the graph takes, such as 512 or 512x800. Without it: any "
        "multiple of 32 from 64 on.",
    ),
]

export = typer.Typer(
    name="export",
    help="Write what runs for each image as one graph, for programs without this package. The "
    "vocabulary is an input of the graph.",
    no_args_is_help=True,
)


@export.command("onnx")
def export_onnx(
    model: Model,
    output: Output,
    classes: Classes = None,
    size: Size = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Keep matrices as 8-bit integers: a smaller file, other results."
        ),
    ] = False,
) -> None:
    """Write a folder with model.onnx, classes.npz and settings.json."""
    missing = missing_packages(
        "exporting needs", "onnx", "onnxscript", "onnxruntime", extra="export"
    )
    if missing is not None:
        fail(missing)
    _export("onnx", model, output, classes, size, int8)


@export.command("torch")
def export_torch(model: Model, output: Output, classes: Classes = None, size: Size = None) -> None:
    """Write a folder with model.pt2 (of torch.export), classes.npz and settings.json."""
    _export("torch", model, output, classes, size, False)


@export.command("classes")
def export_classes(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="File that ends in .npz.")],
    classes: Classes = None,
) -> None:
    """Write other classes for a graph that was exported before."""
    with _sentences():
        from ..conversion.staging import check_output, staged
        from ..export.vocabulary_file import encode_vocabulary, write_vocabulary
        from ..loading import load_model

        if output.suffix != ".npz":
            raise ValueError(f"`output` must end in .npz, got {str(output)!r}.")
        names = _names(classes)
        check_output(output, folder=False)
        labels, classifier = encode_vocabulary(*load_model(model, "cpu"), names)
        with staged(output, folder=False) as file:
            write_vocabulary(labels, classifier, file)
    typer.echo(f"{len(labels)} classes ({', '.join(labels)}), written to {output}")


def _export(
    format: "Format", model: str, output: Path, classes: str | None, size: str | None, int8: bool
) -> None:
    with _sentences():
        from ..conversion.staging import check_output
        from ..export.model_folder import export_model
        from ..loading import load_model

        names, sides = _names(classes), None if size is None else _read_size(size)
        check_output(output)
        loaded, processor = load_model(model, "cpu")
        typer.echo("traces, writes and compares: minutes for large models")
        done = export_model(loaded, processor, output, format, names, sides, int8)
    rounded = " before rounding to 8 bits" if int8 else ""
    typer.echo(f"{len(done.names)} classes ({', '.join(done.names)})")
    typer.echo(f"{done.difference:.1e} largest difference to PyTorch{rounded}")
    typer.echo(f"written to {output}")


@contextmanager
def _sentences() -> Iterator[None]:
    """Ends the command with a sentence where something is wrong."""
    quiet_transformers()
    try:
        with ending_like_ctrl_c(), plain_messages(names=option_names(export_onnx)):
            try:
                yield
            except RuntimeError as error:
                fail(error, FAILURE)
    except KeyboardInterrupt:
        fail("stopped by the user; nothing was written.", INTERRUPTED)


def _names(classes: str | None) -> list[str] | None:
    if classes is None:
        return None
    from ..processing.prompts import check_class_names, parse_class_names

    return check_class_names(parse_class_names(classes, "--classes"), "--classes")


def _read_size(text: str) -> tuple[int, int]:
    """Reads "512" or "512x800"."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise ValueError(f"`--size` must be such as 512 or 512x800, got {text!r}.")
    return int(sides[0]), int(sides[-1])
