"""Two OpenCLIP models become a SCORE model, whose own parts are still to be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ...modeling.configuration_score import ScoreConfig
from ...modeling.modeling_score import ScoreForInstanceSegmentation
from ...processing.image_processing_score import ScoreImageProcessor
from ...processing.processing_score import ScoreProcessor
from ..clip_tokenizer import clip_tokenizer
from ..initialization import parts_of
from ..model_card import ModelCardFacts
from ..published_weights import WeightSource
from .source import OpenClipSource
from .trunks import ConvertedTowers, convert_context, convert_general, match_normalization
from .verification import (
    TOLERANCE,
    Difference,
    check_differences,
    compare_context,
    compare_general,
    compare_text,
)


@dataclass(frozen=True)
class ConvertedPair:
    """What two OpenCLIP models became.

    Args:
        model: The model, in float32 and evaluation mode.
        processor: Its processor.
        card: What its model card tells.
        differences: How far it differs from open_clip; empty if that was not checked.
    """

    model: ScoreForInstanceSegmentation
    processor: ScoreProcessor
    card: ModelCardFacts
    differences: tuple[Difference, ...]


def convert_pair(
    general: OpenClipSource,
    context: OpenClipSource,
    *,
    out_of_vocabulary: Literal["general", "context"] = "general",
    verify: bool = True,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    **variant: Any,
) -> ConvertedPair:
    """Makes a model of a general and a remote-sensing CLIP.

    The towers share their memory with what was read; everything else of the model is random.

    Args:
        general: A ConvNeXt CLIP.
        context: A CLIP with a vision transformer. Where its embeddings have another width than
            the general one's, the context modules get a projection, which is to be trained too.
        out_of_vocabulary: Which of them scores classes out of vocabulary (Table 6); only "context"
            needs the remote-sensing CLIP's text tower.
        verify: Whether outputs are compared with those of open_clip's own modules.
        tolerance: Largest difference allowed, as a share of the largest value.
        seed: Of what stays random.
        **variant: Fields of `ScoreConfig` that differ from the paper's model, such as
            `region_context="cls"`.

    Returns:
        The model and what belongs to it.

    Raises:
        ValueError: If a model cannot be converted, its weights do not fit, or it computes
            something else than open_clip's.
    """
    with_text = out_of_vocabulary == "context"
    general_towers = convert_general(general)
    context_towers = convert_context(context, with_text)
    match_normalization(context_towers, general.mean, general.std)
    length = general_towers.config["text_config"]["max_position_embeddings"]
    if with_text and context_towers.reference.context_length != length:
        raise ValueError(
            f"`context` must take texts of {length} tokens as `general` does, but {context.name} "
            f"takes {context_towers.reference.context_length}: both encode the same tokens."
        )
    towers = {**general_towers.config, **context_towers.config}
    config = ScoreConfig(**towers, out_of_vocabulary=out_of_vocabulary, **variant)
    state = {**general_towers.state, **context_towers.state}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ScoreForInstanceSegmentation.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32
        ).eval()
    model.config.untrained_parts = parts_of(
        name for name, _ in model.named_parameters() if name not in state
    )
    processor = ScoreProcessor(
        ScoreImageProcessor(image_mean=list(general.mean), image_std=list(general.std)),
        clip_tokenizer(length),
    )
    differences: tuple[Difference, ...] = ()
    if verify:
        differences = tuple(_compare(model, processor, general_towers, context_towers))
        check_differences(differences, tolerance)
    return ConvertedPair(
        model=model,
        processor=processor,
        card=ModelCardFacts(
            title=f"SCORE on {general.label} and {context.label}, to be trained",
            general=WeightSource(general.label, general.weights, general.hub_id),
            context=WeightSource(context.label, context.weights, context.hub_id),
            notes=_notes(general, context, differences),
        ),
        differences=differences,
    )


def _compare(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    general: ConvertedTowers,
    context: ConvertedTowers,
) -> list[Difference]:
    tokenizer: Any = processor.tokenizer
    differences = [
        *compare_general(general.reference, model.general_trunk),
        *compare_text("the general CLIP", general.reference, model.text_tower, tokenizer),
        *compare_context(
            context.source,
            context.reference,
            model.context_trunk,
            general.source.mean,
            general.source.std,
        ),
    ]
    if model.config.out_of_vocabulary == "context":
        differences += compare_text(
            "the remote-sensing CLIP", context.reference, model.context_text_tower, tokenizer
        )
    return differences


def _notes(
    general: OpenClipSource, context: OpenClipSource, differences: Sequence[Difference]
) -> list[str]:
    notes = [
        f"The transformers of {source.label} run with {label}: {source.activation_reason}."
        for source in (general, context)
        for label in ("QuickGELU" if source.activation == "quick_gelu" else "GELU",)
    ]
    if (general.mean, general.std) != (context.mean, context.std):
        notes.append(
            f"{context.label} was trained on pictures of another normalisation than "
            f"{general.label}; the difference is part of its patch embedding and positions."
        )
    if differences:
        worst = max(differences, key=lambda one: one.relative)
        notes.append(
            "Trunk features, context, text embeddings and tokens were compared with open_clip's "
            f"own when the weights were converted: the largest difference was {worst.relative:.1e} "
            f"of the largest value ({worst.name})."
        )
    return notes
