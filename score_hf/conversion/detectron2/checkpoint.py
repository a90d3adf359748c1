"""Checkpoints of the original SCORE and of FC-CLIP become models of this project.

FC-CLIP (Yu et al., NeurIPS 2023) is SCORE without its context: its network computes what our
baseline does, `region_context="none"` and `global_context="none"`, from the pooling in masks to the
ensemble. What surrounds the network differs:

- It writes names into 14 prompts of its own, and keeps their capitals, `_` and `-`. COCO's names
  have none of these.
- It was evaluated at a short side of 800, with 100 instances an image.
- On panoptic data it drops instances of stuff, keeps segments of any score, and merges the stuff
  segments of a class; here the caller says so (`label_ids_to_fuse`, `threshold`).
- With its ResNets, which are not converted, it leaves masks that have no pixel at the last stage to
  the in-vocabulary scores alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ...modeling.configuration_score import ScoreConfig
from ...modeling.modeling_score import ScoreForInstanceSegmentation
from ...processing.image_processing_score import ScoreImageProcessor
from ...processing.processing_score import ScoreProcessor
from ..original_keys import from_original, to_original
from ..reading.checkpoint_files import read_tensors
from ..reading.usable_weights import check_weights, separate
from .config import CheckpointHints, CheckpointParts, find_parts, read_config
from .extras import OriginalExtras, list_some
from .recipe import Detectron2Recipe
from .settings import KERNEL_STATE, ModelSettings
from .vocabularies import (
    COCO_STUFF,
    COCO_THINGS,
    VILD_TEMPLATES,
    vocabulary_of,
    vocabulary_of_size,
)

# detectron2's defaults, with which FC-CLIP was evaluated.
_FC_CLIP_SIZE = {"shortest_edge": 800, "longest_edge": 1333}
_FC_CLIP_DETECTIONS = 100


@dataclass(frozen=True)
class ConvertedCheckpoint:
    """A checkpoint as a model.

    Args:
        kind: "SCORE" or "FC-CLIP".
        model: The model, in float32 and evaluation mode.
        processor: Its processor, with the prompts and the classes of its training.
        extras: What the model has no place for; it makes the way back exact.
        notes: What the user should know, a sentence each.
    """

    kind: str
    model: ScoreForInstanceSegmentation
    processor: ScoreProcessor
    extras: OriginalExtras
    notes: tuple[str, ...]


def read_checkpoint(files: Sequence[Path]) -> dict[str, Tensor]:
    """Reads a checkpoint that lies in one file or several.

    Args:
        files: The files, for example the weights and a token embedding that is kept apart.

    Returns:
        Tensors under the original's names.

    Raises:
        ValueError: If a file cannot be read, or two hold the same tensor.
    """
    state: dict[str, Tensor] = {}
    for file in files:
        tensors = read_tensors(file)
        twice = [name for name in tensors if name in state]
        if twice:
            raise ValueError(
                f"The files of one checkpoint must complete each other, but {file} holds "
                f"{list_some(twice)} once more."
            )
        state |= tensors
    return state


def convert_checkpoint(
    state: Mapping[str, Tensor],
    tokenizer: CLIPTokenizer,
    hints: CheckpointHints | None = None,
    recipe: Detectron2Recipe | None = None,
    seen_classes: Sequence[str] | None = None,
    settings: ModelSettings | None = None,
) -> ConvertedCheckpoint:
    """Makes a model of a detectron2 checkpoint.

    Args:
        state: Tensors under the original's names.
        tokenizer: CLIP's tokenizer.
        hints: What does not follow the rule.
        recipe: The yaml file of the training.
        seen_classes: Classes of the training, one item a class. None: those of the data set that
            the yaml file names, else those of the published data set with as many classes.
        settings: What `export_checkpoint` wrote beside it, in place of the three before.

    Returns:
        The model and what belongs to it.

    Raises:
        ValueError: If the checkpoint is of another model, incomplete, or contradicts itself or
            the yaml file.
    """
    parts = find_parts(state)
    ours, unused = from_original(dict(state))
    if settings is None:
        config = read_config(state, hints, recipe)
        seen = _find_seen_classes(seen_classes, recipe, parts)
        kind = _find_kind(parts, recipe, seen)
        processor = _make_processor(kind, config, tokenizer, recipe, seen)
    else:
        config, processor = settings.make_config(ours), settings.make_processor(tokenizer)
        seen = None if processor.seen_classes is None else tuple(processor.seen_classes)
        kind = _find_kind(parts, recipe, seen)
    foreign = _check_fit(ours, config, state)
    loaded = separate({name: tensor for name, tensor in ours.items() if name not in foreign})
    check_weights("`checkpoint`", loaded)
    if config.region_context != "none":
        kernel = {} if settings is None else settings.kernel
        loaded |= {
            name: torch.tensor(int(kernel.get(name, start))) for name, start in KERNEL_STATE.items()
        }
    model = ScoreForInstanceSegmentation.from_pretrained(
        None, config=config, state_dict=loaded, dtype=torch.float32
    )
    left_out = [*unused, *to_original(foreign)]
    return ConvertedCheckpoint(
        kind=kind,
        model=model.eval(),
        processor=processor,
        extras=OriginalExtras.of(state, left_out),
        notes=tuple(_notes(kind, config, tokenizer, recipe, seen)),
    )


def _check_fit(
    ours: dict[str, Tensor], config: ScoreConfig, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Compares tensors with the places for them; returns those that have none."""
    with torch.device("meta"):
        places = ScoreForInstanceSegmentation(config).state_dict()
    missing = {
        name: place
        for name, place in places.items()
        if name not in ours and name not in KERNEL_STATE
    }
    if missing:
        names = [name for name in to_original(missing) if name not in state]
        raise ValueError(
            f"`checkpoint` is not complete: for a model of its dimensions {list_some(names)} "
            "should be there."
        )
    for name, place in places.items():
        if name in ours and ours[name].shape != place.shape:
            raise ValueError(
                f"`checkpoint` contradicts itself: by its other tensors {name} must be of shape "
                f"{tuple(place.shape)}, got {tuple(ours[name].shape)}."
            )
    return {name: tensor for name, tensor in ours.items() if name not in places}


