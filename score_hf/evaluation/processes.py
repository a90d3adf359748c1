"""The processes that share an evaluation, whatever started them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

# Processes wait for the slowest one, which may have a large dataset's largest images.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """This process and its neighbours.

    Args:
        rank: Which one this is, from 0.
        count: How many there are.
        group: What they exchange objects through; None for one process alone.

    Raises:
        ConnectionError: By every method, if another process has stopped.
    """

    rank: int = 0
    count: int = 1
    group: Any = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Returns once every process has come here."""
        if self.group is not None:
            with _lost_neighbours():
                distributed.barrier(group=self.group)

    def gather(self, item: Any) -> list[Any]:
        """Gives the first process the items of all, by rank; the others get none."""
        if self.group is None:
            return [item]
        items: list[Any] = [None] * self.count if self.is_first else []
        with _lost_neighbours():
            distributed.gather_object(item, items if self.is_first else None, group=self.group)
        return items

    def share(self, item: Any) -> Any:
        """Gives every process the item of the first."""
        if self.group is None:
            return item
        shared = [item]
        with _lost_neighbours():
            distributed.broadcast_object_list(shared, group=self.group)
        return shared[0]


@contextmanager
def _lost_neighbours() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(
            "Another process of this evaluation has stopped; it has said why."
        ) from error


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Joins the processes of the default group, if there is one, for the time of an evaluation.

    They get a group of their own on gloo: it exchanges objects without a GPU, and its patience
    does not depend on what training chose.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        yield Processes()
        return
    group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), group)
    finally:
        distributed.destroy_process_group(group)


@contextmanager
def launched_processes() -> Iterator[tuple[Processes, torch.device | None]]:
    """Starts the default group, where `torchrun` or `accelerate launch` started this process.

    Yields:
        The processes, and the GPU that belongs to this one: None if there is no launcher or no
        GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes(), None
        return
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    gpu = None
    if torch.cuda.is_available():
        gpu = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    try:
        with joined_processes() as processes:
            yield processes, gpu
    finally:
        distributed.destroy_process_group()
