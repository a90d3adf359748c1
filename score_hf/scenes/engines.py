"""Who computes the tiles: this process, several of this machine, or a share of many machines.

Tiles do not depend on one another, so there is nothing to gather: every process puts its tiles into
the same work folder, and one of them stitches when all are there. Whatever a process leaves undone,
because it was killed or its disk was full, is done by the one that stitches.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .options import SceneOptions

if TYPE_CHECKING:
    from .segmenter import SceneSegmenter

TilePlaces = Sequence[tuple[int, int]]
# Where processes are started, by whom: the names of the number of a process and of all of them.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


@dataclass(frozen=True)
class TileJob:
    """All that another process needs to compute tiles of a scene; it must be possible to pickle it.

    Args:
        make_segmenter: Makes the segmenter, on a device where one is given.
        scene: Path or address.
        options: How the scene is segmented.
        work: Where the tiles go.
    """

    make_segmenter: "Callable[[str | None], SceneSegmenter]"
    scene: str
    options: SceneOptions
    work: Path

    def run(self, device: str | None, tiles: TilePlaces) -> None:
        """Computes tiles.

        Args:
            device: Such as "cuda:1"; None: as the segmenter likes.
            tiles: Their rows and columns.
        """
        self.make_segmenter(device).compute_tiles(self.scene, self.options, self.work, tiles)


class Engine(Protocol):
    """Has tiles computed elsewhere."""

    @property
    def is_helper(self) -> bool:
        """Whether another process stitches."""

    def start(self, tiles: TilePlaces, work: Path) -> TilePlaces:
        """Sets others to work.

        Args:
            tiles: Rows and columns of the tiles that are not done.
            work: Where they go.

        Returns:
            What is left for this process.
        """

    def wait(self) -> None:
        """Returns when the others have done what they can."""


class Rank:
    """A share of the tiles by the number of this process among all, as launchers give them.

    Args:
        number: Of this process, from 0; process 0 stitches.
        processes: How many there are.
    """

    def __init__(self, number: int, processes: int) -> None:
        if not 0 <= number < processes:
            raise ValueError(
                f"`number` must be from 0 to {processes - 1} for {processes} processes, but got "
                f"{number}."
            )
        self.number, self.processes = number, processes

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Rank | None":
        """Reads what torchrun, accelerate, SLURM arrays or SLURM tasks say.

        Args:
            environment: The variables.

        Returns:
            The share; None for a process on its own.
        """
        for number, count in _LAUNCHERS:
            if number in environment and environment.get(count, "1").isdigit():
                processes = int(environment.get(count, "1"))
                first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
                start = first if number == "SLURM_ARRAY_TASK_ID" else 0
                if processes > 1:
                    return cls(int(environment[number]) - start, processes)
        return None

    @property
    def is_helper(self) -> bool:
        return self.number > 0

    def start(self, tiles: TilePlaces, work: Path) -> TilePlaces:
        """Takes every so manieth tile; process 0 goes on with what the others have not done."""
        return tiles[self.number :: self.processes]

    def wait(self) -> None:
        """Waits for nobody: what others are still at is done here too, with the same result."""


class Processes:
    """One process a device on this machine, this one included.

    Args:
        job: What the others compute, without its work folder.
        devices: Such as "cuda:0", "cuda:1"; the first is that of this process.
    """

    is_helper = False

    def __init__(self, job: Callable[[Path], TileJob], devices: Sequence[str]) -> None:
        self.job, self.devices = job, devices
        self._running: list[BaseProcess] = []

    def start(self, tiles: TilePlaces, work: Path) -> TilePlaces:
        """Starts the others, each with its share."""
        job, count = self.job(work), len(self.devices)
        # Not by forking, which GPUs do not survive.
        context = multiprocessing.get_context("spawn")
        for number, device in enumerate(self.devices[1:], start=1):
            process = context.Process(target=job.run, args=(device, tiles[number::count]))
            process.daemon = True
            process.start()
            self._running.append(process)
        return tiles[::count]

    def wait(self) -> None:
        """Waits for the others."""
        for process in self._running:
            process.join()
        self._running.clear()