def _find_seen_classes(
    given: Sequence[str] | None, recipe: Detectron2Recipe | None, parts: CheckpointParts
) -> tuple[str, ...] | None:
    dataset = None if recipe is None else recipe.training_set()
    if given is not None:
        found: tuple[str, ...] | None = tuple(given)
    elif dataset is not None:
        found = vocabulary_of(dataset)
    else:
        found = None if parts.classes is None else vocabulary_of_size(parts.classes)
    if found is not None and parts.classes not in (None, len(found)):
        source = "`seen_classes`" if given is not None else f"The training set {dataset!r}"
        raise ValueError(
            f"{source} has {len(found)} classes, but `checkpoint` was trained on {parts.classes} "
            "(criterion.empty_weight)."
        )
    return found


def _find_kind(
    parts: CheckpointParts, recipe: Detectron2Recipe | None, seen: tuple[str, ...] | None
) -> str:
    if parts.global_context or parts.region_context:
        return "SCORE"
    architecture = None if recipe is None else recipe.get("MODEL.META_ARCHITECTURE")
    # Without its context parts the original's own code trains a baseline, on other classes.
    baseline = architecture == "SCORE" or (
        architecture is None and seen not in (None, COCO_THINGS + COCO_STUFF)
    )
    return "SCORE" if baseline else "FC-CLIP"


