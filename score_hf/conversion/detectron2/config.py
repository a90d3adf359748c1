"""Reads the dimensions of a detectron2 checkpoint off the shapes of its tensors.

Some things leave no trace there: attention heads, activations, the settings of losses and ensemble,
and the data. Heads and activations follow a rule or are given; the rest is read from the yaml file,
if there is one.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor

from ...modeling.configuration_score import ScoreConfig
from ..clip_tokenizer import END_ID, VOCABULARY_SIZE
from .recipe import Detectron2Recipe

GENERAL = "backbone.clip_model."
CONTEXT = "clip_rs.clip_model."
PIXEL_DECODER = "sem_seg_head.pixel_decoder."
PREDICTOR = "sem_seg_head.predictor."
# The original's deformable attention always samples so many points a head and level.
_POINTS = 4
# First stage of convnext_xxlarge, whose norms have another epsilon.
_XXLARGE_WIDTH = 384
# Settings of the yaml file and where our configuration has them.
_SETTINGS = {
    "MODEL.MASK_FORMER.CLASS_WEIGHT": "class_weight",
    "MODEL.MASK_FORMER.MASK_WEIGHT": "mask_weight",
    "MODEL.MASK_FORMER.DICE_WEIGHT": "dice_weight",
    "MODEL.MASK_FORMER.NO_OBJECT_WEIGHT": "no_object_weight",
    "MODEL.MASK_FORMER.TRAIN_NUM_POINTS": "num_points",
    "MODEL.MASK_FORMER.OVERSAMPLE_RATIO": "oversample_ratio",
    "MODEL.MASK_FORMER.IMPORTANCE_SAMPLE_RATIO": "importance_sample_ratio",
}


@dataclass(frozen=True)
class CheckpointHints:
    """What shapes do not tell of a model that does not follow the rule.

    Args:
        text_heads: Attention heads of the text tower; None: one for 64 channels, as every CLIP with
            a ConvNeXt has.
        context_heads: Of the context trunk; None: one for 64 channels, as the original derives
            them.
        decoder_heads: Of pixel decoder and mask decoder; None: NHEADS of the yaml file, else as
            many as sample 4 points each, as they always do in the original.
        general_activation: Of the text tower; None: "gelu", as every CLIP with a ConvNeXt has.
        context_activation: Of the context trunk; None: "quick_gelu", as the original's.
    """

    text_heads: int | None = None
    context_heads: int | None = None
    decoder_heads: int | None = None
    general_activation: str | None = None
    context_activation: str | None = None

    def __post_init__(self) -> None:
        for name in ("general_activation", "context_activation"):
            if (value := getattr(self, name)) not in (None, "gelu", "quick_gelu"):
                raise ValueError(f"`{name}` must be 'gelu' or 'quick_gelu', got {value!r}.")


@dataclass(frozen=True)
class CheckpointParts:
    """What a checkpoint holds.

    Args:
        text_tower: The general CLIP's text tower, complete with its token embedding.
        global_context: Global Context Adaptation.
        region_context: Region-Aware Integration.
        classes: Number of classes of the training, if the weights of its loss tell.
    """

    text_tower: bool
    global_context: bool
    region_context: bool
    classes: int | None


def find_parts(state: Mapping[str, Tensor]) -> CheckpointParts:
    """Finds out what a checkpoint holds, and refuses what is neither SCORE nor FC-CLIP.

    Args:
        state: Tensors under the original's names.

    Returns:
        Its parts.

    Raises:
        ValueError: If it holds another model, or a trunk that is no ConvNeXt or ViT.
    """
    needed = ("void_embedding.weight", f"{PREDICTOR}query_feat.weight")
    if any(name not in state for name in needed):
        raise ValueError(
            f"`checkpoint` must be a detectron2 checkpoint of SCORE or FC-CLIP, with "
            f"{' and '.join(needed)}, but of its {len(state)} tensors the first are "
            f"{', '.join(list(state)[:3]) or 'none'}."
        )
    for prefix, needed_kind in ((GENERAL, "a ConvNeXt"), (CONTEXT, "a vision transformer")):
        if any(name.startswith(f"{prefix}visual.layer1.") for name in state):
            raise ValueError(
                f"`checkpoint` holds a ResNet under {prefix}visual, as FC-CLIP's RN50 to RN50x64 "
                f"do; this model needs {needed_kind} there, such as in fcclip_cocopan.pth."
            )
    weights = state.get("criterion.empty_weight")
    parts = CheckpointParts(
        text_tower=all(
            f"{GENERAL}{name}" in state for name in ("token_embedding.weight", "ln_final.weight")
        ),
        global_context="gca.multiattn.0.in_proj_weight" in state,
        region_context=f"{PREDICTOR}learnable_weight" in state,
        classes=None if weights is None else weights.numel() - 1,
    )
    uses_context = parts.global_context or parts.region_context
    if uses_context and f"{CONTEXT}visual.conv1.weight" not in state:
        raise ValueError(
            f"`checkpoint` holds SCORE's context modules but not the trunk they look at: there is "
            f"no {CONTEXT}visual.conv1.weight."
        )
    return parts


def read_config(
    state: Mapping[str, Tensor],
    hints: CheckpointHints | None = None,
    recipe: Detectron2Recipe | None = None,
) -> ScoreConfig:
    """Reads the configuration of a checkpoint.

    Args:
        state: Tensors under the original's names.
        hints: What does not follow the rule.
        recipe: The yaml file of the training; what it says must not contradict the shapes.

    Returns:
        The configuration, without a stored vocabulary.

    Raises:
        ValueError: If a tensor that tells a dimension is missing or has an impossible shape, or
            shapes, heads and yaml file contradict one another.
    """
    hints, parts, shapes = hints or CheckpointHints(), find_parts(state), _Shapes(state)
    (_, projection) = shapes.of("void_embedding.weight", 2)
    fields = {
        "text_config": _read_text(shapes, parts, projection, hints),
        "text_tower": parts.text_tower,
        "general_config": _read_general(shapes),
        "projection_dim": projection,
        **_read_visual_head(state),
        # Over a single key the number of heads changes nothing; it must divide the width.
        "context_num_heads": math.gcd(8, projection),
        "global_context": "attention" if parts.global_context else "none",
        "region_context": "region" if parts.region_context else "none",
        **_read_decoders(shapes, hints.decoder_heads, recipe),
        **_read_settings(recipe),
    }
    if parts.global_context or parts.region_context:
        fields["context_config"] = _read_context(shapes, hints)
    if parts.region_context:
        layers = f"{PREDICTOR}transformer.layers."
        (kernels,) = shapes.of(f"{PREDICTOR}kernel_size_logits", 1)
        fields["region_kernel_sizes"] = [3 + 2 * index for index in range(kernels)]
        fields["region_layers"] = shapes.count(layers)
        fields["region_intermediate_size"] = shapes.of(f"{layers}0.linear1.weight", 2)[0]
    try:
        config = ScoreConfig(**fields)
    except StrictDataclassError as error:
        sources = "`checkpoint` tells" if recipe is None else "`checkpoint` and `config_file` tell"
        raise ValueError(
            f"{sources} of a model that cannot be: {error.__cause__ or error}"
        ) from error
    if recipe is not None:
        _check_recipe(recipe, config, parts)
    return config


class _Shapes:
    """Shapes by name, with a sentence for what is missing."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state

    def of(self, name: str, dimensions: int) -> tuple[int, ...]:
        if name not in self._state:
            raise ValueError(
                f"`checkpoint` is not complete: it has no {name}, by which its dimensions are read."
            )
        shape = tuple(self._state[name].shape)
        if len(shape) != dimensions or 0 in shape:
            raise ValueError(
                f"`checkpoint` must hold {name} with {dimensions} dimensions, none of them empty, "
                f"got shape {shape}."
            )
        return shape

    def count(self, prefix: str) -> int:
        """Number of layers that follow a prefix."""
        matches = (re.match(re.escape(prefix) + r"(\d+)\.", name) for name in self._state)
        return len({match.group(1) for match in matches if match})


