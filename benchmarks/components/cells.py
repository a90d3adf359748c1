"""One training of the component table on real imagery, and what the model then knows.

All methods start from one model that knows no context: the trained model that is given, its context
modules left out, trained on for a while without them. From there each gets its own modules, random
at first, and the same number of steps. Trunks are frozen, as in the paper.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from score_hf.data.loading import load_split
from score_hf.evaluation.evaluator import evaluate_model
from score_hf.loading import load_model
from score_hf.training.recipe import Recipe, load_recipe
from score_hf.training.train import train

from ..context.methods import config_of

FIGURES = ("AP", "AP50", "seen", "unseen", "per_class", "per_class_AP50")


@dataclass(frozen=True)
class Budget:
    """What every method gets.

    Args:
        start: The trained model that all begin with: a folder or a bundled model.
        recipe: Which recipe says how pictures are shown and what classes are called.
        settling_steps: Optimiser steps without context, once for all methods.
        steps: Optimiser steps of each method.
        batch_size: Pictures of a step.
        learning_rate: At its highest.
    """

    start: str
    recipe: str
    settling_steps: int
    steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class Cell:
    """What is trained and measured."""

    method: str
    seed: int

    @property
    def name(self) -> str:
        """Such as "score-0"; the folder of its training."""
        return f"{self.method}-{self.seed}"


def run_cell(
    cell: Cell, budget: Budget, work: Path, dataset: str, tests: dict[str, str]
) -> dict[str, Any]:
    """Trains and measures; a training that was stopped goes on.

    Args:
        cell: What.
        budget: How long.
        work: Folder for the runs; the start of all methods stays there.
        dataset: Folder of the set to train on, with a split "train".
        tests: Folders of the sets to measure on, with a split "val", by name.

    Returns:
        The figures of each test.
    """
    start = settle(budget, work, dataset)
    recipe = recipe_of(cell, budget, dataset, str(start))
    folder = train(recipe, work / cell.name, resume=True)
    model, processor = load_model(folder, device="cpu")
    measured = {}
    for name, place in tests.items():
        figures = evaluate_model(model, processor, load_split(place, "val"))
        measured[name] = {key: figures[key] for key in FIGURES if key in figures}
    return measured


def settle(budget: Budget, work: Path, dataset: str) -> Path:
    """Trains the model that all methods begin with, unless it is there."""
    recipe = _recipe(budget, budget.start, "baseline", dataset, seed=0, steps=budget.settling_steps)
    folder = work / "settled"
    return train(recipe, folder, resume=True)


def recipe_of(cell: Cell, budget: Budget, dataset: str, start: str) -> Recipe:
    """The recipe of a cell; methods differ in nothing but their configuration."""
    return _recipe(budget, start, cell.method, dataset, cell.seed, budget.steps)


def _recipe(budget: Budget, start: str, method: str, dataset: str, seed: int, steps: int) -> Recipe:
    config = {**config_of(method), "frozen_trunks": True}
    changes = [
        f"steps={steps}",
        f"batch_size={budget.batch_size}",
        f"seed={seed}",
        f"checkpoint_every={max(50, steps // 4)}",
        "trackers=[]",
        f"model.init_from={start}",
        f"data.dataset={dataset}",
        "data.workers=0",
        f"optimizer.learning_rate={budget.learning_rate}",
        f"schedule.warmup_steps={steps // 10}",
        *(f"model.config.{name}={value}" for name, value in config.items()),
    ]
    return load_recipe(budget.recipe, changes)