def _make_processor(
    kind: str,
    config: ScoreConfig,
    tokenizer: CLIPTokenizer,
    recipe: Detectron2Recipe | None,
    seen: tuple[str, ...] | None,
) -> ScoreProcessor:
    size, detections = ScoreImageProcessor.size, ScoreImageProcessor.max_detections
    templates = None
    if kind == "FC-CLIP":
        size, detections, templates = _FC_CLIP_SIZE, _FC_CLIP_DETECTIONS, VILD_TEMPLATES
    options: dict[str, Any] = {}
    if recipe is not None:
        sides = {
            "shortest_edge": recipe.whole_number("INPUT.MIN_SIZE_TEST"),
            "longest_edge": recipe.whole_number("INPUT.MAX_SIZE_TEST"),
        }
        size = {name: sides[name] or side for name, side in size.items()}
        detections = recipe.whole_number("TEST.DETECTIONS_PER_IMAGE") or detections
        options = _read_normalisation(recipe)
    image_processor = ScoreImageProcessor(
        size=size,
        # Semantic and panoptic maps must be able to see every query.
        max_detections=max(detections, config.num_queries),
        **options,
    )
    return ScoreProcessor(image_processor, tokenizer, templates=templates, seen_classes=seen)


def _read_normalisation(recipe: Detectron2Recipe) -> dict[str, list[float]]:
    """Mean and deviation of the yaml file, in 0..255, where they are not CLIP's."""
    found = {}
    for key, name, usual in (
        ("MODEL.PIXEL_MEAN", "image_mean", OPENAI_CLIP_MEAN),
        ("MODEL.PIXEL_STD", "image_std", OPENAI_CLIP_STD),
    ):
        values = recipe.get(key)
        if values is None:
            continue
        least = 0.0 if name == "image_std" else -math.inf
        given = values if isinstance(values, list | tuple) and len(values) == 3 else [None]
        if not all(isinstance(one, int | float) and least < one < math.inf for one in given):
            raise ValueError(
                f"`config_file` {recipe.path} must give {key} as three numbers"
                f"{' above 0' if name == 'image_std' else ''}, got {values!r}."
            )
        scaled = [float(value) / 255 for value in values]
        if max(abs(one - other) for one, other in zip(scaled, usual, strict=True)) > 1e-6:
            found[name] = scaled
    return found


def _notes(
    kind: str,
    config: ScoreConfig,
    tokenizer: CLIPTokenizer,
    recipe: Detectron2Recipe | None,
    seen: tuple[str, ...] | None,
) -> list[str]:
    notes = []
    text: Any = config.text_config
    tokens = text.vocab_size
    if recipe is not None and recipe.missing_base is not None:
        notes.append(
            f"{recipe.path} is based on {recipe.missing_base}, which is not there: what only that "
            "file says is not known."
        )
    if recipe is not None and recipe.get_own("ENSEMBLE_ON_VALID_MASK"):
        notes.append(
            "The yaml file asks to leave masks without a pixel to the in-vocabulary scores "
            "(ENSEMBLE_ON_VALID_MASK), which this model does not."
        )
    if not config.text_tower:
        notes.append(
            "The checkpoint holds no complete text tower: the model needs classifiers that "
            "another one has built."
        )
    elif tokens != len(tokenizer):
        notes.append(
            f"The text tower knows {tokens} tokens and CLIP's tokenizer {len(tokenizer)}: give the "
            "processor the tokenizer that belongs to it."
        )
    context: Any = config.context_config
    if config.uses_context and context.hidden_act == "quick_gelu":
        notes.append("The context trunk runs with QuickGELU, as the original always does.")
    if seen is None:
        notes.append(
            "What it was trained on is not known: every class counts as unseen until "
            "`seen_classes` of the processor says otherwise."
        )
    if kind == "FC-CLIP" and seen == COCO_THINGS + COCO_STUFF:
        notes.append(
            f"Of COCO's classes those from {len(COCO_THINGS)} on are stuff: for panoptic maps as "
            "FC-CLIP's give `post_process_panoptic_segmentation` "
            f"`label_ids_to_fuse=range({len(COCO_THINGS)}, {len(seen)})` and `threshold=0.0`."
        )
    return notes
