"""One evaluation from model and dataset to figures, in any number of processes."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from ..data.loading import class_names, coco_ground_truth, kind
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.predictions import check_count, check_fraction
from ..processing.processing_score import ScoreProcessor
from .instance_task import InstanceTask
from .panoptic_task import PanopticTask
from .prediction_files import PredictionFolder, write_predictions
from .processes import joined_processes
from .report import write_report
from .semantic_task import SemanticTask
from .shared_work import SharedWork
from .task import EvaluationTask
from .vocabulary import Vocabulary, make_vocabulary

TaskName = Literal["instance", "semantic", "panoptic"]


def evaluate_model(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    dataset: Any,
    *,
    task: TaskName | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    out_of_vocabulary: Literal["general", "context"] | None = None,
    prompts: Sequence[str] | None = None,
    training_names: Sequence[str] | None = None,
    extra_names: Sequence[str] = (),
    threshold: float = 0.0,
    batch_size: int = 1,
    sweep: bool = False,
    folder: Path | None = None,
    predictions_file: Path | None = None,
    report_file: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Measures a model on a dataset, in all processes of the default group together.

    Every process calls it with the same arguments; each image is predicted by one of them.

    Args:
        model: Not wrapped for training; it is used in evaluation mode and left as it was.
        processor: Its processor.
        dataset: A split, of `score_hf.data.loading.load_split`.
        task: None: "instance" or "semantic", whatever the dataset is made for. Of an instance set,
            semantic truth is the union of a class's objects, all else is ignored; `truth_maps`
            says what panoptic truth is.
        alpha: Weight of the out-of-vocabulary scores for classes trained on; None: the model's.
        beta: The same for other classes.
        out_of_vocabulary: Which CLIP gives these scores (Table 6); None: the model's. A model that
            was made for "context" has what both need; `borrow_context_text` helps others.
        prompts: What is asked for, one entry a class of the dataset; None: its own names.
        training_names: Of all classes that the model was trained on; None: what the processor
            says.
        extra_names: Further names that the model can answer with, which are always wrong, such as
            FloodNet's background.
        threshold: Lowest score of a prediction; 0 as in the original.
        batch_size: How many images are computed together at most.
        sweep: Whether to try out other `alpha` and `beta` too; for instances.
        folder: Keeps predictions, so that an evaluation that was killed goes on where it was; on
            a disk that all processes share. None: each process has a temporary one.
        predictions_file: Where to write the predictions, in COCO's results format; several
            processes need a `folder` for it.
        report_file: Where to write a page of HTML that shows it all; likewise.
        settings: What else the predictions depend on, such as names of model and dataset; it is
            checked where an evaluation goes on, and told with the figures.
        progress: Whether the first process shows a bar.

    Returns:
        The figures of the task, `num_images` and `settings`; the same in every process.

    Raises:
        ValueError: If an argument is not valid, an image cannot be read, or `folder` holds
            predictions made with other settings.
    """
    check_count(batch_size, "batch_size")
    check_fraction(threshold, "threshold")
    known = processor.seen_classes if training_names is None else training_names
    vocabulary = make_vocabulary(class_names(dataset), prompts, known, extra_names)
    name = task or kind(dataset)
    if sweep and name != "instance":
        raise ValueError(f"`sweep` is for the task 'instance', but the task is {name!r}.")
    work_on = _make_task(name, processor, vocabulary, dataset, threshold, sweep)
    image_ids = _list_images(work_on, dataset)
    with joined_processes() as processes, _evaluating(model, alpha, beta, out_of_vocabulary):
        writes = predictions_file is not None or report_file is not None
        if writes and folder is None and processes.count > 1:
            raise ValueError(
                "`folder`, on a disk that all processes share, must be given with "
                "`predictions_file` or `report_file`, got none."
            )
        own_alpha, own_beta = model.config.alpha, model.config.beta
        told = {
            **(settings or {}),
            "task": name,
            "alpha": own_alpha,
            "beta": own_beta,
            "out_of_vocabulary": model.config.out_of_vocabulary,
            "threshold": threshold,
            "max_detections": processor.max_detections,
            "classes": list(vocabulary.names),
            "prompts": list(vocabulary.prompts),
            "seen_classes": None if vocabulary.seen is None else list(vocabulary.seen),
            "extra_names": list(vocabulary.extra),
        }
        depends_on = {**told, "sweep": sweep, "weights": fingerprint(model)}
        with (
            _folder(folder) as kept,
            PredictionFolder(kept, depends_on, processes.rank) as store,
        ):
            work = SharedWork(work_on, dataset, image_ids, store, processes, progress)
            work.predict(model, processor, batch_size)
            measured = work.measure(work_on.measure)
            swept = {}
            if isinstance(work_on, InstanceTask) and sweep:
                limit = processor.max_detections
                swept["sweep"] = work.sweep(work_on, own_alpha, own_beta, limit, model.device)
            figures = {}
            if processes.is_first:
                findings = work_on.summarize(measured)
                figures = {
                    **findings.figures,
                    **swept,
                    "num_images": len(image_ids),
                    "settings": told,
                }
                if predictions_file is not None:
                    write_predictions(store, work.image_ids, predictions_file)
                if report_file is not None:
                    write_report(report_file, work, findings, figures)
            return processes.share(figures)


