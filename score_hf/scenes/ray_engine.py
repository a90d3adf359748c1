"""Tiles on a cluster that Ray runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .engines import TileJob, TilePlaces
from .extras import import_ray

# A tile that takes its process down must not do so for ever.
_TILES_A_TASK, _SECOND_CHANCES = 8, 10


class _Worker:
    """An actor that keeps its model from task to task."""

    def __init__(self, job: TileJob, device: str | None) -> None:
        self.job, self.segmenter = job, job.make_segmenter(device)

    def compute(self, tiles: TilePlaces) -> None:
        self.segmenter.compute_tiles(self.job.scene, self.job.options, self.job.work, tiles)


class RayEngine:
    """Has tiles computed by actors of Ray, each with a model of its own.

    The work folder must lie where all machines see it. Tiles of an actor that dies are given to
    another one.

    Args:
        job: What is computed, without its work folder.
        workers: How many actors there are.
        gpus: How many GPUs an actor takes; may be a fraction.
        address: Of the cluster, as `ray.init` takes it; None for one on this machine, or the one
            that is running.

    Raises:
        ImportError: If Ray is missing.
    """

    is_helper = False

    def __init__(
        self,
        job: Callable[[Path], TileJob],
        workers: int,
        gpus: float = 0,
        address: str | None = None,
    ) -> None:
        self._ray = import_ray()
        if not self._ray.is_initialized():
            self._ray.init(address=address, log_to_driver=False)
        self.job, self.workers, self.gpus = job, workers, gpus
        self._tasks: list[Any] = []
        self.actors: list[Any] = []

    def start(self, tiles: TilePlaces, work: Path) -> TilePlaces:
        """Gives all tiles to the actors, some at a time."""
        settings = self._ray.remote(
            num_gpus=self.gpus, max_restarts=_SECOND_CHANCES, max_task_retries=_SECOND_CHANCES
        )
        kind, device = settings(_Worker), "cuda" if self.gpus else None
        self.actors = [kind.remote(self.job(work), device) for _ in range(self.workers)]
        for number, first in enumerate(range(0, len(tiles), _TILES_A_TASK)):
            actor = self.actors[number % self.workers]
            places = list(tiles[first : first + _TILES_A_TASK])
            self._tasks.append(actor.compute.remote(places))
        return []

    def wait(self) -> None:
        """Waits until all tasks are done, or have failed for good."""
        while self._tasks:
            _, self._tasks = self._ray.wait(self._tasks)
        for actor in self.actors:
            self._ray.kill(actor)
