"""Recipes: everything that determines a training, in one small file."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..modeling.configuration_score import ScoreConfig
from .recipe_files import demand, read_values
from .strict_fields import make_strictly, nearest


@dataclass(frozen=True)
class ModelRecipe:
    """Where the training starts.

    Args:
        init_from: A folder, bundled model or hub id, whose configuration and processor are taken
            and whose weights are, as far as they fit; "tiny" or "small": the architecture of
            `score-tiny` or of `score-small-aerial`, random throughout. Of several the first gives
            configuration and processor, and each of the others fills what is random still, such as
            FC-CLIP's decoder in a converted pair of CLIPs.
        config: Fields of the configuration that are to differ; see [`ScoreConfig`].
    """

    init_from: str | tuple[str, ...] | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {one.name for one in dataclasses.fields(ScoreConfig)}
        for name in self.config:
            if name not in known:
                raise ValueError(
                    f"`recipe.model.config` has no field {name!r}; {nearest(name, known)}"
                )

    @property
    def sources(self) -> tuple[str, ...]:
        """What to start from, one after another."""
        one = self.init_from
        return (one,) if isinstance(one, str) else one or ()


@dataclass(frozen=True)
class AugmentationRecipe:
    """Large-scale jitter, as detectron2 does it.

    Args:
        crop_size: Side of the training pictures in pixels.
        scale: The picture is resized to fit a square of `crop_size` times a number between these.
        flip: Probability of a horizontal flip.
        quarter_turns: Whether crops are also turned by a random number of quarter turns: seen from
            above there is no up.
        crops: Where they lie. "diagonal": as in detectron2, where one number serves both axes.
            "objects": around an object of a class of the picture, each class as often as another.
    """

    crop_size: int = 512
    scale: tuple[float, float] = (0.1, 2.0)
    flip: float = 0.5
    quarter_turns: bool = False
    crops: Literal["diagonal", "objects"] = "diagonal"

    def __post_init__(self) -> None:
        demand(self.crop_size > 0, "data.augmentation.crop_size", "positive", self.crop_size)
        low, high = self.scale
        demand(0 < low <= high, "data.augmentation.scale", "positive and rising", list(self.scale))
        demand(0 <= self.flip <= 1, "data.augmentation.flip", "between 0 and 1", self.flip)


@dataclass(frozen=True)
class DataRecipe:
    """What is trained on.

    Args:
        dataset: A folder that `score-hf prepare` wrote or a hub id; "drawn": scenes drawn on the
            fly, each seen once.
        split: Which part of it.
        streaming: Whether to read it in order while training instead of unpacking it first.
        shuffle_buffer: Of how many rows a stream draws the next one.
        skip_empty: Whether images without objects are left out, as in the original.
        damaged_images: What an image that cannot be read does: "stop" the training, or be
            replaced by another of the set and named in the log.
        augmentation: None: pictures as they are.
        workers: Processes that prepare batches, for each process of the training; 0: none. A
            stream has one at most.
        class_names: What the text tower reads for a class, by its name in the set; commas
            separate synonyms. Classes that are not here go by their names.
        drawn_size: Side of drawn scenes in pixels. Every fourth batch holds a quarter of the
            scenes at twice the side.
    """

    dataset: str | None = None
    split: str = "train"
    streaming: bool = False
    shuffle_buffer: int = 1000
    skip_empty: bool = True
    damaged_images: Literal["stop", "skip"] = "stop"
    augmentation: AugmentationRecipe | None = field(default_factory=AugmentationRecipe)
    workers: int = 4
    class_names: dict[str, str] = field(default_factory=dict)
    drawn_size: int = 256

    def __post_init__(self) -> None:
        demand(self.workers >= 0, "data.workers", "0 or more", self.workers)
        demand(self.shuffle_buffer > 0, "data.shuffle_buffer", "positive", self.shuffle_buffer)
        if self.streaming and self.damaged_images == "skip":
            raise ValueError(
                "`recipe.data.damaged_images` must be 'stop' with `streaming`: a stream cannot "
                "give another image instead."
            )


@dataclass(frozen=True)
class PromptRecipe:
    """How classes are named while the text tower learns; a frozen one always reads everything.

    Args:
        one_synonym: Whether each step draws one of a class's synonyms instead of taking all.
        templates: How many of the processor's templates each step draws; None: all.
    """

    one_synonym: bool = False
    templates: int | None = None

    def __post_init__(self) -> None:
        if self.templates is not None:
            demand(self.templates > 0, "prompts.templates", "positive", self.templates)


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW with a clipped gradient.

    Args:
        learning_rate: At its highest.
        weight_decay: Of all parameters but those of norms and embeddings.
        decay_vectors: Whether biases and other vectors decay, as in the original.
        betas: Decay of the two running means.
        epsilon: Added to the denominator.
        largest_gradient_norm: The norm of the whole gradient is clipped to this.
    """

    learning_rate: float = 1.25e-5
    weight_decay: float = 0.05
    decay_vectors: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    largest_gradient_norm: float = 0.01

    def __post_init__(self) -> None:
        for name in ("learning_rate", "largest_gradient_norm", "epsilon"):
            value = getattr(self, name)
            demand(0 < value < math.inf, f"optimizer.{name}", "positive and finite", value)
        decay, betas = self.weight_decay, self.betas
        demand(0 <= decay < math.inf, "optimizer.weight_decay", "0 or more and finite", decay)
        below_one = all(0 <= beta < 1 for beta in betas)
        demand(below_one, "optimizer.betas", "0 or more and less than 1", list(betas))


