r"""Pre-trains trunks and text tower in CLIP's way, as a start for a training on few pictures.

    OMP_NUM_THREADS=2 python -m score_hf.training.pretrain small_aerial \
        --dataset isaid --captions aid_rsicd_captions --output runs/pretraining

A run that was stopped goes on with the same command and `--resume`; a training takes the result by
`--init-from runs/pretraining/last`.
"""

import argparse
from pathlib import Path
from typing import Any

from ..extras import missing_packages

# Told before the imports below would end in a traceback.
if __name__ == "__main__" and (
    missing := missing_packages("pre-training needs", "accelerate", "datasets")
):
    raise SystemExit(f"pretrain: {missing}")

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..data.loading import class_names, load_split
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.open_vocabulary import FIRST_LOGIT_SCALE, LARGEST_SCALE
from .batches import Spread
from .checkpoints import Checkpoints
from .image_text_pairs import CaptionedImages, ObjectCrops, PairBatches
from .model_folders import LAST, ModelFolders
from .parameters import (
    freeze_unreached,
    learning,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)
from .pretraining_recipe import (
    PRETRAINING_RECIPES,
    PretrainingRecipe,
    load_pretraining_recipe,
)
from .processes import own_folder
from .recipe import ScheduleRecipe
from .recipe_files import recipe_names
from .run_log import RunLog
from .starting import name_classes, start_model, start_vocabulary


