"""The training set of a recipe, as a loader of its batches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..data.loading import class_names, load_split
from ..drawn_scenes import DRAWN_VOCABULARY
from ..processing.processing_score import ScoreProcessor
from .batches import Collator, DrawnBatches, Spread, StoredBatches, StreamedBatches
from .recipe import Recipe
from .samples import DrawnSamples, RowReader, StoredSamples, stream_rows
from .seeds import ORDER, seed_of
from .starting import name_classes
from .step_prompts import StepPrompts


class TrainingSet:
    """A training set, opened.

    Args:
        recipe: Names it.

    Raises:
        ValueError: If the recipe does not name a set, or it cannot be read.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        data = recipe.data
        if data.dataset is None:
            raise ValueError(
                "`recipe.data.dataset` must name the training set (or give `--dataset`): a folder "
                "that `score-hf prepare` wrote, or a hub id."
            )
        self._streamed = data.streaming
        changes = data.class_names
        self._make: Callable[..., Any]
        if data.dataset == "drawn":
            drawn = DrawnSamples(data.drawn_size)
            names = list(drawn.class_names)
            synonyms = {name: ", ".join(names) for name, names in DRAWN_VOCABULARY.items()}
            changes = {**synonyms, **changes}
            self._make = partial(DrawnBatches, drawn)
            self._streamed = False
        else:
            name = "recipe.data.dataset"
            rows = load_split(data.dataset, data.split, data.streaming, argument=name)
            names = class_names(rows)
            if data.streaming:
                order = seed_of(recipe.seed, ORDER)
                stream = partial(stream_rows, rows, order, data.shuffle_buffer, data.skip_empty)
                self._make = partial(StreamedBatches, stream, RowReader(rows, data.augmentation))
            else:
                samples = StoredSamples(rows, data.augmentation, data.skip_empty)
                skip = data.damaged_images == "skip"
                self._make = partial(StoredBatches, samples, skip_damaged=skip)
        self.classes = name_classes(names, changes, "recipe.data.class_names")

    def loader(
        self, processor: ScoreProcessor, spread: Spread, first_step: int, with_prompts: bool
    ) -> DataLoader:
        """Loads the batches of all steps to come, pass by pass.

        Args:
            processor: Prepares pictures and prompts.
            spread: Which images are this process's.
            first_step: Optimiser steps that were made before.
            with_prompts: Whether each batch brings the prompts of its step.

        Returns:
            The loader of `TrainingBatch`es, in order however many workers there are.
        """
        recipe, prompts = self.recipe, None
        if with_prompts:
            choice = recipe.prompts
            prompts = StepPrompts(
                processor, self.classes, choice.one_synonym, choice.templates, recipe.seed
            )
        numbers = range(first_step * recipe.accumulation, recipe.steps * recipe.accumulation)
        options: dict[str, Any] = {"numbers": numbers} if self._streamed else {}
        batches = self._make(
            collator=Collator(processor, recipe.seed), spread=spread, prompts=prompts, **options
        )
        return DataLoader(
            batches,
            batch_size=None,
            sampler=None if self._streamed else numbers,
            num_workers=min(recipe.data.workers, 1) if self._streamed else recipe.data.workers,
            pin_memory=torch.cuda.is_available(),
        )