def _read_text(
    shapes: _Shapes, parts: CheckpointParts, projection: int, hints: CheckpointHints
) -> dict[str, Any]:
    if not parts.text_tower:
        return {"projection_dim": projection}
    layers = f"{GENERAL}transformer.resblocks."
    vocabulary, width = shapes.of(f"{GENERAL}token_embedding.weight", 2)
    return {
        "hidden_size": width,
        "intermediate_size": shapes.of(f"{layers}0.mlp.c_fc.weight", 2)[0],
        "num_hidden_layers": shapes.count(layers),
        "num_attention_heads": _heads_of_clip("text", hints.text_heads, width),
        "max_position_embeddings": shapes.of(f"{GENERAL}positional_embedding", 2)[0],
        "vocab_size": vocabulary,
        "projection_dim": projection,
        "hidden_act": hints.general_activation or "gelu",
        **({"pad_token_id": END_ID} if vocabulary == VOCABULARY_SIZE else {}),
    }


def _read_general(shapes: _Shapes) -> dict[str, Any]:
    stages = f"{GENERAL}visual.trunk.stages."
    depths = [shapes.count(f"{stages}{stage}.blocks.") for stage in range(shapes.count(stages))]
    widths = [
        shapes.of(f"{stages}{stage}.blocks.0.norm.weight", 1)[0] for stage in range(len(depths))
    ]
    return {
        "num_stages": len(depths),
        "depths": depths,
        "hidden_sizes": widths,
        "layer_norm_eps": 1e-5 if widths[:1] == [_XXLARGE_WIDTH] else 1e-6,
    }


def _read_visual_head(state: Mapping[str, Tensor]) -> dict[str, Any]:
    head = f"{GENERAL}visual.head."
    linear = f"{head}proj.weight" in state
    last = f"{head}proj.bias" if linear else f"{head}mlp.fc2.bias"
    return {"visual_head": "linear" if linear else "mlp", "visual_head_bias": last in state}


