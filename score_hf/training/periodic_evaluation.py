"""Measuring the model while it is trained."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..conversion.model_card import MeasuredResult
from ..data.loading import class_names, kind, load_split
from ..evaluation.task import FIGURES
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from .recipe import EvaluationRecipe
from .samples import has_labels
from .starting import name_classes


class PeriodicEvaluation:
    """Evaluations of a training, and which one was the best.

    Args:
        recipe: Says what is measured and when; without a dataset nothing ever is.
        steps: Optimiser steps of the training.

    Raises:
        ValueError: If the dataset cannot be read, or the figure that the recipe goes by is not
            measured on it: not told at the first evaluation only, hours later.
    """

    def __init__(self, recipe: EvaluationRecipe, steps: int) -> None:
        self.recipe = recipe
        self.steps = steps
        self.best: float | None = None
        if recipe.dataset is not None:
            name = "recipe.evaluation.dataset"
            self.rows = load_split(recipe.dataset, recipe.split, argument=name)
            task = recipe.task or kind(self.rows)
            if recipe.metric not in FIGURES[task]:
                raise ValueError(
                    f"`recipe.evaluation.metric` must be one of {', '.join(FIGURES[task])} for the "
                    f"task {task!r}, but is {recipe.metric!r}."
                )
            if not has_labels(self.rows).any():
                raise ValueError(
                    f"`{name}` {recipe.dataset!r}: the split {recipe.split!r} has no image with an "
                    "object to measure on."
                )
            self.prompts = name_classes(
                class_names(self.rows), recipe.class_names, "recipe.evaluation.class_names"
            )

    def is_due(self, step: int) -> bool:
        """Whether the model is to be measured after so many steps."""
        if self.recipe.dataset is None:
            return False
        return step % self.recipe.every == 0 or step == self.steps

    def measure(
        self,
        accelerator: Accelerator,
        model: ScoreForInstanceSegmentation,
        processor: ScoreProcessor,
    ) -> dict[str, float]:
        """Measures the model; every process calls it.

        Args:
            accelerator: Connects the processes.
            model: The model itself, not wrapped.
            processor: Its processor.

        Returns:
            The figures that are numbers.

        Raises:
            ValueError: If the figure that the recipe goes by is not among them, such as that of
                small objects where there are none.
        """
        from ..evaluation.evaluator import evaluate_model

        accelerator.wait_for_everyone()
        figures = evaluate_model(
            model,
            processor,
            self.rows,
            task=self.recipe.task,
            prompts=self.prompts,
            alpha=self.recipe.alpha,
            beta=self.recipe.beta,
            progress=False,
        )
        if accelerator.device.type == "cuda":
            # Whole images need other blocks than crops; they would be in the way of each other.
            torch.cuda.empty_cache()
        numbers = {name: float(value) for name, value in figures.items() if _is_number(value)}
        if self.recipe.metric not in numbers:
            raise ValueError(
                f"`recipe.evaluation.metric` is {self.recipe.metric!r}, for which this dataset has "
                f"nothing to measure; it has for {', '.join(numbers)}."
            )
        return numbers

    def improves(self, figures: dict[str, float]) -> bool:
        """Whether these figures are the best so far, which they then become."""
        figure = figures[self.recipe.metric]
        if self.best is not None and not figure > self.best:
            return False
        self.best = figure
        return True

    def results(self, figures: dict[str, float]) -> list[MeasuredResult]:
        """Tells the figure that the recipe goes by as a model's card does."""
        name, metric = Path(str(self.recipe.dataset)).name, self.recipe.metric
        return [MeasuredResult(name, self.recipe.split, metric, figures[metric], name)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
