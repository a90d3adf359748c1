"""The processes of a training, and what they must agree on in each step."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration

from ..modeling.loss_score import sum_class_weights
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.training_step import ScoreTrainingStep
from ..output_places import exclusively, make_folder
from .batches import Spread, TrainingBatch
from .recipe import Recipe
from .seeds import KERNEL, seed_of


@contextmanager
def own_folder(output: Path) -> Iterator[None]:
    """Makes the folder of a run and keeps other trainings out of it.

    Args:
        output: The folder.

    Raises:
        ValueError: If it cannot be made, or another training is at it.
        SystemExit: If the user stops the run, after a sentence on how it goes on.
    """
    make_folder(output)
    is_first = int(os.environ.get("RANK", "0")) == 0
    busy = (
        f"`--output` {str(output)!r}: another training writes to it; if it is one whose launcher "
        "was killed, end its processes first."
    )
    with exclusively(output / ".training.lock", busy) if is_first else nullcontext():
        try:
            yield
        except KeyboardInterrupt:
            if is_first:
                print(
                    "Stopped: the same command with `--resume` goes on from the newest checkpoint.",
                    file=sys.stderr,
                )
            # As a shell says it of Ctrl-C.
            raise SystemExit(130) from None


def start_processes(recipe: Recipe, output: Path) -> Accelerator:
    """Joins the processes that were launched.

    Raises:
        ValueError: If they do not find each other.
    """
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision,
        gradient_accumulation_steps=recipe.accumulation,
        log_with=list(recipe.trackers) or None,
        project_config=ProjectConfiguration(str(output), logging_dir=str(output / "logs")),
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    # A launcher's configuration would go before the recipe.
    accelerator.gradient_accumulation_steps = recipe.accumulation
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != accelerator.num_processes:
        raise ValueError(
            f"{launched} processes were launched, but Accelerate knows of "
            f"{accelerator.num_processes}: on CPUs launch with `torchrun` and ACCELERATE_USE_CPU=1."
        )
    if recipe.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        accelerator.print("float16 needs a GPU: this training computes in float32.")
    if accelerator.state.deepspeed_plugin is not None:
        # Which it would otherwise read from a prepared loader.
        images = recipe.batch_size // (recipe.accumulation * accelerator.num_processes)
        settings = accelerator.state.deepspeed_plugin.deepspeed_config
        settings["train_micro_batch_size_per_gpu"] = images
    return accelerator


def share_step(
    accelerator: Accelerator,
    model: ScoreForInstanceSegmentation,
    recipe: Recipe,
    spread: Spread,
    step: int,
    passes: list[TrainingBatch],
) -> list[ScoreTrainingStep]:
    """Counts the objects of a whole step, over all processes, before any of it is computed.

    Args:
        accelerator: Connects the processes.
        model: Gives the number of queries.
        recipe: Gives the seed.
        spread: How many passes there are.
        step: The optimiser step.
        passes: This process's batches.

    Returns:
        What each of these passes must know.
    """
    counts = [labels.numel() for batch in passes for labels in batch.inputs["class_labels"]]
    queries, no_object = model.config.num_queries, model.config.no_object_weight
    weights = sum(sum_class_weights(count, queries, no_object) for count in counts)
    totals = torch.tensor([float(sum(counts)), weights], device=accelerator.device)
    objects, weights = (accelerator.reduce(totals, "sum") / spread.passes).tolist()
    return [
        ScoreTrainingStep(
            num_objects=objects,
            class_weights=weights,
            seed=seed_of(recipe.seed, KERNEL, step),
            image_seeds=batch.seeds,
            first_pass=number == 0,
        )
        for number, batch in enumerate(passes)
    ]


def check_finite(
    what: str, value: torch.Tensor | None, step: int, batches: list[TrainingBatch]
) -> None:
    """Stops at a number that is none, before it spoils the weights.

    Args:
        what: "loss" or "gradient".
        value: The loss or the gradient's norm; None: nothing was computed.
        step: The optimisation step.
        batches: What it was computed from.

    Raises:
        FloatingPointError: If it is infinite or not a number.
    """
    if value is None or math.isfinite(number := value.item()):
        return
    images = ", ".join(
        f"{image_id} ({name})"
        for batch in batches
        for image_id, name in zip(batch.image_ids, batch.names, strict=True)
    )
    raise FloatingPointError(
        f"The {what} became {number} at step {step + 1} on the images {images}; the newest "
        "checkpoint is from before."
    )
