"""What each forward pass of each optimisation step gets, a function of the recipe's seed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ..processing.processing_score import ScoreProcessor
from .samples import DamagedImage, DrawnSamples, RowReader, Sample, StoredSamples
from .seeds import AUGMENTATION, ORDER, POINTS, seed_of
from .step_prompts import StepPrompts

# How many other images take the place of damaged ones before something else must be wrong.
_REPLACEMENTS = 20


@dataclass(frozen=True)
class Spread:
    """How the images of a step are spread over processes and accumulated passes.

    Args:
        batch_size: Images of a step.
        accumulation: Passes that each process makes for a step.
        num_processes: How many processes there are.
        process: Which one this is.

    Raises:
        ValueError: If the images cannot be spread evenly.
    """

    batch_size: int
    accumulation: int = 1
    num_processes: int = 1
    process: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.passes:
            raise ValueError(
                f"`recipe.batch_size` counts the images of one step over all processes, so it must "
                f"be a multiple of {self.num_processes} processes x {self.accumulation} "
                f"accumulated passes, but is {self.batch_size}."
            )

    @property
    def passes(self) -> int:
        """Passes of a step, over all processes."""
        return self.accumulation * self.num_processes

    def places(self, number: int, batch_size: int | None = None) -> range:
        """Gives the places of a pass within its step.

        Args:
            number: Which pass of this process it is, counted from the start of the training.
            batch_size: Images of the step, if it is a smaller one.

        Returns:
            The places, 0 to `batch_size` - 1 over all passes of the step.
        """
        size = (batch_size or self.batch_size) // self.passes
        first = (number % self.accumulation * self.num_processes + self.process) * size
        return range(first, first + size)


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """The images of one pass.

    Args:
        inputs: Keyword arguments of the model's forward: pixels, masks (as bool) and classes.
        seeds: One for each image, for the points at which its masks are compared.
        image_ids: Of the images.
        names: Their file names.
        damaged: What was wrong with images that others were taken for.
        prompts: Keyword arguments of `build_classifier`, where each step has its own.
    """

    inputs: dict[str, Any]
    seeds: list[int]
    image_ids: list[int]
    names: list[str]
    damaged: list[str]
    prompts: dict[str, Tensor] = field(default_factory=dict)

    def pin_memory(self) -> "TrainingBatch":
        """Returns the batch in memory that a GPU copies from directly; `DataLoader` asks for it."""
        return self._each(lambda tensor: tensor.pin_memory())

    def to(self, device: torch.device) -> "TrainingBatch":
        """Returns the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Any) -> "TrainingBatch":
        inputs = {
            name: [change(one) for one in value] if isinstance(value, list) else change(value)
            for name, value in self.inputs.items()
        }
        prompts = {name: change(tensor) for name, tensor in self.prompts.items()}
        return replace(self, inputs=inputs, prompts=prompts)


class Collator:
    """Makes a pass's arguments of its pictures, with the processor that inference uses.

    Args:
        processor: Normalises and pads.
        seed: The recipe's.
    """

    def __init__(self, processor: ScoreProcessor, seed: int) -> None:
        self.image_processor = processor.image_processor
        self.seed = seed

    def __call__(
        self,
        samples: Sequence[Sample],
        step: int,
        places: Sequence[int],
        damaged: Sequence[str] = (),
    ) -> TrainingBatch:
        """Makes a batch.

        Args:
            samples: The pictures.
            step: The optimisation step.
            places: Their places in it.
            damaged: What is to be told of damaged images.

        Returns:
            The batch.
        """
        inputs = self.image_processor(
            [sample.pixels for sample in samples],
            annotations=[
                {"masks": sample.masks, "class_labels": sample.labels} for sample in samples
            ],
            do_resize=False,
            # Told, because a picture of three rows could be taken for three channels.
            input_data_format="channels_last",
            return_tensors="pt",
        )
        return TrainingBatch(
            inputs={**inputs, "mask_labels": [masks.bool() for masks in inputs["mask_labels"]]},
            seeds=[seed_of(self.seed, POINTS, step, place) for place in places],
            image_ids=[sample.image_id for sample in samples],
            names=[sample.name for sample in samples],
            damaged=list(damaged),
        )