def _make_task(
    name: str,
    processor: ScoreProcessor,
    vocabulary: Vocabulary,
    dataset: Any,
    threshold: float,
    keep_logits: bool,
) -> EvaluationTask:
    if name == "semantic":
        return SemanticTask(processor, vocabulary)
    if name == "panoptic":
        return PanopticTask(processor, vocabulary, kind(dataset) == "semantic", threshold)
    if name != "instance":
        raise ValueError(f"`task` must be instance, semantic or panoptic, got {name!r}.")
    if kind(dataset) == "semantic":
        raise ValueError(
            "`task` is 'instance', but `dataset` has label images, without objects: evaluate it "
            "with 'semantic' or 'panoptic'."
        )
    truth = coco_ground_truth(dataset)
    return InstanceTask(processor, vocabulary, truth, threshold, keep_logits)


def _list_images(task: EvaluationTask, dataset: Any) -> list[int]:
    """Lists image ids, which must tell the images apart."""
    if isinstance(task, InstanceTask):
        # Known already: a stream would be read once more.
        image_ids = task.image_ids
    else:
        image_ids = [row["image_id"] for row in dataset.select_columns(["image_id"])]
    if not image_ids:
        raise ValueError("`dataset` has no images.")
    if len(set(image_ids)) < len(image_ids):
        twice = next(number for number in image_ids if image_ids.count(number) > 1)
        raise ValueError(
            f"`dataset` must give each image its own `image_id`, but has {twice} twice."
        )
    return image_ids


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
    model: ScoreForInstanceSegmentation,
    alpha: float | None,
    beta: float | None,
    out_of_vocabulary: Literal["general", "context"] | None,
) -> Iterator[None]:
    """Puts the model into evaluation mode with this ensemble, and back as it was."""
    config, was_training = model.config, model.training
    own = config.alpha, config.beta, config.out_of_vocabulary
    if alpha is not None:
        check_fraction(alpha, "alpha")
    if beta is not None:
        check_fraction(beta, "beta")
    if out_of_vocabulary not in (None, "general", "context"):
        raise ValueError(
            f"`out_of_vocabulary` must be general or context, got {out_of_vocabulary!r}."
        )
    if out_of_vocabulary == "context" and not hasattr(model, "context_text_tower"):
        raise ValueError(
            "`out_of_vocabulary` is 'context', but the model has no text tower of its "
            "remote-sensing CLIP: borrow it by `--context-text-from`."
        )
    config.alpha = own[0] if alpha is None else alpha
    config.beta = own[1] if beta is None else beta
    config.out_of_vocabulary = out_of_vocabulary or own[2]
    model.eval()
    try:
        yield
    finally:
        config.alpha, config.beta, config.out_of_vocabulary = own
        model.train(was_training)


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """Gives a folder that stays, or a temporary one of this process."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="score-hf-evaluation-") as made:
        yield Path(made)
