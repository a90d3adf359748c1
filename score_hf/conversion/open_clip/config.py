"""What an OpenCLIP model is, in the words of our configuration; what it must not be is refused.

Sizes are read from open_clip's configuration and, for a ConvNeXt, from timm's module itself;
nothing is guessed from names or from weights.
"""

from typing import Any

from torch import nn

from ..clip_tokenizer import END_ID, START_ID, VOCABULARY_SIZE
from .source import OpenClipSource

# OpenCLIP's options that change what a tower computes: the value of a plain CLIP, what else it is.
_PLAIN_BLOCKS: dict[str, tuple[tuple[Any, ...], str]] = {
    "ls_init_value": ((None,), "layer scale in its blocks"),
    "block_type": ((None, "default"), "blocks of another type"),
    "qk_norm": ((False,), "norms within its attention"),
    "scaled_cosine_attn": ((False,), "cosine attention"),
    "scale_heads": ((False,), "scaled attention heads"),
    "scale_attn_inner": ((False,), "norms within its attention"),
    "scale_attn": ((False,), "a norm after its attention"),
    "scale_fc": ((False,), "norms within its MLPs"),
}
_PLAIN_VISION = {
    "attentional_pool": ((False, None), "an attentional pooler"),
    "pool_type": (("tok",), "no [CLS] token that it pools"),
    "no_ln_pre": ((False,), "no norm before its blocks"),
    "final_ln_after_pool": ((False,), "its last norm after pooling"),
    **_PLAIN_BLOCKS,
}
_PLAIN_TEXT = {
    "hf_model_name": ((None,), "a text tower of Transformers"),
    "hf_tokenizer_name": ((None,), "another tokenizer than CLIP's"),
    "tokenizer_kwargs": ((None, {}), "another tokenizer than CLIP's"),
    "embed_cls": ((False,), "a [CLS] token at the end of texts"),
    "no_causal_mask": ((False,), "a text tower without causal mask"),
    "pool_type": (("argmax",), "another way to pool texts"),
    "final_ln_after_pool": ((False,), "its last norm after pooling"),
    "proj_type": (("linear",), "no linear projection of texts"),
    "proj_bias": ((False,), "a bias in its projection of texts"),
    **_PLAIN_BLOCKS,
}


# timm's classes of activations, Transformers' names.
_TIMM_ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_pytorch_tanh"}


def check_general(source: OpenClipSource) -> None:
    """Checks that a model can be the general CLIP, as far as its configuration tells.

    Args:
        source: The model.

    Raises:
        ValueError: If it cannot.
    """
    name = source.config["vision_cfg"].get("timm_model_name") or ""
    if "convnext" not in name or "multimodal_cfg" in source.config:
        raise ValueError(
            f"`{source.role}` must be a ConvNeXt of open_clip such as convnext_large_d_320, got "
            f"{source.name}, {_kind(source.config)}: stages of stride 4 to 32 are needed."
        )
    describe_head(source)
    describe_text(source)


def check_context(source: OpenClipSource, with_text: bool = False) -> None:
    """Checks that a model can be the remote-sensing CLIP, as far as its configuration tells.

    Args:
        source: The model.
        with_text: Whether its text tower is wanted too.

    Raises:
        ValueError: If it cannot.
    """
    describe_vit(source)
    if with_text:
        describe_text(source)


def describe_vit(source: OpenClipSource) -> dict[str, Any]:
    """Describes a vision transformer of CLIP.

    Args:
        source: The model.

    Returns:
        Fields of `CLIPVisionConfig`.

    Raises:
        ValueError: If the model has no such transformer, or one that is not plain.
    """
    vision = source.config["vision_cfg"]
    is_vit = vision.get("timm_model_name") is None and isinstance(vision.get("layers", 12), int)
    if not is_vit or "multimodal_cfg" in source.config:
        raise ValueError(
            f"`{source.role}` must be a vision transformer of CLIP such as ViT-L-14, got "
            f"{source.name}, {_kind(source.config)}: its last block must run on [CLS] and patch "
            "tokens."
        )
    _require_plain(source, vision, _PLAIN_VISION)
    width = vision.get("width", 768)
    return {
        "hidden_size": width,
        "intermediate_size": int(width * vision.get("mlp_ratio", 4.0)),
        "num_hidden_layers": vision.get("layers", 12),
        "num_attention_heads": width // vision.get("head_width", 64),
        "image_size": _side(source),
        "patch_size": vision.get("patch_size", 16),
        "projection_dim": source.config["embed_dim"],
        "hidden_act": _activation(source, vision),
        "layer_norm_eps": _epsilon(source, vision),
    }


def describe_head(source: OpenClipSource) -> dict[str, Any]:
    """Describes the visual head of a ConvNeXt.

    Args:
        source: The model.

    Returns:
        Fields of `ScoreConfig`.

    Raises:
        ValueError: If the head is of another kind.
    """
    vision = source.config["vision_cfg"]
    kind, pool = vision.get("timm_proj", "linear"), vision.get("timm_pool", "avg")
    if kind not in ("linear", "mlp"):
        raise ValueError(
            f"`{source.role}` must have a visual head of one or two layers, but {source.name} has "
            f"timm_proj={kind!r}."
        )
    if pool not in ("", "avg"):
        raise ValueError(
            f"`{source.role}` must pool by the mean, as pixels are pooled within masks, but "
            f"{source.name} has timm_pool={pool!r}."
        )
    return {"visual_head": kind, "visual_head_bias": bool(vision.get("timm_proj_bias", False))}


