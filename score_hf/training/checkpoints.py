"""Checkpoints that are either whole or not there, whenever the process is killed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..processing.prompts import shortened
from .parameters import WeightAverage

_STATE = "state.json"
_UNFINISHED = "unfinished"
_AVERAGE = "average.pt"


class Checkpoints:
    """The checkpoints of a run: `step-00001200` and so on, of which the newest is kept.

    A checkpoint is written under another name, brought to the disk and renamed; only then are
    older ones deleted, under another name as well. All processes must see the same folder.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> Path | None:
        """Finds the newest whole checkpoint."""
        whole = sorted(path for path in self.folder.glob("step-*") if (path / _STATE).is_file())
        return whole[-1] if whole else None

    def save(
        self,
        accelerator: Accelerator,
        step: int,
        facts: dict[str, Any],
        average: WeightAverage | None = None,
    ) -> None:
        """Writes a checkpoint; every process calls it.

        Args:
            accelerator: What has prepared model and optimiser.
            step: Optimiser steps that were made.
            facts: What else is to be known when the run goes on, as JSON.
            average: The running mean of the weights, if there is one.

        Raises:
            OSError: If it cannot be written; the one before is still there.
        """
        unfinished = self.folder / _UNFINISHED
        if accelerator.is_main_process:
            self._clear()
            unfinished.mkdir(parents=True)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(unfinished))
            if average is not None and accelerator.is_main_process:
                torch.save(average.state_dict(), unfinished / _AVERAGE)
        # On a full disk each library fails in its own way.
        except Exception as error:
            raise OSError(
                f"The checkpoint of step {step} cannot be written to {str(self.folder)!r} "
                f"({_first_line(error)}); the newest whole one is "
                f"{getattr(self.newest(), 'name', 'none')}."
            ) from error
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (unfinished / _STATE).write_text(json.dumps({"step": step, **facts}, indent=2))
            write_through(unfinished)
            older = list(self.folder.glob("step-*"))
            # A run that went on from an earlier checkpoint may come by this step again.
            target = self.folder / f"step-{step:08d}"
            if target in older:
                target.rename(self.folder / f"{_UNFINISHED}-{target.name}")
            unfinished.rename(target)
            _sync(self.folder)
            for path in older:
                if path != target:
                    path.rename(self.folder / f"{_UNFINISHED}-{path.name}")
            self._clear()
        accelerator.wait_for_everyone()

    def load(
        self, accelerator: Accelerator, average: WeightAverage | None = None
    ) -> dict[str, Any] | None:
        """Puts model and optimiser back to the newest checkpoint; every process calls it.

        Args:
            accelerator: What has prepared them.
            average: The running mean of the weights, if there is one.

        Returns:
            `step` and the facts that were saved with it; None if there is no checkpoint.

        Raises:
            ValueError: If it does not fit the model and the optimiser.
        """
        newest = self.newest()
        if newest is None:
            return None
        try:
            facts = json.loads((newest / _STATE).read_text())
            if not isinstance(facts, dict) or not isinstance(facts.get("step"), int):
                raise ValueError(f"{_STATE} does not say its step")
            accelerator.load_state(str(newest))
            if average is not None:
                # Not by Accelerate, which would run whatever is in such a file.
                path = newest / _AVERAGE
                average.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        # Other shapes, other parameters and damaged files fail in as many ways.
        except Exception as error:
            raise ValueError(
                f"The checkpoint {str(newest)!r} cannot be loaded by this recipe "
                f"({_first_line(error)}): go on with the recipe of the run, or give another "
                "`--output`."
            ) from error
        return facts

    def _clear(self) -> None:
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(path)


def point_to(link: Path, target: Path) -> None:
    """Lets a symbolic link point to something else, from one moment to the next.

    Args:
        link: The link; need not be there.
        target: What it is to point to, beside or below it.
    """
    new = link.with_name(f".{link.name}-new")
    new.unlink(missing_ok=True)
    new.symlink_to(target.relative_to(link.parent))
    new.replace(link)
    _sync(link.parent)


def write_through(folder: Path) -> None:
    """Brings all files of a folder to the disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # PyTorch's first line only announces what does not fit.
    return shortened(" ".join(lines[:2]).rstrip(".:"), 200) or type(error).__name__


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