def _read_context(shapes: _Shapes, hints: CheckpointHints) -> dict[str, Any]:
    visual = f"{CONTEXT}visual."
    width, _, patch, _ = shapes.of(f"{visual}conv1.weight", 4)
    tokens, _ = shapes.of(f"{visual}positional_embedding", 2)
    rows = math.isqrt(tokens - 1)
    if rows * rows != tokens - 1:
        raise ValueError(
            f"`checkpoint` must hold {visual}positional_embedding with one row for [CLS] and a "
            f"square of patches, got {tokens} rows."
        )
    layers = f"{visual}transformer.resblocks."
    return {
        "hidden_size": width,
        "intermediate_size": shapes.of(f"{layers}0.mlp.c_fc.weight", 2)[0],
        "num_hidden_layers": shapes.count(layers),
        "num_attention_heads": _heads_of_clip("context", hints.context_heads, width),
        "patch_size": patch,
        "image_size": rows * patch,
        "projection_dim": shapes.of(f"{visual}proj", 2)[1],
        "hidden_act": hints.context_activation or "quick_gelu",
    }


def _read_decoders(
    shapes: _Shapes, heads: int | None, recipe: Detectron2Recipe | None
) -> dict[str, Any]:
    queries, hidden = shapes.of(f"{PREDICTOR}query_feat.weight", 2)
    (mask_width, _, _, _) = shapes.of(f"{PIXEL_DECODER}mask_features.weight", 4)
    if mask_width != hidden:
        raise ValueError(
            f"`checkpoint` must hold mask features as wide as its queries, got {mask_width} "
            f"({PIXEL_DECODER}mask_features.weight) and {hidden} ({PREDICTOR}query_feat.weight)."
        )
    encoder = f"{PIXEL_DECODER}transformer.encoder.layers."
    samples, _ = shapes.of(f"{encoder}0.self_attn.attention_weights.weight", 2)
    levels, _ = shapes.of(f"{PIXEL_DECODER}transformer.level_embed", 2)
    if heads is None and recipe is not None:
        heads = recipe.whole_number("MODEL.MASK_FORMER.NHEADS")
    heads = heads or max(1, samples // (levels * _POINTS))
    if samples % (levels * heads) or hidden % heads:
        raise ValueError(
            f"{heads} attention heads of the decoders do not fit `checkpoint`: they must divide "
            f"its width {hidden}, and with its {levels} levels the {samples} samples of "
            f"{encoder}0.self_attn.attention_weights."
        )
    ffn = f"{PREDICTOR}transformer_ffn_layers."
    return {
        "hidden_size": hidden,
        "num_queries": queries,
        "num_hidden_layers": shapes.count(ffn),
        "num_attention_heads": heads,
        "intermediate_size": shapes.of(f"{ffn}0.linear1.weight", 2)[0],
        "pixel_decoder_layers": shapes.count(encoder),
        "pixel_decoder_intermediate_size": shapes.of(f"{encoder}0.linear1.weight", 2)[0],
        "pixel_decoder_points": samples // (levels * heads),
    }


def _heads_of_clip(tower: str, given: int | None, width: int) -> int:
    heads = given or max(1, width // 64)
    if width % heads:
        raise ValueError(
            f"{heads} attention heads of the {tower} tower do not fit `checkpoint`: they must "
            f"divide its width {width}."
        )
    return heads


def _read_settings(recipe: Detectron2Recipe | None) -> dict[str, Any]:
    if recipe is None:
        return {}
    found = {ours: recipe.number(theirs) for theirs, ours in _SETTINGS.items()}
    for name in ("alpha", "beta"):
        found[name] = recipe.own_number(f"GEOMETRIC_ENSEMBLE_{name.upper()}")
    return {name: value for name, value in found.items() if value is not None}


def _check_recipe(recipe: Detectron2Recipe, config: ScoreConfig, parts: CheckpointParts) -> None:
    """Compares what both the yaml file and the shapes tell."""
    told = {
        "MODEL.MASK_FORMER.HIDDEN_DIM": config.hidden_size,
        "MODEL.MASK_FORMER.NUM_OBJECT_QUERIES": config.num_queries,
        "MODEL.MASK_FORMER.DIM_FEEDFORWARD": config.intermediate_size,
        # The original counts predictions, of which one comes before the first layer.
        "MODEL.MASK_FORMER.DEC_LAYERS": config.num_hidden_layers + 1,
        "MODEL.MASK_FORMER.PRE_NORM": False,
        "MODEL.SEM_SEG_HEAD.CONVS_DIM": config.hidden_size,
        "MODEL.SEM_SEG_HEAD.MASK_DIM": config.hidden_size,
        "MODEL.SEM_SEG_HEAD.TRANSFORMER_ENC_LAYERS": config.pixel_decoder_layers,
        "MODEL.SCORE.EMBED_DIM": config.projection_dim,
        "MODEL.FC_CLIP.EMBED_DIM": config.projection_dim,
    }
    if parts.classes is not None:
        told["MODEL.SEM_SEG_HEAD.NUM_CLASSES"] = parts.classes
    for key, value in told.items():
        if (written := recipe.get(key)) is not None and written != value:
            raise ValueError(
                f"`config_file` {recipe.path} says {key}: {written!r}, but `checkpoint` was made "
                f"with {value!r}: it is the file of another model."
            )