class StoredBatches(Dataset):
    """Batches of a set whose images can be read in any order.

    The images pass in one endless sequence, shuffled anew in each epoch (as detectron2's sampler
    does; it also groups by orientation, which square crops make needless).

    Args:
        samples: The set.
        collator: Makes batches.
        spread: Which images are this process's.
        skip_damaged: Whether another image of the set takes the place of one that cannot be read.
        prompts: Of each step; None: the vocabulary does not change.
    """

    def __init__(
        self,
        samples: StoredSamples,
        collator: Collator,
        spread: Spread,
        skip_damaged: bool = False,
        prompts: StepPrompts | None = None,
    ) -> None:
        self.samples = samples
        self.collator = collator
        self.spread = spread
        self.skip_damaged = skip_damaged
        self.prompts = prompts
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __getitem__(self, number: int) -> TrainingBatch:
        """Makes the batch of a pass, counted from the start of the training."""
        step = number // self.spread.accumulation
        places = self.spread.places(number)
        damaged: list[str] = []
        samples = [self._read(step, place, damaged) for place in places]
        return _with_prompts(self.collator(samples, step, places, damaged), self.prompts, step)

    def _read(self, step: int, place: int, damaged: list[str]) -> Sample:
        rng = np.random.default_rng((self.collator.seed, AUGMENTATION, step, place))
        index = self._index(step * self.spread.batch_size + place)
        for _ in range(_REPLACEMENTS):
            try:
                return self.samples.read(index, rng)
            except DamagedImage as error:
                if not self.skip_damaged:
                    raise
                damaged.append(str(error))
                index = int(rng.integers(len(self.samples)))
        raise DamagedImage(f"{_REPLACEMENTS} images one after another are damaged: {damaged[-1]}")

    def _index(self, position: int) -> int:
        """The image at a position of the endless sequence."""
        epoch, place = divmod(position, len(self.samples))
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.collator.seed, ORDER, epoch))
            self._order = (epoch, rng.permutation(len(self.samples)))
        return int(self._order[1][place])


class StreamedBatches(IterableDataset):
    """Batches of a set that is read in order; every process reads all of it.

    A loader must have one worker at most: `datasets` would give each a part of the stream.

    Args:
        rows: Makes the endless stream of rows, the same at each call.
        reader: Makes pictures of rows.
        collator: Makes batches.
        spread: Which images are this process's.
        numbers: The passes to make.
        prompts: Of each step; None: the vocabulary does not change.
    """

    def __init__(
        self,
        rows: Any,
        reader: RowReader,
        collator: Collator,
        spread: Spread,
        numbers: range,
        prompts: StepPrompts | None = None,
    ) -> None:
        self.rows = rows
        self.reader = reader
        self.collator = collator
        self.spread = spread
        self.numbers = numbers
        self.prompts = prompts

    def __iter__(self) -> Iterator[TrainingBatch]:
        """Yields the batches of this process."""
        rows, position = iter(self.rows()), 0
        for number in self.numbers:
            step, places = number // self.spread.accumulation, self.spread.places(number)
            start = step * self.spread.batch_size + places.start
            for _ in range(start - position):
                next(rows)
            position = start + len(places)
            samples = []
            for place in places:
                rng = np.random.default_rng((self.collator.seed, AUGMENTATION, step, place))
                samples.append(self.reader.read(next(rows), rng))
            yield _with_prompts(self.collator(samples, step, places), self.prompts, step)


class DrawnBatches(Dataset):
    """Batches of scenes that no one has seen before.

    Every fourth step holds a quarter of the scenes at twice the side: the same number of pixels,
    and objects farther apart.

    Args:
        samples: Draws scenes.
        collator: Makes batches.
        spread: Which scenes are this process's.
        prompts: Of each step; None: the vocabulary does not change.

    Raises:
        ValueError: If a quarter of the scenes cannot be spread evenly.
    """

    def __init__(
        self,
        samples: DrawnSamples,
        collator: Collator,
        spread: Spread,
        prompts: StepPrompts | None = None,
    ) -> None:
        self.samples = samples
        self.collator = collator
        self.spread = spread
        self.prompts = prompts
        replace(spread, batch_size=self._count(3))

    def __getitem__(self, number: int) -> TrainingBatch:
        """Draws the batch of a pass, counted from the start of the training."""
        step = number // self.spread.accumulation
        places = self.spread.places(number, self._count(step))
        samples = [
            self.samples.draw(step * self.spread.batch_size + place, _is_large(step))
            for place in places
        ]
        return _with_prompts(self.collator(samples, step, places), self.prompts, step)

    def _count(self, step: int) -> int:
        return max(1, self.spread.batch_size // 4) if _is_large(step) else self.spread.batch_size


def _is_large(step: int) -> bool:
    return step % 4 == 3


def _with_prompts(batch: TrainingBatch, prompts: StepPrompts | None, step: int) -> TrainingBatch:
    if prompts is None:
        return batch
    return replace(batch, prompts=prompts.of_step(step))