class ContrastedTowers(nn.Module):
    """The parts of a model that CLIP's contrast trains: both image trunks against one text tower.

    Args:
        model: The model; its trunks must be free to learn, and their embedding spaces of one width.

    Raises:
        ValueError: If they are not.
    """

    def __init__(self, model: ScoreForInstanceSegmentation) -> None:
        super().__init__()
        config: Any = model.config
        if config.frozen_trunks or not config.uses_context:
            raise ValueError("`recipe.training` must have a context trunk and train its trunks.")
        if config.context_config.projection_dim != config.projection_dim:
            raise ValueError(
                "`recipe.training` must have one width of both embedding spaces, but "
                f"`context_config.projection_dim` is {config.context_config.projection_dim} and "
                f"`projection_dim` {config.projection_dim}."
            )
        self.general_trunk = model.general_trunk
        self.context_trunk = model.context_trunk
        self.text_tower = model.text_tower
        # The model compares nothing with the context trunk's embeddings: it has no scale for them.
        self.context_scale = nn.Parameter(torch.tensor(FIRST_LOGIT_SCALE))

    def forward(
        self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> Tensor:
        """Computes both trunks' contrasts with the sentences.

        Args:
            pixel_values: (pairs, 3, side, side).
            input_ids: (pairs, tokens).
            attention_mask: The same shape.
            labels: (pairs,), the same for pairs that say the same.

        Returns:
            The two losses, (2,).
        """
        tower = self.text_tower(input_ids=input_ids, attention_mask=attention_mask)
        texts = tower.text_embeds
        general = self.general_trunk.head(self.general_trunk(pixel_values)[-1].mean(dim=(2, 3)))
        context = self.context_trunk(pixel_values).cls
        return torch.stack(
            [
                contrast(general, texts, self.general_trunk.logit_scale, labels),
                contrast(context, texts, self.context_scale, labels),
            ]
        )


def contrast(images: Tensor, texts: Tensor, log_scale: Tensor, labels: Tensor) -> Tensor:
    """CLIP's loss, in which all pairs with one label fit one another.

    Args:
        images: (pairs, width), not normalised.
        texts: (pairs, width), not normalised.
        log_scale: Logarithm of the similarities' scale.
        labels: (pairs,).

    Returns:
        Mean of the cross-entropies over sentences for each picture and over pictures for each
        sentence.
    """
    images = nn.functional.normalize(images, dim=-1)
    texts = nn.functional.normalize(texts, dim=-1)
    logits = log_scale.exp().clamp(max=LARGEST_SCALE) * images @ texts.T
    fits = (labels[:, None] == labels[None]).to(logits.dtype)
    targets = fits / fits.sum(dim=1, keepdim=True)
    cross_entropy = nn.functional.cross_entropy
    return (cross_entropy(logits, targets) + cross_entropy(logits.T, targets)) / 2


def pretrain(recipe: PretrainingRecipe, output: Path, resume: bool = False) -> Path:
    """Pre-trains a model's towers; everything else of it stays random.

    Args:
        recipe: What and how.
        output: Folder of the run: `recipe.yaml`, `log.jsonl`, `checkpoints/` and the model `last`.
        resume: Whether to go on from the newest checkpoint, if there is one.

    Returns:
        The folder of the model.

    Raises:
        ValueError: If the recipe cannot be followed, or `output` holds another run.
    """
    accelerator = Accelerator(
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)]
    )
    checkpoints = Checkpoints(output / "checkpoints")
    if checkpoints.newest() is not None and not resume:
        raise ValueError(
            f"`output` {str(output)!r} holds a run already: go on with `--resume`, or give another."
        )
    training = recipe.training_recipe()
    data = training.data
    if data.dataset is None:
        raise ValueError(
            "`recipe.dataset` must name the prepared set of objects (or give `--dataset`)."
        )
    rows = load_split(data.dataset, data.split, argument="recipe.dataset")
    classes = name_classes(class_names(rows), data.class_names, "recipe.data.class_names")
    captioned = None if recipe.captions is None else CaptionedImages(Path(recipe.captions))

    set_seed(training.seed)
    model, processor = start_model(training.model, accelerator.print)
    start_vocabulary(model, processor, classes)
    freeze_unreached(model)
    towers = ContrastedTowers(model)
    settings = training.optimizer
    optimizer = torch.optim.AdamW(
        parameter_groups(towers, settings),
        lr=recipe.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
    )
    prepared, optimizer = accelerator.prepare(towers, optimizer)

    first_step = ((checkpoints.load(accelerator) if resume else None) or {"step": 0})["step"]
    if accelerator.is_main_process:
        output.mkdir(parents=True, exist_ok=True)
        plain = yaml.safe_dump(recipe.as_dict(), sort_keys=False)
        (output / "recipe.yaml").write_text(plain, encoding="utf-8")
    accelerator.wait_for_everyone()
    log = RunLog(accelerator, output, recipe.as_dict(), first_step, recipe.steps)
    folders = ModelFolders(
        output, classes, "pictures and sentences, its trunks and text tower only"
    )
    batches = PairBatches(
        ObjectCrops(rows, classes, processor.templates),
        captioned,
        recipe.caption_share,
        processor,
        recipe.image_size,
        Spread(recipe.batch_size, 1, accelerator.num_processes, accelerator.process_index),
        training.seed,
    )
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_step, recipe.steps),
        num_workers=recipe.workers,
    )
    schedule = ScheduleRecipe("cosine", recipe.warmup_steps)
    prepared.train()
    for done, batch in enumerate(loader, first_step + 1):
        factor = learning_rate_factor(done - 1, recipe.steps, schedule)
        set_learning_rate(optimizer, recipe.learning_rate * factor)
        inputs = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
        losses = prepared(**inputs)
        accelerator.backward(losses.sum())
        norm = accelerator.clip_grad_norm_(
            learning(towers.parameters()), settings.largest_gradient_norm
        )
        optimizer.step()
        optimizer.zero_grad()
        log.advance()
        if done % recipe.log_every == 0 or done == recipe.steps:
            general, context = accelerator.reduce(losses.detach(), "mean").tolist()
            figures = {"loss": general + context, "loss_general": general, "loss_context": context}
            figures |= {
                "learning_rate": recipe.learning_rate * factor,
                "gradient_norm": float(norm),
            }
            log.write(done, {**figures, "seconds_per_step": log.seconds_per_step(done)})
        if done % recipe.checkpoint_every == 0 or done == recipe.steps:
            folders.write(accelerator, model, processor, done, [], False)
            checkpoints.save(accelerator, done, {})
    log.close()
    return output / LAST


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="pretrain", description="Pre-trains trunks and text tower.", allow_abbrev=False
    )
    known = ", ".join(recipe_names(PRETRAINING_RECIPES))
    parser.add_argument("recipe", help=f"a YAML file, or one of the package: {known}")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    changes = parser.add_argument_group("instead of what the recipe says")
    changes.add_argument("--dataset", help="prepared set whose objects are cropped")
    changes.add_argument("--captions", help="folder of captioned images, with captions.jsonl")
    changes.add_argument("--steps", type=int, help="optimiser steps")
    changes.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="any other field"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Runs a pre-training from the command line; what is wrong is told in one sentence."""
    options = read_options()
    given = {name: getattr(options, name) for name in ("dataset", "captions", "steps")}
    changes = [f"{name}={value}" for name, value in given.items() if value is not None]
    try:
        recipe = load_pretraining_recipe(options.recipe, [*changes, *options.set])
        with own_folder(options.output):
            pretrain(recipe, options.output, options.resume)
    except (OSError, ValueError) as error:
        raise SystemExit(f"pretrain: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
