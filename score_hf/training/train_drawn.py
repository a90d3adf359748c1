r"""Trains `score-tiny`, the bundled demonstration model, on drawn scenes.

    python -m score_hf.training.train_drawn --output runs/score-tiny

On two CPU cores two processes of one thread each are faster than one of two:

    OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=1 torchrun --nproc_per_node 2 \
        -m score_hf.training.train_drawn --output runs/score-tiny --batch-size 4

Nothing pretrained is used: trunks, text tower and decoders learn together. A run that was
stopped goes on with `--resume`.
"""

import argparse
import copy
import json
import math
import shutil
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .. import ScoreForInstanceSegmentation, ScoreProcessor
from ..drawn_scenes import DRAWN_VOCABULARY
from ..modeling.layers import pool_in_masks
from .drawn_batches import CLASS_NAMES, DrawnBatches
from .tiny_architecture import tiny_config, tiny_processor


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Trains score-tiny on drawn scenes.")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=4000, help="optimiser steps")
    parser.add_argument("--batch-size", type=int, default=8, help="scenes of one process")
    parser.add_argument("--size", type=int, default=256, help="side of a scene, pixels")
    parser.add_argument("--learning-rate", type=float, default=7e-4, help="at its highest")
    parser.add_argument("--warmup-steps", type=int, default=200)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--clip", type=float, default=2.0, help="largest total gradient norm")
    parser.add_argument("--templates", type=int, default=2, help="templates drawn a step")
    parser.add_argument("--checkpoint-every", type=int, default=200, help="steps")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw scenes")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--resume", action="store_true", help="go on where the run was stopped")
    return parser.parse_args()


def learning_rate_factor(step: int, warmup_steps: int, steps: int) -> float:
    """Rises linearly, then falls along half a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Splits the parameters: vectors and embeddings are not decayed."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    parameters = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1 and id(p) not in embeddings]
    rest = [p for p in parameters if p.ndim <= 1 or id(p) in embeddings]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0}]


def region_text_loss(
    model: ScoreForInstanceSegmentation, last_stage: Tensor, batch: dict
) -> Tensor:
    """Teaches trunk and text tower to agree on objects, as CLIP's pretraining would have.

    Each object's trunk features, averaged over its true mask, are compared with all names. The
    out-of-vocabulary scores come from here; SCORE's own losses never see them.

    Args:
        model: The model in training.
        last_stage: (batch, channels, h, w), what its general trunk made of the batch.
        batch: Names and labels of the batch.

    Returns:
        The cross-entropy over names, a mean over objects.
    """
    classifier = model.build_classifier(
        batch["input_ids"], batch["attention_mask"], batch["class_ids"], batch["seen_classes"]
    )
    embeddings = []
    for features, masks in zip(last_stage, batch["mask_labels"], strict=True):
        # Shares of each cell, so that objects smaller than one count as well.
        shares = nn.functional.adaptive_avg_pool2d(masks, features.shape[-2:])
        embeddings.append(pool_in_masks(features[None], shares[None])[0])
    embedded = nn.functional.normalize(model.general_trunk.head(torch.cat(embeddings)), dim=-1)
    scale = model.general_trunk.logit_scale.exp().clamp(max=100)
    logits = scale * torch.einsum("oc,nc->on", embedded, classifier.embeddings)
    return nn.functional.cross_entropy(logits, torch.cat(batch["class_labels"]))


def save_model(
    model: ScoreForInstanceSegmentation, processor: ScoreProcessor, folder: Path
) -> None:
    """Saves the model with its own vocabulary, as float16 that loads as float32."""
    names = [", ".join(synonyms) for synonyms in DRAWN_VOCABULARY.values()]
    shipped = copy.deepcopy(model).eval()
    with torch.no_grad():
        classifier = shipped.build_classifier(**processor.tokenize_classes(names))
    shipped.store_vocabulary(classifier, list(CLASS_NAMES))
    shipped.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    # The package that ships the model has its code already.
    for file in folder.glob("*.py"):
        file.unlink()
    for file in folder.glob("*.json"):
        settings = json.loads(file.read_text())
        settings.pop("auto_map", None)
        settings.get("image_processor", {}).pop("auto_map", None)
        if file.name == "config.json":
            settings["dtype"] = "float32"
        file.write_text(json.dumps(settings, indent=2) + "\n")


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Writes beside the last checkpoint, then takes its place."""
    unfinished = folder.with_name("unfinished")
    accelerator.save_state(str(unfinished))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (unfinished / "step.json").write_text(json.dumps({"step": step}))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    accelerator.wait_for_everyone()


