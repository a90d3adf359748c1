"""The work of an evaluation, image by image, shared between processes."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm

from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from .coco_metrics import accumulate_matches, average_precision
from .instance_task import InstanceTask
from .mask_matching import ImageMatches
from .predicting import Row, predict_rows
from .prediction_files import PredictionFolder
from .processes import Processes
from .sweep import best_cell, grid_of, rank_instances
from .task import EvaluationTask

Item = TypeVar("Item")


class SharedWork:
    """A dataset's images, done by several processes.

    Args:
        task: What is evaluated.
        dataset: The split.
        image_ids: Of all its images.
        store: Where predictions are kept, of all processes or of this one.
        processes: That share the work.
        progress: Whether the first process shows a bar.
    """

    def __init__(
        self,
        task: EvaluationTask,
        dataset: Any,
        image_ids: Sequence[int],
        store: PredictionFolder,
        processes: Processes,
        progress: bool = True,
    ) -> None:
        self.task, self.dataset, self.image_ids = task, dataset, sorted(image_ids)
        self.store, self.processes, self.progress = store, processes, progress
        self._measured_by: list[int] = []

    def predict(
        self, model: ScoreForInstanceSegmentation, processor: ScoreProcessor, batch_size: int
    ) -> None:
        """Predicts the images that are not done yet, and waits until all processes have."""
        # Nobody writes before everybody has told what there is.
        done = set().union(*self.processes.share(self.processes.gather(self.store.image_ids)))
        missing = [number for number in self.image_ids if number not in done]
        own = set(missing[self.processes.rank :: self.processes.count])
        with torch.inference_mode():
            classifier = self.task.vocabulary.encode(model, processor)
        rows = undecoded_rows(self.dataset, own)
        records = predict_rows(model, processor, classifier, rows, self.task.read, batch_size)
        for record in self._bar(records, len(own), "predicting"):
            self.store.append(record)
        self.processes.wait()
        self.store.refresh()
        held = self.processes.gather(self.store.image_ids)
        if self.processes.is_first:
            holders = (
                [rank for rank, numbers in enumerate(held) if number in numbers]
                for number in self.image_ids
            )
            self._measured_by = [ranks[place % len(ranks)] for place, ranks in enumerate(holders)]
        self._measured_by = self.processes.share(self._measured_by)

    def measure(
        self, measure: Callable[[dict[str, Any]], Item], what: str = "measuring"
    ) -> list[Item]:
        """Measures every image; the first process gets all results, by rising image id."""
        own = [
            number
            for number, rank in zip(self.image_ids, self._measured_by, strict=True)
            if rank == self.processes.rank
        ]
        results = [measure(self.store.read(number)) for number in self._bar(own, len(own), what)]
        parts = [iter(part) for part in self.processes.gather(results)]
        return [next(parts[rank]) for rank in self._measured_by] if parts else []

    def sweep(
        self,
        task: InstanceTask,
        own_alpha: float,
        own_beta: float,
        max_detections: int,
        device: torch.device,
    ) -> dict[str, Any]:
        """Measures the stored logits with other weights of the ensemble.

        Args:
            task: That kept the logits.
            own_alpha: The weight that the model has; becomes part of the grid.
            own_beta: Likewise.
            max_detections: As in the plain evaluation.
            device: Where that ran.

        Returns:
            `alphas`, `betas`, `AP` as rows of one alpha, and the `best` cell; nothing but in the
            first process.
        """
        alphas, betas = grid_of(own_alpha, own_beta)
        seen = torch.tensor(task.vocabulary.ensemble_as_seen, device=device)
        known: dict[tuple[float | None, float | None], float | None] = {}

        def precision(alpha: float, beta: float) -> float | None:
            # A weight that no class has makes no difference.
            cell = (alpha if seen.any() else None, beta if not seen.all() else None)
            if cell not in known:

                def match(record: dict[str, Any]) -> ImageMatches:
                    found = rank_instances(
                        record["logits"], seen, alpha, beta, task.threshold, max_detections
                    )
                    return task.match(record["image_id"], task.as_predictions(found), ("all",))

                matches = self.measure(match, f"alpha {alpha:g}, beta {beta:g}")
                known[cell] = None
                if self.processes.is_first:
                    curves = accumulate_matches(matches, task.category_ids, ("all",))
                    known[cell] = average_precision(curves)
            return known[cell]

        cells = [[precision(alpha, beta) for beta in betas] for alpha in alphas]
        return {
            "alphas": alphas,
            "betas": betas,
            "AP": cells,
            "best": best_cell(alphas, betas, cells),
        }

    def _bar(self, items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
        shown = self.progress and self.processes.is_first
        # A log, unlike a terminal, keeps every state of the bar.
        seconds = 0.1 if sys.stderr.isatty() else 30
        return tqdm(
            items, desc=what, total=total, unit="image", mininterval=seconds, disable=not shown
        )


def undecoded_rows(dataset: Any, wanted: set[int]) -> Iterator[Row]:
    """Reads some rows of a split without decoding pictures.

    Args:
        dataset: The split; a stream is read in order.
        wanted: The images.

    Yields:
        The rows in the split's order.
    """
    from datasets import Image

    if hasattr(dataset, "select"):
        places = [place for place, number in enumerate(dataset["image_id"]) if number in wanted]
        dataset = dataset.select(places)
    for name in ("image", "label"):
        if name in dataset.features:
            dataset = dataset.cast_column(name, Image(decode=False))
    for row in dataset:
        if row["image_id"] in wanted:
            yield row
