"""How classes are named in each step, while the text tower learns."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..processing.processing_score import ScoreProcessor
from .seeds import PROMPTS


class StepPrompts:
    """The prompts of each step, where a text tower learns: some synonyms in some templates.

    Args:
        processor: Tokenizes, once for all.
        classes: One item a class, a comma inside separates synonyms.
        one_synonym: Whether a step takes one of each class's synonyms; else it takes all.
        templates: How many templates a step takes; None: all.
        seed: The recipe's.

    Raises:
        ValueError: If there are not so many templates.
    """

    def __init__(
        self,
        processor: ScoreProcessor,
        classes: Sequence[str],
        one_synonym: bool,
        templates: int | None,
        seed: int,
    ) -> None:
        tokens = processor.tokenize_classes(list(classes))
        self.known = len(processor.templates)
        self.taken = self.known if templates is None else templates
        if self.taken > self.known:
            raise ValueError(
                f"`recipe.prompts.templates` must be at most {self.known}, the templates that the "
                f"processor has, but is {templates}."
            )
        self.class_ids = tokens["class_ids"]
        self.tokens = {
            name: tokens[name].unflatten(0, (-1, self.known))
            for name in ("input_ids", "attention_mask")
        }
        self.one_synonym = one_synonym
        self.seed = seed

    def of_step(self, step: int) -> dict[str, Tensor]:
        """Returns a step's vocabulary as arguments of `build_classifier`."""
        rng = np.random.default_rng((self.seed, PROMPTS, step))
        templates = torch.from_numpy(rng.permutation(self.known)[: self.taken])
        synonyms = torch.arange(len(self.class_ids))
        if self.one_synonym:
            ends = self.class_ids.bincount().cumsum(0).tolist()
            starts = [0, *ends[:-1]]
            drawn = [int(rng.integers(*bounds)) for bounds in zip(starts, ends, strict=True)]
            synonyms = torch.tensor(drawn)
        chosen = {
            name: ids[synonyms][:, templates].flatten(0, 1) for name, ids in self.tokens.items()
        }
        class_ids = self.class_ids[synonyms]
        seen = torch.ones(int(class_ids.max()) + 1, dtype=torch.bool)
        return {**chosen, "class_ids": class_ids, "seen_classes": seen}