def main() -> None:
    """Trains, and writes checkpoints, a log and the model."""
    arguments = parse_arguments()
    set_seed(arguments.seed)
    accelerator = Accelerator()
    processor = tiny_processor()
    model = ScoreForInstanceSegmentation(tiny_config(processor.tokenizer))
    # The last block runs without attention: nothing would ever reach these.
    last_attention = model.context_trunk.vision_model.encoder.layers[-1].self_attn
    last_attention.q_proj.requires_grad_(False)
    last_attention.k_proj.requires_grad_(False)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, arguments.weight_decay), lr=arguments.learning_rate
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: learning_rate_factor(step, arguments.warmup_steps, arguments.steps),
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    # Not prepared: Accelerate would step it once for each process.
    accelerator.register_for_checkpointing(scheduler)
    checkpoint, first_step = arguments.output / "checkpoint", 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.resume and checkpoint.exists():
        accelerator.load_state(str(checkpoint))
        first_step = json.loads((checkpoint / "step.json").read_text())["step"]

    batches = DrawnBatches(
        processor,
        arguments.batch_size,
        arguments.size,
        arguments.templates,
        first_step,
        arguments.steps,
        accelerator.process_index,
        accelerator.num_processes,
    )
    # A generator of its own: starting to load must not use up the restored random numbers.
    loader = DataLoader(
        batches, batch_size=None, num_workers=arguments.workers, generator=torch.Generator()
    )
    stages: list[list[Tensor]] = []
    unwrapped = accelerator.unwrap_model(model)
    unwrapped.general_trunk.register_forward_hook(lambda _, __, output: stages.append(output))
    model.train()
    started = time.monotonic()
    bar = tqdm(
        loader,
        initial=first_step,
        total=arguments.steps,
        desc="training",
        disable=not accelerator.is_main_process,
    )
    with (arguments.output / "log.jsonl").open("a") as log:
        for step, batch in enumerate(bar, start=first_step + 1):
            batch = _to_device(batch, accelerator.device)
            output = model(**batch)
            region_loss = region_text_loss(unwrapped, stages.pop()[-1], batch)
            accelerator.backward(output.loss + region_loss)
            norm = accelerator.clip_grad_norm_(model.parameters(), arguments.clip)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            if not math.isfinite(loss := output.loss.item()):
                raise RuntimeError(f"The loss became {loss} at step {step}; see the log.")
            bar.set_postfix(loss=f"{loss:.2f}")
            if step % 20 == 0 and accelerator.is_main_process:
                row = {
                    "step": step,
                    "seconds": round(time.monotonic() - started, 1),
                    "learning_rate": scheduler.get_last_lr()[0],
                    "gradient_norm": float(norm),
                    "loss": loss,
                    "loss_region_text": region_loss.item(),
                    **{name: value.item() for name, value in output.losses.items()},
                }
                log.write(json.dumps(row) + "\n")
                log.flush()
            if step % arguments.checkpoint_every == 0 or step == arguments.steps:
                save_checkpoint(accelerator, checkpoint, step)
                if accelerator.is_main_process:
                    save_model(unwrapped, processor, arguments.output / "model")


def _to_device(batch: dict, device: torch.device) -> dict:
    return {
        name: [part.to(device) for part in value] if isinstance(value, list) else value.to(device)
        for name, value in batch.items()
    }


if __name__ == "__main__":
    main()