def describe_convnext(source: OpenClipSource, trunk: Any) -> dict[str, Any]:
    """Describes timm's ConvNeXt.

    Args:
        source: The model.
        trunk: timm's module; its weights do not matter.

    Returns:
        Fields of `ConvNextConfig`.

    Raises:
        ValueError: If it computes what Transformers' ConvNeXt does not.
    """
    blocks = [block for stage in trunk.stages for block in stage.blocks]
    epsilons = {m.eps for m in trunk.modules() if isinstance(m, nn.LayerNorm)}
    activation = type(blocks[0].mlp.act).__name__
    convolutions = {block.conv_dw.kernel_size for block in blocks}
    reasons = {
        "another stem": len(trunk.stem) != 2 or not isinstance(trunk.stem[1], nn.LayerNorm),
        "no layer scale": any(block.gamma is None for block in blocks),
        "1x1 convolutions as MLPs": any(block.use_conv_mlp for block in blocks),
        "response normalization": any(hasattr(block.mlp, "grn") for block in blocks),
        f"another activation than GELU ({activation})": activation not in _TIMM_ACTIVATIONS,
        f"kernels of {convolutions}": convolutions != {(7, 7)},
        f"norms of several epsilons ({epsilons})": len(epsilons) != 1,
        "a norm before pooling": not isinstance(trunk.norm_pre, nn.Identity),
        "a hidden layer in timm's head": not isinstance(trunk.head.pre_logits, nn.Identity),
    }
    for reason, applies in reasons.items():
        if applies:
            raise ValueError(
                f"`{source.role}` must be a plain ConvNeXt, but {source.name} has {reason} in timm."
            )
    return {
        "depths": [len(stage.blocks) for stage in trunk.stages],
        "hidden_sizes": [stage.blocks[0].conv_dw.out_channels for stage in trunk.stages],
        "patch_size": trunk.stem[0].kernel_size[0],
        "hidden_act": _TIMM_ACTIVATIONS[activation],
        "layer_norm_eps": epsilons.pop(),
        "image_size": _side(source),
    }


def describe_text(source: OpenClipSource) -> dict[str, Any]:
    """Describes the text tower of a CLIP.

    Args:
        source: The model.

    Returns:
        Fields of `CLIPTextConfig`.

    Raises:
        ValueError: If it is not CLIP's, or has another vocabulary.
    """
    text = source.config["text_cfg"]
    _require_plain(source, text, _PLAIN_TEXT)
    width = text.get("width", 512)
    size = text.get("vocab_size", VOCABULARY_SIZE)
    if size != VOCABULARY_SIZE:
        raise ValueError(
            f"`{source.role}` must have CLIP's vocabulary of {VOCABULARY_SIZE} tokens, but "
            f"{source.name} has {size}."
        )
    return {
        "vocab_size": size,
        "hidden_size": width,
        "intermediate_size": int(width * text.get("mlp_ratio", 4.0)),
        "num_hidden_layers": text.get("layers", 12),
        "num_attention_heads": text.get("heads", 8),
        "max_position_embeddings": text.get("context_length", 77),
        "projection_dim": source.config["embed_dim"],
        "hidden_act": _activation(source, text),
        "layer_norm_eps": _epsilon(source, text),
        "bos_token_id": START_ID,
        "eos_token_id": END_ID,
        "pad_token_id": END_ID,
    }


def _kind(config: dict[str, Any]) -> str:
    vision = config["vision_cfg"]
    if "multimodal_cfg" in config:
        return "a CoCa"
    if (name := vision.get("timm_model_name")) is not None:
        return f"whose image tower is timm's {name}"
    if isinstance(vision.get("layers", 12), int):
        return "a vision transformer"
    return "a ResNet"


def _require_plain(
    source: OpenClipSource, part: dict[str, Any], plain: dict[str, tuple[tuple[Any, ...], str]]
) -> None:
    for field, (values, otherwise) in plain.items():
        if field in part and part[field] not in values:
            raise ValueError(
                f"`{source.role}` must be a plain CLIP, but {source.name} has {otherwise} "
                f"({field}={part[field]!r})."
            )


def _side(source: OpenClipSource) -> int:
    size = source.config["vision_cfg"].get("image_size", 224)
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(
            f"`{source.role}` must take square pictures, but {source.name} takes {tuple(size)}."
        )
    side: int = sides.pop()
    return side


def _activation(source: OpenClipSource, part: dict[str, Any]) -> str:
    options = part.get("act_kwargs") or {}
    if not options:
        return source.activation
    if source.activation == "gelu" and options == {"approximate": "tanh"}:
        return "gelu_pytorch_tanh"
    raise ValueError(
        f"`{source.role}` must have GELU or QuickGELU, but {source.name} has options of its own "
        f"for it ({options})."
    )


def _epsilon(source: OpenClipSource, part: dict[str, Any]) -> float:
    options = dict(part.get("norm_kwargs") or {})
    epsilon: float = options.pop("eps", 1e-5)
    if options:
        raise ValueError(
            f"`{source.role}` must have plain layer norms, but {source.name} has options of its "
            f"own for them ({options})."
        )
    return epsilon
