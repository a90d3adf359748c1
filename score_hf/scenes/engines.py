"""Who computes the tiles: this process, several of this machine, or a share of many machines.

Tiles do not depend on one another, so there is nothing to gather: every process puts its tiles into
the same work folder, and one of them stitches when all are there. Whatever a process leaves undone,
because it was killed or its disk was full, is done by the one that stitches.
"""

import multiprocessing
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from .options import SceneOptions
from .tile_run import TileBatch


class TileComputer(Protocol):
    """What other processes need of a [`SceneSegmenter`]."""

    def compute_tiles(
        self, scene: str, options: SceneOptions, work: Path, batches: Sequence[TileBatch]
    ) -> object:
        """Computes tiles for a work folder, which another process has prepared."""


# Makes a segmenter, on a device where one is given; it must be possible to pickle it.
SegmenterMaker = Callable[[str | None], TileComputer]
# Where processes are started, by whom: the names of the number of a process and of all of them.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


@dataclass(frozen=True)
class TileJob:
    """A scene of which other processes compute tiles.

    Args:
        scene: Path or address.
        options: How it is segmented.
        work: Where the tiles go.
    """

    scene: str
    options: SceneOptions
    work: Path

    def run(self, segmenter: TileComputer, batches: Sequence[TileBatch]) -> None:
        """Computes tiles.

        Args:
            segmenter: Like that of the process that stitches.
            batches: Their rows and columns.
        """
        segmenter.compute_tiles(self.scene, self.options, self.work, batches)


class Engine(Protocol):
    """Has tiles computed elsewhere."""

    @property
    def is_helper(self) -> bool:
        """Whether another process stitches."""

    def start(self, job: TileJob, batches: Sequence[TileBatch]) -> Sequence[TileBatch]:
        """Sets others to work.

        Args:
            job: The scene.
            batches: All its tiles; those that are done already cost nothing.

        Returns:
            What is left for this process.
        """

    def wait(self) -> None:
        """Returns when the others have done what they can, and warns of what they could not."""

    def close(self) -> None:
        """Lets the others go."""


class Rank:
    """A share of the tiles by the number of this process among all, as launchers give them.

    Args:
        number: Of this process, from 0; process 0 stitches.
        processes: How many there are.

    Raises:
        ValueError: If there is no such process.
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

    def start(self, job: TileJob, batches: Sequence[TileBatch]) -> Sequence[TileBatch]:
        """Takes every so manieth batch."""
        return batches[self.number :: self.processes]

    def wait(self) -> None:
        """Waits for nobody: process 0 does what the others have not done yet, from the end on."""

    def close(self) -> None:
        """Has nobody to let go."""


class Processes:
    """One process a device on this machine, this one included; they keep their models.

    Args:
        make_segmenter: Makes the segmenter of another process on its device.
        devices: Such as "cuda:0", "cuda:1"; the first is that of this process.
    """

    is_helper = False

    def __init__(self, make_segmenter: SegmenterMaker, devices: Sequence[str]) -> None:
        self.make_segmenter, self.devices = make_segmenter, devices
        self._others: dict[int, tuple[BaseProcess, Connection]] = {}

    def start(self, job: TileJob, batches: Sequence[TileBatch]) -> Sequence[TileBatch]:
        """Gives the others their shares."""
        count = len(self.devices)
        for number in range(1, count):
            _, connection = self._other(number)
            connection.send((job, batches[number::count]))
        return batches[::count]

    def _other(self, number: int) -> tuple[BaseProcess, Connection]:
        """The process of a device, started where there is none."""
        if number not in self._others:
            # Not by forking, which GPUs do not survive.
            context = multiprocessing.get_context("spawn")
            mine, theirs = context.Pipe()
            arguments = (self.make_segmenter, self.devices[number], theirs)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._others[number] = (process, mine)
        return self._others[number]

    def wait(self) -> None:
        """Waits for the others."""
        for number, (process, connection) in list(self._others.items()):
            try:
                problem = connection.recv()
            except (EOFError, OSError):
                process.join()
                problem = f"it ended with status {process.exitcode}"
                del self._others[number]
            if problem is not None:
                warnings.warn(
                    f"the process on {self.devices[number]} failed ({problem}); what it left is "
                    "computed by the first one.",
                    stacklevel=2,
                )

    def close(self) -> None:
        """Ends the others."""
        for process, connection in self._others.values():
            connection.close()
            process.join()
        self._others.clear()


def _serve(make_segmenter: SegmenterMaker, device: str, connection: Connection) -> None:
    """Computes the tiles that it is sent until the other end closes."""
    try:
        segmenter = make_segmenter(device)
        while True:
            job, batches = connection.recv()
            try:
                job.run(segmenter, batches)
            except (OSError, ValueError) as error:
                connection.send(str(error))
            else:
                connection.send(None)
    except (EOFError, KeyboardInterrupt):
        # Ctrl-C reaches all processes; the first one says that it was stopped.
        return
