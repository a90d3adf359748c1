"""What a converted checkpoint's model card tells of where its weights come from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model_card import ModelCardFacts, add_sources
from ..published_weights import WeightSource
from .checkpoint import ConvertedCheckpoint
from .recipe import Detectron2Recipe
from .settings import ModelSettings

# The trunks of the published checkpoints, by the sizes that give them away.
_GENERAL = WeightSource(
    "convnext_large_d_320",
    "laion2b_s29b_b131k_ft_soup",
    "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
)
_GENERAL_SIZES = ([3, 3, 27, 3], [192, 384, 768, 1536], 768)
_CONTEXT = WeightSource("ViT-L-14", "RemoteCLIP-ViT-L-14")
_CONTEXT_SIZES = (24, 1024, 14, 768)


def describe_checkpoint(
    converted: ConvertedCheckpoint,
    files: Sequence[Path],
    recipe: Detectron2Recipe | None = None,
    settings: ModelSettings | None = None,
) -> ModelCardFacts:
    """Collects what is known of a converted checkpoint.

    Args:
        converted: The model and what belongs to it.
        files: The files that it was read from.
        recipe: The yaml file of its training.
        settings: What was written beside it when it was exported.

    Returns:
        The facts for its model card.
    """
    names = ", ".join(file.name for file in files)
    kind = "SCORE" if converted.kind == "SCORE" else "SCORE's baseline, FC-CLIP"
    notes = [f"Converted from the detectron2 checkpoint `{names}` of {converted.kind}."]
    notes += converted.notes
    if converted.kind == "FC-CLIP":
        notes.append(
            "It was trained on photographs of everyday scenes. For aerial images it is a start: "
            "train on from it, with the context modules switched on."
        )
    checkpoint = WeightSource(converted.kind, files[0].name)
    facts = ModelCardFacts(title=f"{kind} ({files[0].stem})", notes=notes)
    if settings is None:
        general, context = _general_source(converted, recipe), _context_source(converted, recipe)
        return replace(facts, general=general, context=context, checkpoint=checkpoint)
    facts = add_sources(facts, settings.weight_sources)
    untrained = converted.model.config.untrained_parts
    return facts if facts.checkpoint or untrained else replace(facts, checkpoint=checkpoint)


def _general_source(
    converted: ConvertedCheckpoint, recipe: Detectron2Recipe | None
) -> WeightSource | None:
    config: Any = converted.model.config
    trunk = config.general_config
    sizes = (list(trunk.depths), list(trunk.hidden_sizes), config.projection_dim)
    return _named(recipe, "CLIP", _GENERAL if sizes == _GENERAL_SIZES else None)


def _context_source(
    converted: ConvertedCheckpoint, recipe: Detectron2Recipe | None
) -> WeightSource | None:
    config: Any = converted.model.config
    if not config.uses_context:
        return None
    trunk = config.context_config
    sizes = (
        trunk.num_hidden_layers,
        trunk.hidden_size,
        trunk.patch_size,
        trunk.projection_dim,
    )
    return _named(recipe, "RSCLIP", _CONTEXT if sizes == _CONTEXT_SIZES else None)


def _named(
    recipe: Detectron2Recipe | None, prefix: str, published: WeightSource | None
) -> WeightSource | None:
    """What the yaml file names, else the published trunk of these sizes."""
    name = None if recipe is None else recipe.get_own(f"{prefix}_MODEL_NAME")
    weights = None if recipe is None else recipe.get_own(f"{prefix}_PRETRAINED_WEIGHTS")
    if name is None or weights is None:
        return published
    if published is not None and published.weights == weights:
        return published
    return WeightSource(str(name), str(weights))
