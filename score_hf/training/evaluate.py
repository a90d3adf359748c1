"""Measures a model on a dataset: `score-hf evaluate`, in a form that launchers can start.

torchrun --nproc_per_node 2 -m score_hf.training.evaluate --dataset DIR --split val -o metrics.json
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..bundled import DEFAULT_MODEL
from ..extras import missing_packages

if TYPE_CHECKING:
    from ..evaluation.processes import Processes


class OutOfVocabulary(str, Enum):
    """Which CLIP scores classes out of vocabulary."""

    general = "general"
    context = "context"


class Task(str, Enum):
    """What is measured."""

    instance = "instance"
    semantic = "semantic"
    panoptic = "panoptic"


def evaluate(
    dataset: Annotated[
        str, typer.Option(help="Folder that `score-hf prepare` wrote, or a hub id.")
    ],
    split: Annotated[str, typer.Option(help="Split of the dataset.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="JSON file for the figures, such as metrics.json."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Folder, bundled model or hub id. Without it: the bundled {DEFAULT_MODEL}."
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Weight of the out-of-vocabulary scores for classes trained on, 0 to 1. Without "
            "it: what the model says."
        ),
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="The same for classes that were not trained on.")
    ] = None,
    out_of_vocabulary: Annotated[
        OutOfVocabulary | None,
        typer.Option(
            help="Which CLIP gives the out-of-vocabulary scores: general or context (remote "
            "sensing). Without it: what the model says; one made for context can do both."
        ),
    ] = None,
    context_text_from: Annotated[
        str | None,
        typer.Option(
            help="Where a model made for general gets the remote-sensing CLIP's text tower for "
            "context: the folder that it was trained from, if that was converted with "
            "`--out-of-vocabulary context`."
        ),
    ] = None,
    seen_from: Annotated[
        str | None,
        typer.Option(
            help="What the model was trained on: a dataset (folder or hub id), or a text file with "
            "class names. Without it: what the model says."
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Text file with the names to ask for, one line for each class of the dataset, in "
            "its order; | separates synonyms. Without it: the dataset's own names."
        ),
    ] = None,
    extra_names: Annotated[
        str | None,
        typer.Option(
            help="Further names that the model can answer with and that are always wrong, such as "
            '"background"; commas separate them.'
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            help="Mask AP of instances, IoU of classes of pixels, or panoptic quality. Without it: "
            "instance or semantic, whatever the dataset is made for."
        ),
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep", help="Also measure AP for other alpha and beta, without running again."
        ),
    ] = False,
    predictions: Annotated[
        Path | None, typer.Option(help="JSON file for the predictions, in COCO's results format.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="HTML file with curves, confusions and the best and worst images."),
    ] = None,
    streaming: Annotated[
        bool,
        typer.Option(
            "--streaming", help="Read the dataset in order instead of unpacking it into a cache."
        ),
    ] = False,
    threshold: Annotated[
        float, typer.Option(help="Lowest score of a prediction; 0, as in the original, keeps all.")
    ] = 0.0,
    batch_size: Annotated[
        int, typer.Option(help="How many images are computed together; figures stay the same.")
    ] = 1,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16-trunks, bfloat16 or float16.")
    ] = "float32",
) -> None:
    """Measure a model on a prepared dataset.

    A run that was stopped goes on where it was when it is started again.
    """
    missing = missing_packages("evaluation needs", "datasets")
    if missing is not None:
        raise ValueError(missing)
    from .. import __version__
    from ..data.loading import load_split
    from ..evaluation.context_text import borrow_context_text
    from ..evaluation.evaluator import evaluate_model
    from ..evaluation.prediction_files import write_json
    from ..evaluation.processes import launched_processes
    from ..evaluation.vocabulary import read_names, read_training_names
    from ..loading import load_model
    from ..processing.prompts import parse_class_names
    from ..steady_memory import keep_memory_steady

    _make_places({"--output": output, "--predictions": predictions, "--report": report})
    extra = [] if extra_names is None else parse_class_names(extra_names, "--extra-names")
    model = model or DEFAULT_MODEL
    with launched_processes() as (processes, own_device), _alone(output, processes):
        training_names = None if seen_from is None else read_training_names(seen_from)
        asked = None if prompts is None else read_names(prompts, "--prompts")
        loaded, processor = load_model(model, device or own_device, dtype)
        keep_memory_steady(loaded)
        if context_text_from is not None:
            source, _ = load_model(context_text_from, "cpu", dtype, "context_text_from")
            borrow_context_text(loaded, source)
        # Last: a large set takes minutes to unpack.
        rows = load_split(dataset, split, streaming)
        folder = output.with_name(f"{output.stem}-predictions")
        figures = evaluate_model(
            loaded,
            processor,
            rows,
            task=None if task is None else task.value,
            alpha=alpha,
            beta=beta,
            out_of_vocabulary=None if out_of_vocabulary is None else out_of_vocabulary.value,
            prompts=asked,
            training_names=training_names,
            extra_names=extra,
            sweep=sweep,
            threshold=threshold,
            batch_size=batch_size,
            folder=folder,
            predictions_file=predictions,
            report_file=report,
            settings={
                "score_hf": __version__,
                "model": model,
                "dataset": dataset,
                "split": split,
                "dtype": dtype,
            },
        )
        if processes.is_first:
            write_json(output, figures, indent=2)
            shutil.rmtree(folder)
            print_figures(figures)
            typer.echo(f"{figures['num_images']} images, figures written to {output}")


def _make_places(files: Mapping[str, Path | None]) -> None:
    """Checks by option that files can be written, and makes the folders that they go to."""
    from ..output_places import make_folder

    written = {option: path for option, path in files.items() if path is not None}
    if len({path.absolute() for path in written.values()}) < len(written):
        raise ValueError(
            "`--output`, `--predictions` and `--report` must be different files, got "
            f"{', '.join(map(str, written.values()))}."
        )
    for option, path in written.items():
        if path.is_dir():
            raise ValueError(f"`{option}` must be a file, but {str(path)!r} is a folder.")
        make_folder(path.parent, option)


@contextmanager
def _alone(output: Path, processes: "Processes") -> Iterator[None]:
    """Keeps other evaluations out that would write the same files."""
    from ..output_places import exclusively

    if not processes.is_first:
        yield
        return
    busy = f"`--output` {str(output)!r}: another evaluation is at it; wait for it, or end it first."
    with exclusively(output.with_name(f".{output.name}.lock"), busy):
        yield


def print_figures(figures: dict[str, Any]) -> None:
    """Prints the figures of the dataset and of its classes, in percent.

    Args:
        figures: Of `evaluate_model`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    seen = figures["settings"]["seen_classes"] or [None] * len(figures["per_class"])
    totals = {
        name: value
        for name, value in figures.items()
        if (value is None or isinstance(value, float)) and name != "best_F1_threshold"
    }
    tables = Table("Figure", box=SIMPLE_HEAD), Table("Class", "Trained on", box=SIMPLE_HEAD)
    for table in tables:
        table.add_column("%", justify="right")
    for name, value in totals.items():
        tables[0].add_row(name, _percent(value))
    for (name, value), is_seen in zip(figures["per_class"].items(), seen, strict=True):
        trained = {True: "yes", False: "no", None: "not known"}[is_seen]
        # Not as plain strings: what stands in square brackets would be taken for markup.
        tables[1].add_row(Text(name), trained, _percent(value))
    for table in tables:
        Console().print(table)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def main() -> None:
    """Runs the command; what is wrong with its options is told in one sentence."""
    try:
        typer.run(evaluate)
    except (OSError, TypeError, ValueError) as error:
        raise SystemExit(f"score-hf: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
