"""Tiles on a cluster that Ray runs."""

import warnings
from collections.abc import Sequence
from typing import Any

from .engines import SegmenterMaker, TileJob
from .extras import import_ray
from .tile_run import TileBatch

# A tile that takes its process down must not do so for ever.
_BATCHES_A_TASK, _SECOND_CHANCES = 8, 10


class _Worker:
    """An actor that keeps its model from task to task."""

    def __init__(self, make_segmenter: SegmenterMaker, device: str | None) -> None:
        self.segmenter = make_segmenter(device)

    def compute(self, job: TileJob, batches: Sequence[TileBatch]) -> None:
        job.run(self.segmenter, batches)


class RayEngine:
    """Has tiles computed by actors of Ray, each with a model of its own.

    Scenes and work folders must lie where all machines see them. Tiles of an actor that dies are
    given to the one that takes its place.

    Args:
        make_segmenter: Makes the segmenter of an actor.
        workers: How many actors there are; None: one for each GPU of the cluster, two without.
        gpus: How many GPUs an actor takes, which may be a fraction; None: one if there are any.
        address: Of the cluster, as `ray.init` takes it; None: that of the variable RAY_ADDRESS, of
            the cluster that is running, or of a new one on this machine.

    Raises:
        ImportError: If Ray is missing.
        OSError: If the cluster does not answer.
    """

    is_helper = False

    def __init__(
        self,
        make_segmenter: SegmenterMaker,
        workers: int | None = None,
        gpus: float | None = None,
        address: str | None = None,
    ) -> None:
        self._ray = import_ray()
        if not self._ray.is_initialized():
            try:
                self._ray.init(address=address, log_to_driver=False)
            # Ray raises plain exceptions.
            except Exception as error:
                raise OSError(f"The Ray cluster cannot be reached or started ({error}).") from error
        there = self._ray.cluster_resources().get("GPU", 0)
        gpus = min(there, 1) if gpus is None else gpus
        settings = self._ray.remote(
            num_gpus=gpus, max_restarts=_SECOND_CHANCES, max_task_retries=_SECOND_CHANCES
        )
        kind, device = settings(_Worker), "cuda" if gpus else None
        count = workers or max(int(there), 2)
        self._actors = [kind.remote(make_segmenter, device) for _ in range(count)]
        self._tasks: list[Any] = []

    def start(self, job: TileJob, batches: Sequence[TileBatch]) -> Sequence[TileBatch]:
        """Gives all tiles to the actors, some at a time."""
        for number, first in enumerate(range(0, len(batches), _BATCHES_A_TASK)):
            actor = self._actors[number % len(self._actors)]
            some = list(batches[first : first + _BATCHES_A_TASK])
            self._tasks.append(actor.compute.remote(job, some))
        return []

    def wait(self) -> None:
        """Waits until all tasks are done, or have failed for good."""
        reasons = set()
        for task in self._tasks:
            try:
                self._ray.get(task)
            except self._ray.exceptions.RayError as error:
                # The last line says what was wrong; those before, where.
                reasons.add(str(error).strip().splitlines()[-1])
        self._tasks.clear()
        for reason in sorted(reasons):
            warnings.warn(
                f"Ray failed to compute tiles, which this process then does ({reason}).",
                stacklevel=2,
            )

    def close(self) -> None:
        """Ends the actors."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()
