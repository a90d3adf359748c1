"""Endless batches of drawn scenes, each fixed by its step."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import IterableDataset

from ..drawn_scenes import DRAWN_VOCABULARY, draw_scene
from ..processing.processing_score import ScoreProcessor

# Seeds below are kept for evaluation; training draws from here on.
FIRST_TRAINING_SEED = 1_000_000
CLASS_NAMES = tuple(DRAWN_VOCABULARY)


class DrawnBatches(IterableDataset):
    """Batches of scenes no one has seen before, with one name for each class.

    Each step draws its own scenes and, for each class, one of its synonyms and some of the
    templates, so that the text tower learns all of them. Every fourth batch holds a quarter of
    the scenes at twice the side: the same number of pixels, and objects farther apart.

    Args:
        processor: Prepares images and names.
        batch_size: Scenes of an ordinary batch.
        size: Their side in pixels.
        templates: Templates drawn for a step.
        first_step: The step to begin with, when a training is resumed.
        last_step: The step to end before.
        process: Which of the training's processes draws; each draws its own scenes.
        num_processes: How many there are; `batch_size` counts the scenes of one.
    """

    def __init__(
        self,
        processor: ScoreProcessor,
        batch_size: int,
        size: int,
        templates: int,
        first_step: int,
        last_step: int,
        process: int = 0,
        num_processes: int = 1,
    ) -> None:
        self.processor = processor
        self.batch_size = batch_size
        self.size = size
        self.templates = templates
        self.steps = range(first_step, last_step)
        self.process = process
        self.num_processes = num_processes

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Yields keyword arguments of the model's forward pass, one batch a step.

        Workers take turns, so the order is that of the steps however many there are.
        """
        worker = torch.utils.data.get_worker_info()
        first, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in self.steps[first::every]:
            yield self.draw(step)

    def draw(self, step: int) -> dict[str, object]:
        """Draws the batch of one step."""
        rng = np.random.default_rng(step)
        large = step % 4 == 3
        count = max(1, self.batch_size // 4) if large else self.batch_size
        batch = step * self.num_processes + self.process
        seeds = FIRST_TRAINING_SEED + batch * self.batch_size + np.arange(count)
        scenes = [draw_scene(int(seed), self.size * (2 if large else 1)) for seed in seeds]
        inputs = self.processor(
            images=[scene.image for scene in scenes],
            annotations=[
                {
                    "masks": scene.masks,
                    "class_labels": [CLASS_NAMES.index(name) for name in scene.class_names],
                }
                for scene in scenes
            ],
            text=self._prompts(rng),
            return_tensors="pt",
        )
        inputs["class_ids"] = torch.arange(len(CLASS_NAMES))
        inputs["seen_classes"] = torch.ones(len(CLASS_NAMES), dtype=torch.bool)
        return dict(inputs)

    def _prompts(self, rng: np.random.Generator) -> list[str]:
        templates = rng.choice(self.processor.templates, self.templates, replace=False)
        names = [str(rng.choice(synonyms)) for synonyms in DRAWN_VOCABULARY.values()]
        return [template.format(name) for name in names for template in templates]