@dataclass(frozen=True)
class ScheduleRecipe:
    """How the learning rate changes.

    Args:
        kind: "steps": falls at `milestones`. "cosine": falls along half a cosine to 0.
        warmup_steps: Optimiser steps of a linear rise at the start.
        milestones: Shares of the training after which the rate is multiplied by `factor`.
        factor: That factor.
    """

    kind: Literal["steps", "cosine"] = "steps"
    warmup_steps: int = 0
    milestones: tuple[float, ...] = (0.9, 0.95)
    factor: float = 0.1

    def __post_init__(self) -> None:
        demand(self.warmup_steps >= 0, "schedule.warmup_steps", "0 or more", self.warmup_steps)
        shares = all(0 <= share <= 1 for share in self.milestones)
        demand(shares, "schedule.milestones", "between 0 and 1", list(self.milestones))
        demand(0 <= self.factor <= 1, "schedule.factor", "between 0 and 1", self.factor)


@dataclass(frozen=True)
class EvaluationRecipe:
    """What is measured during the training; the model with the best figure is kept.

    Args:
        dataset: A folder that `score-hf prepare` wrote or a hub id; None: nothing is measured.
        split: Which part of it.
        every: Optimiser steps between evaluations; there is one at the end as well.
        task: None: what the dataset is made for.
        metric: Which figure is to be high.
        alpha: Weight of the out-of-vocabulary scores for classes trained on; None: the model's.
        beta: The same for other classes.
        class_names: Names to ask for, as in `data`.
    """

    dataset: str | None = None
    split: str = "val"
    every: int = 50_000
    task: Literal["instance", "semantic", "panoptic"] | None = None
    metric: str = "AP"
    alpha: float | None = None
    beta: float | None = None
    class_names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand(self.every > 0, "evaluation.every", "positive", self.every)
        for name in ("alpha", "beta"):
            weight = getattr(self, name)
            demand(
                weight is None or 0 <= weight <= 1, f"evaluation.{name}", "between 0 and 1", weight
            )


@dataclass(frozen=True)
class Recipe:
    """A training.

    Args:
        steps: Optimiser steps (the paper's iterations).
        batch_size: Images of one optimiser step, over all processes and accumulated passes.
        accumulation: Passes one after another that make up a step in each process.
        seed: Of everything random.
        mixed_precision: "no", "bf16", or the original's "fp16"; on a CPU that is "no".
        cached_contexts: Of how many pictures the frozen context trunk's features are kept in
            memory, in case the same pixels come again: without augmentation, or in an overfitting
            test. The classifier of a frozen text tower is always computed just once.
        gradient_checkpointing: Whether layers are computed again in the backward pass to save
            memory.
        compile: Whether trunks and decoders are compiled by `torch.compile`.
        ema_decay: Decay of a running mean of the weights, which is then measured and kept; None:
            the weights themselves are.
        region_text_weight: Weight of a loss that teaches free trunks to agree on objects, as
            CLIP's pretraining has taught the frozen ones.
        log_every: Steps between rows of the log.
        checkpoint_every: Steps between checkpoints, from which a training is resumed.
        trackers: Names that Accelerate knows, such as tensorboard, trackio and wandb.
        model: Where the training starts.
        data: What is trained on.
        prompts: How classes are named.
        optimizer: AdamW.
        schedule: Of the learning rate.
        evaluation: During the training.
    """

    steps: int
    batch_size: int = 2
    accumulation: int = 1
    seed: int = 42
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    cached_contexts: int = 0
    gradient_checkpointing: bool = False
    compile: bool = False
    ema_decay: float | None = None
    region_text_weight: float = 0.0
    log_every: int = 20
    checkpoint_every: int = 5000
    trackers: tuple[str, ...] = ("tensorboard",)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    prompts: PromptRecipe = field(default_factory=PromptRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    evaluation: EvaluationRecipe = field(default_factory=EvaluationRecipe)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "log_every", "checkpoint_every"):
            demand(getattr(self, name) > 0, name, "positive", getattr(self, name))
        demand(0 <= self.seed < 1 << 32, "seed", "from 0 to 2**32 - 1", self.seed)
        demand(self.cached_contexts >= 0, "cached_contexts", "0 or more", self.cached_contexts)
        if self.ema_decay is not None:
            demand(0 < self.ema_decay < 1, "ema_decay", "between 0 and 1", self.ema_decay)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as YAML writes them."""
        return _plain(dataclasses.asdict(self))

    def differences(self, other: "Recipe") -> list[str]:
        """Names the fields in which another recipe is different, such as "data.split"."""
        ours, theirs = _flat(self.as_dict()), _flat(other.as_dict())
        return [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and what it is based on.

    A recipe with `base: isaid` (a name of the package, or a file beside it) states only what
    differs: mappings are merged, everything else is replaced.

    Args:
        source: The name of a recipe of the package, or a YAML file.
        changes: Further differences, such as "optimizer.learning_rate=1e-4"; values are YAML.

    Returns:
        The recipe.

    Raises:
        ValueError: If there is no such recipe, or something in it is unknown or not valid.
    """
    return make_strictly(Recipe, read_values(source, changes), "recipe")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat
