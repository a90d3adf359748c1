r"""Trains SCORE by a recipe, in any number of processes.

    accelerate launch --quiet -m score_hf.training.train isaid \
        --dataset DIR --init-from DIR --output RUN

On CPUs, two processes:

    OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=1 torchrun --nproc_per_node 2 \
        -m score_hf.training.train drawn --output runs/score-tiny

A run that was stopped in whatever way goes on with the same command and `--resume`.
"""

import argparse
import json
from collections import deque
from pathlib import Path

from ..extras import missing_packages

# Told before the imports below would end in a traceback.
if __name__ == "__main__" and (
    missing := missing_packages("training needs", "accelerate", "datasets", "scipy")
):
    raise SystemExit(f"train: {missing}")

import torch
import yaml
from accelerate import PartialState
from accelerate.utils import set_seed

from ..conversion.hub import check_connection, check_repo_id, push_folder
from ..conversion.model_card import MeasuredResult
from .batches import Spread
from .checkpoints import Checkpoints
from .model_folders import BEST, LAST, ModelFolders
from .parameters import (
    WeightAverage,
    average_kernel_gradient,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)
from .periodic_evaluation import PeriodicEvaluation
from .processes import check_finite, own_folder, share_step, start_processes
from .recipe import Recipe, load_recipe
from .recipe_files import recipe_names
from .region_text import region_text_loss
from .run_log import RunLog, check_trackers
from .seeds import DROPOUT, seed_of
from .sharding import prepare_sharding
from .starting import fit_out, source_models, start_model, start_vocabulary
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
    changes.add_argument(
        "--init-from",
        action="append",
        metavar="MODEL",
        help="folder, bundled model or hub id; given again, one that fills what is random still",
    )
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
    sources = options.init_from or [None]
    given = {
        "data.dataset": options.dataset,
        "data.split": options.split,
        "model.init_from": sources[0] if len(sources) == 1 else json.dumps(sources),
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

    # --- Model, vocabulary, optimiser ----------------------------------------------------------
    set_seed(recipe.seed)
    unwrapped, processor = start_model(recipe.model, accelerator.print)
    start_vocabulary(unwrapped, processor, training_set.classes)
    frozen = unwrapped.config.frozen_trunks
    fit_out(unwrapped, recipe)
    prepare_sharding(accelerator, unwrapped, recipe)
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

    # --- Where it goes on ----------------------------------------------------------------------
    state = (checkpoints.load(accelerator, average) if resume else None) or {
        "step": 0,
        "best": None,
    }
    first_step, evaluation.best = state["step"], state["best"]
    if accelerator.is_main_process:
        write_recipe(recipe, output, first_step)
    accelerator.wait_for_everyone()
    log = RunLog(accelerator, output, recipe.as_dict(), first_step, recipe.steps)
    batches = iter(training_set.loader(processor, spread, first_step, with_prompts=not frozen))
    folders = ModelFolders(
        output, training_set.classes, str(recipe.data.dataset), source_models(recipe.model)
    )
    # The newest only: evaluations pass through the trunk as well.
    last_stages: deque[torch.Tensor] = deque(maxlen=1)
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
                    # All of them: of another list FSDP would clip each process's part by itself.
                    norm = accelerator.clip_grad_norm_(
                        model.parameters(), settings.largest_gradient_norm
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
            results: list[MeasuredResult] = []
            is_best = False
            if evaluation.is_due(done):
                measured = evaluation.measure(accelerator, unwrapped, processor)
                log.write(done, {f"evaluation/{name}": one for name, one in measured.items()})
                results = evaluation.results(measured)
                is_best = evaluation.improves(measured)
            folders.write(accelerator, model, processor, done, results, is_best)
            if average is not None:
                average.swap(unwrapped)
        if saves:
            checkpoints.save(accelerator, done, {"best": evaluation.best}, average)
    log.close()
    return output / (LAST if evaluation.best is None else BEST)


def write_recipe(recipe: Recipe, output: Path, first_step: int) -> None:
    """Keeps the recipe with the run; tells where one goes on by another than it began with."""
    path = output / "recipe.yaml"
    if first_step and path.is_file() and (began := load_recipe(path)) != recipe:
        for name in recipe.differences(began):
            print(f"This run goes on with another `{name}` than it began with.")
    output.mkdir(parents=True, exist_ok=True)
    # At once: a half-written one would keep a run that was killed from going on.
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump(recipe.as_dict(), sort_keys=False), encoding="utf-8")
    new.replace(path)


def main() -> None:
    """Runs a training from the command line; what is wrong is told in one sentence."""
    options = read_options()
    try:
        recipe = recipe_of(options)
        if options.push_to_hub is not None:
            check_connection()
            check_repo_id(options.push_to_hub)
        with own_folder(options.output):
            folder = train(recipe, options.output, options.resume)
        if options.push_to_hub is not None and PartialState().is_main_process:
            print(*push_folder(folder, options.push_to_hub), sep="\n")
    except (FloatingPointError, OSError, ValueError) as error:
        raise SystemExit(f"train: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
