"""One evaluation from model and dataset to figures, in any number of processes."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from tqdm.auto import tqdm

from ..data.loading import class_names, coco_ground_truth
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.predictions import check_count, check_fraction
from ..processing.processing_score import ScoreProcessor
from .instance_task import InstanceTask
from .predicting import Row, predict_rows
from .prediction_files import PredictionFolder, write_predictions
from .processes import Processes, joined_processes
from .vocabulary import make_vocabulary

TaskName = Literal["instance", "semantic", "panoptic"]
Item = TypeVar("Item")


def evaluate_model(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    dataset: Any,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    prompts: Sequence[str] | None = None,
    training_names: Sequence[str] | None = None,
    threshold: float = 0.0,
    batch_size: int = 1,
    folder: Path | None = None,
    predictions_file: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Measures a model on a dataset, in all processes of the default group together.

    Every process calls it with the same arguments; each image is predicted by one of them.

    Args:
        model: Not wrapped for training; it is used in evaluation mode and left as it was.
        processor: Its processor.
        dataset: A split, of `score_hf.data.loading.load_split`.
        alpha: Weight of the out-of-vocabulary scores for classes trained on; None: the model's.
        beta: The same for other classes.
        prompts: What is asked for, one entry a class of the dataset; None: its own names.
        training_names: Of all classes that the model was trained on; None: what the processor
            says.
        threshold: Lowest score of a prediction; 0 as in the original.
        batch_size: How many images are computed together at most.
        folder: Keeps predictions, so that an evaluation that was killed goes on where it was;
            shared by all processes. None: a temporary one.
        predictions_file: Where to write the predictions, in COCO's results format.
        settings: What else the predictions depend on, such as names of model and dataset; it is
            checked where an evaluation goes on, and told with the figures.
        progress: Whether the first process shows a bar.

    Returns:
        The figures, the same in every process.

    Raises:
        ValueError: If an argument is not valid, an image cannot be read, or `folder` holds
            predictions made with other settings.
    """
    check_count(batch_size, "batch_size")
    check_fraction(threshold, "threshold")
    known = processor.seen_classes if training_names is None else training_names
    vocabulary = make_vocabulary(class_names(dataset), prompts, known)
    with joined_processes() as processes, _evaluating(model, alpha, beta):
        told = {
            **(settings or {}),
            "alpha": model.config.alpha,
            "beta": model.config.beta,
            "threshold": threshold,
            "classes": list(vocabulary.names),
            "prompts": list(vocabulary.prompts),
            "seen_classes": None if vocabulary.seen is None else list(vocabulary.seen),
        }
        task = InstanceTask(processor, vocabulary, coco_ground_truth(dataset), threshold)
        with (
            _shared_folder(folder, processes) as shared,
            PredictionFolder(
                shared, {**told, "weights": fingerprint(model)}, processes.rank
            ) as store,
        ):
            # Nobody may write before everybody has seen what there is.
            processes.wait()
            _predict(model, processor, task, dataset, store, processes, batch_size, progress)
            processes.wait()
            store.refresh()
            figures = _measure(task, store, processes, progress)
            if processes.is_first and predictions_file is not None:
                write_predictions(store, sorted(task.images), predictions_file)
            return processes.share({**figures, "num_images": len(task.images), "settings": told})


def _predict(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    task: InstanceTask,
    dataset: Any,
    store: PredictionFolder,
    processes: Processes,
    batch_size: int,
    progress: bool,
) -> None:
    """Predicts this process's part of the images that are not done yet."""
    with torch.inference_mode():
        classifier = task.vocabulary.encode(model, processor)
    missing = [number for number in task.images if number not in store.image_ids]
    own = set(missing[processes.rank :: processes.count])
    records = predict_rows(
        model, processor, classifier, _undecoded_rows(dataset, own), task.read, batch_size
    )
    for record in _bar(records, len(own), "predicting", processes, progress):
        store.append(record)


def _measure(
    task: InstanceTask, store: PredictionFolder, processes: Processes, progress: bool
) -> dict[str, Any]:
    """Measures the images, shared between the processes; the first one returns the figures."""
    numbers = sorted(task.images)
    own = numbers[processes.rank :: processes.count]
    bar = _bar(own, len(own), "measuring", processes, progress)
    parts = processes.gather([task.measure(store.read(number)) for number in bar])
    if not processes.is_first:
        return {}
    measured = [
        parts[place % processes.count][place // processes.count] for place in range(len(numbers))
    ]
    return task.summarize(measured)


def _undecoded_rows(dataset: Any, wanted: set[int]) -> Iterator[Row]:
    """Reads rows without decoding pictures, which would be in vain for other processes' rows."""
    from datasets import Image

    if hasattr(dataset, "select"):
        places = [place for place, number in enumerate(dataset["image_id"]) if number in wanted]
        dataset = dataset.select(places)
    for row in dataset.cast_column("image", Image(decode=False)):
        if row["image_id"] in wanted:
            yield row


def _bar(
    items: Iterable[Item], total: int, what: str, processes: Processes, progress: bool
) -> Iterable[Item]:
    shown = progress and processes.is_first
    return tqdm(items, desc=what, total=total, unit="image", disable=not shown)


def fingerprint(model: torch.nn.Module) -> str:
    """Tells weights from others, by some numbers of each tensor: a folder's name does not.

    Args:
        model: The model.

    Returns:
        A short string.
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().flatten()
        some = flat[:: max(1, flat.numel() // 64)][:64].to("cpu", torch.float64)
        digest.update(f"{name} {tuple(tensor.shape)} {some.tolist()}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def _evaluating(
    model: ScoreForInstanceSegmentation, alpha: float | None, beta: float | None
) -> Iterator[None]:
    """Puts the model into evaluation mode with these weights, and back as it was."""
    config, was_training = model.config, model.training
    own = config.alpha, config.beta
    for name, value in (("alpha", alpha), ("beta", beta)):
        if value is not None:
            setattr(config, name, check_fraction(value, name))
    model.eval()
    try:
        yield
    finally:
        config.alpha, config.beta = own
        model.train(was_training)


@contextmanager
def _shared_folder(folder: Path | None, processes: Processes) -> Iterator[Path]:
    """Gives a folder that stays, or a temporary one of the first process."""
    if folder is not None:
        yield folder
        return
    made = tempfile.mkdtemp(prefix="score-hf-evaluation-") if processes.is_first else None
    shared = Path(processes.share(made))
    try:
        yield shared
    finally:
        # The others have read what they need: they have handed in their measurements.
        if processes.is_first:
            shutil.rmtree(shared)
