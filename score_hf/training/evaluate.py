"""Measures a model on a dataset: `score-hf evaluate`, in a form that launchers can start.

torchrun --nproc_per_node 2 -m score_hf.training.evaluate --dataset DIR --split val -o metrics.json
"""

import shutil
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


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
        typer.Option(help="Folder, bundled model or hub id. Without it: the bundled score-tiny."),
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
    predictions: Annotated[
        Path | None, typer.Option(help="JSON file for the predictions, in COCO's results format.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Lowest score of a prediction; 0, as in the original, keeps all.")
    ] = 0.0,
    batch_size: Annotated[
        int, typer.Option(help="How many images are computed together; figures stay the same.")
    ] = 1,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
) -> None:
    """Measure a model on a prepared dataset.

    A run that was stopped goes on where it was when it is started again.
    """
    from ..bundled import DEFAULT_MODEL
    from ..data.loading import load_split
    from ..evaluation.evaluator import evaluate_model
    from ..evaluation.prediction_files import write_json
    from ..evaluation.processes import launched_processes
    from ..evaluation.vocabulary import read_names, read_training_names
    from ..loading import load_model

    for path in filter(None, (output, predictions)):
        path.parent.mkdir(parents=True, exist_ok=True)
    model = model or DEFAULT_MODEL
    with launched_processes() as (processes, own_device):
        training_names = None if seen_from is None else read_training_names(seen_from)
        asked = None if prompts is None else read_names(prompts)
        rows = load_split(dataset, split)
        loaded, processor = load_model(model, device or own_device, dtype)
        folder = output.with_name(f"{output.stem}-predictions")
        figures = evaluate_model(
            loaded,
            processor,
            rows,
            alpha=alpha,
            beta=beta,
            prompts=asked,
            training_names=training_names,
            threshold=threshold,
            batch_size=batch_size,
            folder=folder,
            predictions_file=predictions,
            settings={"model": model, "dataset": dataset, "split": split, "dtype": dtype},
        )
        if processes.is_first:
            write_json(output, figures, indent=2)
            shutil.rmtree(folder)


def main() -> None:
    """Runs the command; what is wrong with its options is told in one sentence."""
    try:
        typer.run(evaluate)
    except (OSError, TypeError, ValueError) as error:
        raise SystemExit(f"score-hf: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
