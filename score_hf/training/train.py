r"""Trains SCORE by a recipe, in any number of processes.

    accelerate launch -m score_hf.training.train isaid --dataset DIR --init-from DIR --output RUN

On CPUs, two processes:

    OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=1 torchrun --nproc_per_node 2 \
        -m score_hf.training.train drawn --output runs/score-tiny

A run that was stopped, however, goes on with the same command and `--resume`.
"""

import argparse
import math
import os
from pathlib import Path

import torch
import yaml
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration, set_seed

from ..conversion.hub import check_connection, check_repo_id, push_folder
from ..conversion.model_card import MeasuredResult
from ..modeling.loss_score import sum_class_weights
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.training_step import ScoreTrainingStep
from .batches import DROPOUT, KERNEL, Spread, TrainingBatch, seed_of
from .checkpoints import Checkpoints
from .model_folders import BEST, LAST, ModelFolders, is_sharded
from .parameters import (
    WeightAverage,
    average_kernel_gradient,
    freeze_unreached,
    freeze_visual_head,
    learning,
    learning_rate_factor,
    parameter_groups,
    set_kernel_apart,
    set_learning_rate,
)
from .periodic_evaluation import PeriodicEvaluation
from .recipe import Recipe, load_recipe, recipe_names
from .region_text import region_text_loss
from .run_log import RunLog, check_trackers
from .starting import start_model, start_vocabulary
from .training_set import TrainingSet


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="train", description="Trains SCORE by a recipe.", allow_abbrev=False
    )
    parser.add_argument(
        "recipe", help=f"a YAML file, or one of the package: {', '.join(recipe_names())}"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--push-to-hub", metavar="REPO", help="upload the model at the end")
    changes = parser.add_argument_group("instead of what the recipe says")
    changes.add_argument("--dataset", help="prepared training set: a folder or a hub id")
    changes.add_argument("--split", help="its split")
    changes.add_argument("--init-from", metavar="MODEL", help="folder, bundled model or hub id")
    changes.add_argument("--evaluate-on", metavar="DATASET", help="measure on it while training")
    changes.add_argument("--steps", type=int, help="optimiser steps")
    changes.add_argument(
        "--mixed-precision", choices=("no", "bf16", "fp16"), help="type of most computations"
    )
    changes.add_argument("--workers", type=int, help="data workers of each process; 0: none")
    changes.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any other field, such as optimizer.learning_rate=1e-4; may be repeated",
    )
    return parser.parse_args(arguments)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Reads the recipe and what the command line changes in it."""
    given = {
        "data.dataset": options.dataset,
        "data.split": options.split,
        "model.init_from": options.init_from,
        "evaluation.dataset": options.evaluate_on,
        "steps": options.steps,
        "mixed_precision": options.mixed_precision,
        "data.workers": options.workers,
    }
    changes = [f"{name}={value}" for name, value in given.items() if value is not None]
    return load_recipe(options.recipe, [*changes, *options.set])


def train(recipe: Recipe, output: Path, resume: bool = False) -> Path:
    """Trains a model.

    Args:
        recipe: What and how.
        output: Folder of the run: `recipe.yaml`, `log.jsonl`, `checkpoints/` to go on from,
            and the models `last` and, with an evaluation, `best`, which `from_pretrained` loads.
        resume: Whether to go on from the newest checkpoint, if there is one.

    Returns:
        The folder of the best model; without an evaluation, of the last.

    Raises:
        FloatingPointError: If the loss is no number any more; says on which images.
        ValueError: If the recipe cannot be followed here, or `output` holds another run.
    """
    # --- What is there -------------------------------------------------------------------------
    check_trackers(recipe.trackers)
    accelerator = start_processes(recipe, output)
    spread = Spread(
        recipe.batch_size,
        recipe.accumulation,
        accelerator.num_processes,
        accelerator.process_index,
    )
    checkpoints = Checkpoints(output / "checkpoints")
    if checkpoints.newest() is not None and not resume:
        raise ValueError(
            f"`output` {str(output)!r} holds a run already: go on with `--resume`, or give another."
        )
    training_set = TrainingSet(recipe)
    evaluation = PeriodicEvaluation(recipe.evaluation, recipe.steps)
    if recipe.evaluation.dataset is not None and is_sharded(accelerator):
        raise ValueError(
            "`recipe.evaluation` needs the whole model in each process: with FSDP or DeepSpeed "
            "leave it out and measure the saved model by `score-hf evaluate`."
        )

    # --- Model, vocabulary, optimiser ----------------------------------------------------------
    set_seed(recipe.seed)
    unwrapped, processor = start_model(recipe.model, accelerator.print)
    start_vocabulary(unwrapped, processor, training_set.classes)
    frozen = unwrapped.config.frozen_trunks
    freeze_unreached(unwrapped)
    if recipe.region_text_weight == 0:
        freeze_visual_head(unwrapped)
    set_kernel_apart(unwrapped)
    if recipe.gradient_checkpointing:
        # Transformers renames it.
        enable = getattr(unwrapped, "activation_checkpointing_enable", None)
        (enable or unwrapped.gradient_checkpointing_enable)()
    if recipe.compile:
        compile_parts(unwrapped)
    settings = recipe.optimizer
    optimizer = torch.optim.AdamW(
        parameter_groups(unwrapped, settings),
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
    )
    # The learning rate is a function of the step, and the loader begins at any step: neither is
    # prepared. (Accelerate would step a scheduler once for each process.)
    model, optimizer = accelerator.prepare(unwrapped, optimizer)
    average = None
    if recipe.ema_decay is not None:
        average = WeightAverage(unwrapped, recipe.ema_decay)
        accelerator.register_for_checkpointing(average)

    # --- Where it goes on ----------------------------------------------------------------------
    state = (checkpoints.load(accelerator) if resume else None) or {"step": 0, "best": None}
    first_step, evaluation.best = state["step"], state["best"]
    if accelerator.is_main_process:
        output.mkdir(parents=True, exist_ok=True)
        (output / "recipe.yaml").write_text(yaml.safe_dump(recipe.as_dict(), sort_keys=False))
    accelerator.wait_for_everyone()
    log = RunLog(accelerator, output, recipe.as_dict(), first_step, recipe.steps)
    batches = iter(training_set.loader(processor, spread, first_step, with_prompts=not frozen))
    folders = ModelFolders(output, training_set.classes, str(recipe.data.dataset))
    last_stages: list[torch.Tensor] = []
    if recipe.region_text_weight:
        unwrapped.general_trunk.register_forward_hook(
            lambda module, inputs, stages: last_stages.append(stages[-1])
        )

    # --- Steps ---------------------------------------------------------------------------------
    model.train()
    for step in range(first_step, recipe.steps):
        passes = [next(batches).to(accelerator.device) for _ in range(recipe.accumulation)]
        for batch in passes:
            for fault in batch.damaged:
                log.say(fault)
        shared = share_step(accelerator, unwrapped, recipe, spread, step, passes)
        rate = settings.learning_rate * learning_rate_factor(step, recipe.steps, recipe.schedule)
        set_learning_rate(optimizer, rate)
        figures = torch.zeros(5, device=accelerator.device)
        norm = None
        for number, batch in enumerate(passes):
            # Dropout alone depends on how the batch is spread.
            place = number * spread.num_processes + spread.process
            torch.manual_seed(seed_of(recipe.seed, DROPOUT, step, place))
            with accelerator.accumulate(model):
                vocabulary = {}
                if not frozen:
                    vocabulary["classifier"] = unwrapped.build_classifier(**batch.prompts)
                outputs = model(**batch.inputs, **vocabulary, step=shared[number])
                loss = outputs.loss
                if recipe.region_text_weight:
                    region_loss = recipe.region_text_weight * region_text_loss(
                        unwrapped,
                        last_stages.pop(),
                        vocabulary["classifier"],
                        batch.inputs["mask_labels"],
                        batch.inputs["class_labels"],
                        shared[number].num_objects,
                    )
                    loss = loss + region_loss
                    figures[4] += region_loss.detach()
                check_finite("loss", loss, step, [batch])
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    average_kernel_gradient(model, unwrapped)
                    norm = accelerator.clip_grad_norm_(
                        learning(model.parameters()), settings.largest_gradient_norm
                    )
                    # A scaler of float16 skips steps whose gradient is too large for it.
                    if accelerator.scaler is None:
                        check_finite("gradient", norm, step, passes)
                optimizer.step()
                optimizer.zero_grad()
            parts = [outputs.losses[f"loss_{kind}"] for kind in ("class", "mask", "dice")]
            figures[:4] += torch.stack([loss.detach(), *parts])
        if average is not None:
            average.update(unwrapped)
        log.advance()

        done = step + 1
        if done % recipe.log_every == 0 or done == recipe.steps:
            figures = accelerator.reduce(figures, "mean") / recipe.accumulation
            names = ("loss", "loss_class", "loss_mask", "loss_dice", "loss_region_text")
            row = dict(zip(names, figures.tolist(), strict=True))
            if not recipe.region_text_weight:
                del row["loss_region_text"]
            timing = {"learning_rate": rate, "seconds_per_step": log.seconds_per_step(done)}
            if norm is not None:
                row["gradient_norm"] = float(norm)
            log.write(done, {**row, **timing})
        saves = done % recipe.checkpoint_every == 0 or done == recipe.steps
        if saves or evaluation.is_due(done):
            if average is not None:
                average.swap(unwrapped)
            results, is_best = [], False
            if evaluation.is_due(done):
                measured = evaluation.measure(accelerator, unwrapped, processor)
                log.write(done, {f"evaluation/{name}": one for name, one in measured.items()})
                results, is_best = tell_results(recipe, measured), evaluation.improves(measured)
            folders.write(accelerator, model, processor, done, results, is_best)
            if average is not None:
                average.swap(unwrapped)
        if saves:
            checkpoints.save(accelerator, done, {"best": evaluation.best})
    log.close()
    return output / (LAST if evaluation.best is None else BEST)


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


def compile_parts(model: ScoreForInstanceSegmentation) -> None:
    """Compiles trunks and decoders in place; matching and losses could not be."""
    for name in ("general_trunk", "context_trunk", "pixel_decoder", "mask_decoder"):
        if hasattr(model, name):
            getattr(model, name).compile()


def tell_results(recipe: Recipe, measured: dict[str, float]) -> list[MeasuredResult]:
    """Tells the figure that the recipe goes by to the model's card."""
    evaluation, name = recipe.evaluation, Path(str(recipe.evaluation.dataset)).name
    value = measured[evaluation.metric]
    return [MeasuredResult(name, evaluation.split, evaluation.metric, value, name)]


def main() -> None:
    """Runs a training from the command line; what is wrong is told in one sentence."""
    options = read_options()
    try:
        recipe = recipe_of(options)
        if options.push_to_hub is not None:
            check_connection()
            check_repo_id(options.push_to_hub)
        folder = train(recipe, options.output, options.resume)
        if options.push_to_hub is not None and PartialState().is_main_process:
            print(*push_folder(folder, options.push_to_hub), sep="\n")
    except (FloatingPointError, OSError, ValueError) as error:
        raise SystemExit(f"train: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
