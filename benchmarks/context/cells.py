"""One cell of the grid: a training by the package's own code, and what the model then knows.

All methods start alike, as in the paper with frozen trunks: from `score-tiny`, whose trunks and
decoders know how drawn scenes look, but with context modules that are random, the same for each
method of a seed.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from score_hf import ScoreForInstanceSegmentation
from score_hf.data.loading import load_split
from score_hf.data.records import ImageRecord, ObjectRecord, SourceSplit
from score_hf.data.writing import write_split
from score_hf.evaluation.confusion import confused_classes
from score_hf.evaluation.evaluator import evaluate_model
from score_hf.loading import load_model
from score_hf.processing.coco_masks import encode_mask
from score_hf.processing.processing_score import ScoreProcessor
from score_hf.training.recipe import (
    DataRecipe,
    ModelRecipe,
    OptimizerRecipe,
    Recipe,
    ScheduleRecipe,
)
from score_hf.training.train import train

from .looks import CLASS_NAMES
from .methods import config_of
from .scenes import KINDS, ContextScene, draw_context_scene

START = "score-tiny"
FIRST_SEED = {"train": 0, "val": 1_000_000_000}


@dataclass(frozen=True)
class Budget:
    """What every method gets.

    Args:
        steps: Optimiser steps.
        batch_size: Scenes of a step.
        side: Of a scene, in pixels.
        train_scenes: Different scenes to train on.
        val_scenes: Scenes to measure on.
        learning_rate: At its highest.
    """

    steps: int
    batch_size: int
    side: int
    train_scenes: int
    val_scenes: int
    learning_rate: float


@dataclass(frozen=True)
class Cell:
    """What is trained and measured: a method on scenes of a kind, with one seed."""

    method: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Such as "score-0.5-0"; the folder of its training."""
        return f"{self.method}-{self.share}-{self.seed}"


def run_cell(cell: Cell, budget: Budget, work: Path) -> dict[str, Any]:
    """Trains and measures; a training that was stopped goes on.

    Args:
        cell: What.
        budget: How long, and on how much.
        work: Folder for sets, starting points and the run.

    Returns:
        AP and AP50; for each kind of objects how many there are, were found, and were called
        right; in what share of queries another scene's context changes the best class.
    """
    dataset = draw_sets(cell.share, budget, work)
    start = write_start(work / f"start-{cell.seed}", cell.seed)
    recipe = recipe_of(cell, budget, dataset, start)
    folder = train(recipe, work / cell.name, resume=True)
    model, processor = load_model(folder, device="cpu")
    return measure(model, processor, dataset, cell.share, budget)


def draw_sets(share: float, budget: Budget, work: Path) -> Path:
    """Draws the scenes, unless they are there."""
    folder = work / f"scenes-{share}"
    for split, scenes in (("train", budget.train_scenes), ("val", budget.val_scenes)):
        first = FIRST_SEED[split]
        source = SourceSplit(
            name="context scenes",
            split=split,
            class_names=CLASS_NAMES,
            kind="instance",
            keys=range(first, first + scenes),
            read=partial(_read, side=budget.side, share=share),
            settings={"side": str(budget.side), "share": str(share)},
        )
        write_split(source, folder)
    return folder


def _read(seed: int, side: int, share: float) -> Iterator[ImageRecord]:
    scene = draw_context_scene(seed, side, share)
    objects = tuple(
        ObjectRecord(name, mask)
        for name, mask in zip(scene.class_names, run_lengths(scene), strict=True)
    )
    image = Image.fromarray(scene.pixels)
    yield ImageRecord(seed, f"context_{seed}.png", image, side, side, objects)


def run_lengths(scene: ContextScene) -> list[dict[str, Any]]:
    """The masks of a scene as COCO's run lengths."""
    size = scene.masks.shape[1:]
    return [encode_mask(torch.from_numpy(mask), 0, 0, size) for mask in scene.masks]


