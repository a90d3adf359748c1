"""Recipes of contrastive pre-training; what they share with the training they state by its name."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .recipe import Recipe, load_recipe
from .recipe_files import RECIPES, demand, read_values
from .strict_fields import make_strictly

PRETRAINING_RECIPES = RECIPES / "pretraining"


@dataclass(frozen=True)
class PretrainingRecipe:
    """A contrastive pre-training.

    Args:
        training: The recipe of the training that follows: model, set of objects with its names,
            seed and the settings of AdamW are taken from there.
        steps: Optimiser steps.
        dataset: Prepared set whose objects are cropped; None: that of the training.
        captions: Folder with `captions.jsonl`, one row an image with `file_name` (relative to the
            folder) and `captions`; None: objects only.
        caption_share: Share of pairs that are captioned images, where there are any.
        batch_size: Pairs of one step, over all processes; each contrasts its own.
        image_size: Side of the pictures in pixels.
        learning_rate: At its highest; it falls along half a cosine.
        warmup_steps: Optimiser steps of a linear rise at the start.
        workers: Processes that prepare batches, for each process; 0: none.
        log_every: Steps between rows of the log.
        checkpoint_every: Steps between checkpoints.
    """

    training: str
    steps: int
    dataset: str | None = None
    captions: str | None = None
    caption_share: float = 0.5
    batch_size: int = 64
    image_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    workers: int = 0
    log_every: int = 20
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "log_every", "checkpoint_every"):
            demand(getattr(self, name) > 0, name, "positive", getattr(self, name))
        size = self.image_size
        demand(size > 0 and size % 32 == 0, "image_size", "a positive multiple of 32", size)
        share = self.caption_share
        demand(0 < share < 1, "caption_share", "between 0 and 1", share)
        demand(self.workers >= 0, "workers", "0 or more", self.workers)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as YAML writes them."""
        return dataclasses.asdict(self)

    def training_recipe(self) -> Recipe:
        """Reads the recipe of the training, with the set of objects that is to be cropped.

        Raises:
            ValueError: If there is no such recipe.
        """
        changes = [] if self.dataset is None else [f"data.dataset={self.dataset}"]
        return load_recipe(self.training, changes)


def load_pretraining_recipe(source: str | Path, changes: Sequence[str] = ()) -> PretrainingRecipe:
    """Reads a recipe of a pre-training; see [`load_recipe`].

    Args:
        source: The name of one of the package, or a YAML file.
        changes: Differences, such as "image_size=96".

    Raises:
        ValueError: If there is no such recipe, or something in it is unknown or not valid.
    """
    values = read_values(source, changes, PRETRAINING_RECIPES)
    return make_strictly(PretrainingRecipe, values, "recipe")
