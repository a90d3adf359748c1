"""The model that a training starts with, and its vocabulary."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from ..conversion.initialization import init_from, parts_of
from ..conversion.model_folder import store_classes
from ..loading import load_model
from ..modeling.configuration_score import ScoreConfig
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import check_class_names, split_synonyms
from .context_cache import ContextCache
from .parameters import freeze_unreached, freeze_visual_head, set_kernel_apart
from .recipe import ModelRecipe, Recipe
from .small_architectures import start_small, start_tiny

_RANDOM_STARTS = {"tiny": start_tiny, "small": start_small}


def start_model(
    recipe: ModelRecipe, say: Callable[[str], None]
) -> tuple[ScoreForInstanceSegmentation, ScoreProcessor]:
    """Makes the model and its processor.

    Args:
        recipe: Where it starts.
        say: Told what was taken over and what stays random.

    Returns:
        The model in training mode on the CPU, and the processor.

    Raises:
        ValueError: If the recipe does not say where to start, or there is no such model.
    """
    if not recipe.sources:
        raise ValueError(
            "`recipe.model.init_from` must name the model to start from (or give `--init-from`): a "
            "folder of `score-hf convert`, a bundled model or a hub id."
        )
    name, *others = recipe.sources
    argument = "recipe.model.init_from"
    sources: list[Any] = others
    if name in _RANDOM_STARTS:
        config, processor = _RANDOM_STARTS[name]()
    else:
        first, processor = load_model(name, device="cpu", argument=argument)
        config, sources = first.config, [first, *others]
    cleared = {"stored_synonyms": 0, "text_tower": True, "untrained_parts": []}
    model = ScoreForInstanceSegmentation(_changed(config, {**recipe.config, **cleared}))
    if sources:
        report = init_from(model, *sources, argument=argument)
        for line in report.lines():
            say(line)
        # The rest is trained now.
        model.config.untrained_parts = parts_of(report.frozen)
    return model.train(), processor


def source_models(recipe: ModelRecipe) -> list[str]:
    """Lists the models that weights were taken from, for the card."""
    return [name for name in recipe.sources if name not in _RANDOM_STARTS]


def _changed(config: ScoreConfig, changes: Mapping[str, Any]) -> ScoreConfig:
    values = copy.deepcopy(config).to_dict()
    for name in ("id2label", "label2id"):
        values.pop(name, None)
    try:
        return ScoreConfig.from_dict({**values, **changes})
    except StrictDataclassError as error:
        raise ValueError(f"`recipe.model.config`: {' '.join(str(error).split())}") from error


def name_classes(names: Sequence[str], changes: Mapping[str, str], argument: str) -> list[str]:
    """Says what the text tower reads for each class of a set.

    Args:
        names: The classes as the set names them.
        changes: What is read instead, by those names.
        argument: What the recipe calls the changes; named in the errors.

    Returns:
        One item a class, a comma inside separates synonyms.

    Raises:
        ValueError: If there is no class of that name, or a name stands for two classes.
    """
    unknown = [name for name in changes if name not in names]
    if unknown:
        raise ValueError(
            f"`{argument}` has {unknown[0]!r}, but the classes are {', '.join(names)}."
        )
    return check_class_names([changes.get(name, name) for name in names], argument)


def start_vocabulary(
    model: ScoreForInstanceSegmentation, processor: ScoreProcessor, classes: list[str]
) -> None:
    """Gives model and processor the training vocabulary.

    It becomes the model's stored vocabulary: with a frozen text tower it is so encoded once, for
    the training as for whoever uses the model afterwards.

    Args:
        model: The model, which is changed.
        processor: The processor, which is changed.
        classes: One item a class, a comma inside separates synonyms.
    """
    processor.seen_classes = classes
    store_classes(model, processor, [", ".join(split_synonyms(name)) for name in classes])


def fit_out(model: ScoreForInstanceSegmentation, recipe: Recipe) -> None:
    """Prepares the model for training, before it is wrapped.

    Args:
        model: The model, with its vocabulary.
        recipe: What it is to save and to learn.

    Raises:
        ValueError: If the trunks are to learn or to be remembered, and cannot.
    """
    if recipe.region_text_weight and model.config.frozen_trunks:
        raise ValueError(
            "`recipe.region_text_weight` must be 0 with frozen trunks: there is nothing that it "
            "could teach."
        )
    freeze_unreached(model)
    if recipe.region_text_weight == 0:
        freeze_visual_head(model)
    set_kernel_apart(model)
    if recipe.gradient_checkpointing:
        # Transformers renames it.
        enable = getattr(model, "activation_checkpointing_enable", None)
        (enable or model.gradient_checkpointing_enable)()
    if recipe.compile:
        # Matching and losses could not be.
        for name in ("general_trunk", "context_trunk", "pixel_decoder", "mask_decoder"):
            if hasattr(model, name):
                getattr(model, name).compile()
    if recipe.cached_contexts:
        if not (model.config.frozen_trunks and model.config.uses_context):
            raise ValueError(
                "`recipe.cached_contexts` needs a frozen context trunk, but this model learns its "
                "trunks or has none."
            )
        ContextCache(model.context_trunk, recipe.cached_contexts)
