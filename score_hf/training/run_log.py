"""What a training tells: a progress bar, `log.jsonl` and Accelerate's trackers."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from tqdm.auto import tqdm


def check_trackers(names: tuple[str, ...]) -> None:
    """Checks that trackers are known and installed.

    Args:
        names: As the recipe gives them.

    Raises:
        ValueError: If one is not.
    """
    available = [getattr(one, "value", str(one)) for one in get_available_trackers()]
    for name in names:
        if name not in available:
            raise ValueError(
                f"`recipe.trackers` has {name!r}, which is not installed or not known to "
                f"Accelerate; there are {', '.join(available) or 'none'}."
            )


class RunLog:
    """The log of a run; only the main process writes.

    Args:
        accelerator: With its trackers.
        folder: Folder of the run.
        settings: The recipe, for the trackers.
        first_step: Steps that were made before: rows after them are dropped from the log.
        steps: How many there will be.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        folder: Path,
        settings: dict[str, Any],
        first_step: int,
        steps: int,
    ) -> None:
        self.accelerator = accelerator
        self.path = folder / "log.jsonl"
        self.started, self.first_step = time.monotonic(), first_step
        if accelerator.is_main_process:
            self._cut(first_step)
        accelerator.init_trackers(
            "score_hf",
            config=_flat(settings),
            init_kwargs={
                "tensorboard": {"purge_step": first_step + 1},
                **{name: {"name": folder.resolve().name} for name in ("trackio", "wandb")},
            },
        )
        self.bar = tqdm(
            initial=first_step,
            total=steps,
            desc="training",
            unit="step",
            # A log, unlike a terminal, keeps every state of the bar.
            mininterval=0.1 if sys.stderr.isatty() else 30,
            disable=not accelerator.is_main_process,
        )

    def advance(self) -> None:
        """Counts a step."""
        self.bar.update()

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Writes a row.

        Args:
            step: Optimiser steps that were made.
            figures: Figures by name; `loss` and `learning_rate` are shown in the bar.
        """
        self.accelerator.log(figures, step=step)
        if not self.accelerator.is_main_process:
            return
        shown = {
            short: f"{figures[name]:.3g}"
            for short, name in (("loss", "loss"), ("rate", "learning_rate"))
            if name in figures
        }
        if shown:
            self.bar.set_postfix(shown, refresh=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")

    def say(self, text: str) -> None:
        """Writes a line above the bar."""
        if self.accelerator.is_main_process:
            self.bar.write(text)

    def seconds_per_step(self, step: int) -> float:
        """Mean time of the steps of this process's run so far."""
        return (time.monotonic() - self.started) / max(1, step - self.first_step)

    def close(self) -> None:
        """Ends the bar and the trackers."""
        self.bar.close()
        self.accelerator.end_training()

    def _cut(self, first_step: int) -> None:
        """Drops rows that will be written again, and one that was cut off by a kill."""
        if not self.path.is_file():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                is_past = json.loads(line)["step"] <= first_step
            except (KeyError, RecursionError, TypeError, ValueError):
                continue
            if is_past:
                kept.append(line + "\n")
        new = self.path.with_suffix(".new")
        new.write_text("".join(kept), encoding="utf-8")
        os.replace(new, self.path)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Trackers take plain values only."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, int | float | str) else str(value)
    return flat