def write_start(folder: Path, seed: int) -> Path:
    """Writes the model that all methods of a seed start with, unless it is there."""
    if not (folder / "config.json").is_file():
        model, processor = load_model(START, device="cpu")
        torch.manual_seed(seed)
        fresh = ScoreForInstanceSegmentation(model.config)
        for name in ("region_integration", "global_adaptation"):
            setattr(model, name, getattr(fresh, name))
        model.config.frozen_trunks = True
        # The out-of-vocabulary scores are the same for all methods and know of no context.
        model.config.alpha = 0.0
        processor.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def recipe_of(cell: Cell, budget: Budget, dataset: Path, start: Path) -> Recipe:
    """The recipe of a cell; methods differ in nothing but their configuration."""
    return Recipe(
        steps=budget.steps,
        batch_size=budget.batch_size,
        seed=cell.seed,
        checkpoint_every=max(100, budget.steps // 4),
        trackers=(),
        model=ModelRecipe(str(start), config_of(cell.method)),
        data=DataRecipe(str(dataset), augmentation=None, workers=0),
        optimizer=OptimizerRecipe(
            learning_rate=budget.learning_rate, decay_vectors=False, largest_gradient_norm=2.0
        ),
        schedule=ScheduleRecipe("cosine", warmup_steps=budget.steps // 10),
    )


def measure(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    dataset: Path,
    share: float,
    budget: Budget,
) -> dict[str, Any]:
    """Measures a model; see [`run_cell`]."""
    rows = load_split(dataset, "val")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "predictions.json"
        figures = evaluate_model(
            model, processor, rows, predictions_file=written, batch_size=8, progress=False
        )
        predictions = json.loads(written.read_text(encoding="utf-8"))
    return {
        "AP": figures["AP"],
        "AP50": figures["AP50"],
        "kinds": count_called(predictions, share, budget),
        "moved_by_scene": moved_by_scene(model, processor, rows),
    }


def count_called(
    predictions: list[dict[str, Any]], share: float, budget: Budget
) -> dict[str, dict[str, int]]:
    """Counts by kind of object how many there are, were found, and were called right.

    An object is called what the best-scoring prediction that covers it says, of whatever class.
    """
    counts = {kind: {"objects": 0, "found": 0, "right": 0} for kind in KINDS}
    by_scene: dict[int, list[dict[str, Any]]] = {}
    for prediction in predictions:
        by_scene.setdefault(prediction["image_id"], []).append(prediction)
    first, missed = FIRST_SEED["val"], len(CLASS_NAMES)
    for seed in range(first, first + budget.val_scenes):
        scene = draw_context_scene(seed, budget.side, share)
        truth = [
            {"category_id": CLASS_NAMES.index(name) + 1, "segmentation": mask, "iscrowd": 0}
            for name, mask in zip(scene.class_names, run_lengths(scene), strict=True)
        ]
        called = confused_classes(truth, by_scene.get(seed, []), missed)
        for kind, (right, answer) in zip(scene.kinds, called.tolist(), strict=True):
            counts[kind]["objects"] += 1
            counts[kind]["found"] += answer != missed
            counts[kind]["right"] += answer == right
    return counts


@torch.no_grad()
def moved_by_scene(
    model: ScoreForInstanceSegmentation, processor: ScoreProcessor, rows: Any, scenes: int = 32
) -> float:
    """In what share of queries the classifier of another scene finds another class best.

    The queries stay what they are: only Global Context Adaptation is given the context of the
    next scene.

    Args:
        model: In evaluation mode.
        processor: Its processor.
        rows: A split of the benchmark.
        scenes: How many scenes are looked at.
    """
    adaptation = getattr(model, "global_adaptation", None)
    if adaptation is None:
        return 0.0
    images = [row["image"] for row in rows.select(range(min(scenes, len(rows))))]
    pixels = processor.image_processor(images, return_tensors="pt")["pixel_values"]

    def exchange(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        embeddings, context = inputs
        rolled = {name: value.roll(1, dims=0) for name, value in context.items()}
        return embeddings, type(context)(**rolled)

    def best_classes() -> torch.Tensor:
        logits = model(pixel_values=pixels).in_vocabulary_logits
        assert logits is not None
        return logits[..., :-1].argmax(dim=-1)

    own = best_classes()
    hook = adaptation.register_forward_pre_hook(exchange)
    try:
        return float((best_classes() != own).float().mean())
    finally:
        hook.remove()
