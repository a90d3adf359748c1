"""Compares the towers of a converted checkpoint with modules of open_clip, timm and their weights.

The modules are built from the checkpoint's sizes, so that no model needs to be known by name.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ..open_clip.source import OpenClipSource
from ..open_clip.verification import Difference, compare_context, compare_general, compare_text
from .checkpoint import ConvertedCheckpoint
from .config import CONTEXT, GENERAL


def compare_towers(
    converted: ConvertedCheckpoint, state: Mapping[str, Tensor]
) -> tuple[Difference, ...]:
    """Compares the frozen towers; the trained parts have no counterpart outside the original.

    Args:
        converted: The converted checkpoint.
        state: The tensors that it was made of, under the original's names.

    Returns:
        The differences.
    """
    model, config, tokenizer = (
        converted.model,
        converted.model.config,
        converted.processor.tokenizer,
    )
    general = _general_clip(config, state)
    differences = compare_general(general, model.general_trunk)
    if config.text_tower and general.vocab_size == len(tokenizer):
        differences += compare_text("the text tower", general, model.text_tower, tokenizer)
    if config.uses_context:
        mean, std = tuple(OPENAI_CLIP_MEAN), tuple(OPENAI_CLIP_STD)
        source = OpenClipSource("context", "", "", {}, Path(), "", mean, std)
        reference = SimpleNamespace(visual=_context_vit(config.context_config, state))
        differences += compare_context(source, reference, model.context_trunk, mean, std)
    return tuple(differences)


def _general_clip(config: Any, state: Mapping[str, Tensor]) -> Any:
    from open_clip import CLIP
    from timm.layers import Mlp
    from timm.models.convnext import ConvNeXt

    text, trunk, width = config.text_config, config.general_config, config.projection_dim
    # A text tower without its token embedding is not compared; it only has to be there.
    text_sizes = (
        {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": text.intermediate_size / text.hidden_size,
            "norm_kwargs": {"eps": text.layer_norm_eps},
        }
        if config.text_tower
        else {"width": 64, "heads": 1, "layers": 1}
    )
    some_vision = {"timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear"}
    last, bias = trunk.hidden_sizes[-1], config.visual_head_bias
    with torch.device("meta"):
        clip: Any = CLIP(width, some_vision, text_sizes)
        for block in clip.transformer.resblocks:
            block.mlp.gelu = _activation(text.hidden_act)()
        clip.visual.trunk = ConvNeXt(
            depths=tuple(trunk.depths),
            dims=tuple(trunk.hidden_sizes),
            num_classes=0,
            norm_eps=trunk.layer_norm_eps,
        )
        layers: dict[str, nn.Module] = (
            {"proj": nn.Linear(last, width, bias=bias)}
            if config.visual_head == "linear"
            else {"mlp": Mlp(last, 2 * width, width, bias=(True, bias))}
        )
        clip.visual.head = nn.Sequential(OrderedDict(layers))
    parts = ("",) if config.text_tower else ("visual.", "logit_scale")
    _fill(clip, state, GENERAL, parts)
    length = clip.context_length
    clip.attn_mask = torch.full((length, length), float("-inf")).triu_(1)
    return clip


def _context_vit(config: Any, state: Mapping[str, Tensor]) -> nn.Module:
    from open_clip.transformer import LayerNorm, VisionTransformer

    with torch.device("meta"):
        visual: nn.Module = VisionTransformer(
            config.image_size,
            config.patch_size,
            config.hidden_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.intermediate_size / config.hidden_size,
            output_dim=config.projection_dim,
            act_layer=_activation(config.hidden_act),
            norm_layer=partial(LayerNorm, eps=config.layer_norm_eps),
        )
    return _fill(visual, state, f"{CONTEXT}visual.", ("",))


def _activation(name: str) -> Callable[[], nn.Module]:
    from open_clip.transformer import QuickGELU

    known: dict[str, Callable[[], nn.Module]] = {
        "gelu": nn.GELU,
        "gelu_pytorch_tanh": partial(nn.GELU, approximate="tanh"),
        "quick_gelu": QuickGELU,
    }
    if name not in known:
        raise ValueError(f"`hidden_act` must be one of {', '.join(known)}, got {name!r}.")
    return known[name]


def _fill(
    module: nn.Module, state: Mapping[str, Tensor], prefix: str, parts: tuple[str, ...]
) -> nn.Module:
    tensors = {
        name: state[prefix + name].float() for name in module.state_dict() if name.startswith(parts)
    }
    module.load_state_dict(tensors, strict=False, assign=True)
    return module.eval().requires_grad_(False)
