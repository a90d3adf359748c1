"""Random checkpoints in the original's layout, written down from its list of keys."""

import math

import torch
from torch import Tensor

QUERIES, HIDDEN, EMBEDDING, TEXT_WIDTH = 250, 32, 32, 64
STAGE_WIDTHS, STAGE_DEPTHS = (16, 32, 32, 64), (1, 1, 2, 1)
TOKENS, POSITIONS = 49408, 77
_EMBEDDINGS = ("_embedding.weight", "query_feat.weight", "query_embed.weight", "level_embed.weight")


def fc_clip_checkpoint(
    queries: int = QUERIES, classes: int = 133, linear_head: bool = False
) -> dict[str, Tensor]:
    """Returns a random FC-CLIP checkpoint of small widths.

    Args:
        queries: Object queries.
        classes: Number of classes that it was trained on.
        linear_head: Whether its visual head is one layer, as ConvNeXt-Base has it.
    """
    shapes = {
        "void_embedding.weight": (1, EMBEDDING),
        "criterion.empty_weight": (classes + 1,),
        **_prefixed("backbone.clip_model.", _text_tower()),
        **_prefixed("backbone.clip_model.visual.", _general_trunk(linear_head)),
        **_prefixed("sem_seg_head.pixel_decoder.", _pixel_decoder()),
        **_prefixed("sem_seg_head.predictor.", _predictor(queries)),
    }
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        tensor = torch.randn(shape, generator=generator)
        if "norm" in name or "ln_" in name or name.endswith("gamma"):
            tensor = 1 + 0.1 * tensor
        elif len(shape) > 1 and not name.endswith(_EMBEDDINGS):
            # Texts differ by what the blocks add to the end token, all else equal.
            gain = 3 if ".resblocks." in name else 1
            tensor = gain * tensor / math.sqrt(tensor[0].numel())
        elif len(shape) == 1:
            tensor = 0.1 * tensor
        state[name] = tensor
    state["criterion.empty_weight"] = torch.ones(classes + 1)
    state["criterion.empty_weight"][-1] = 0.1
    state["backbone.clip_model.logit_scale"] = torch.tensor(4.6)
    state["sem_seg_head.predictor.logit_scale"] = torch.tensor(3.0)
    return state


Shapes = dict[str, tuple[int, ...]]


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def _linear(name: str, out_width: int, in_width: int, *kernel: int) -> Shapes:
    return {f"{name}.weight": (out_width, in_width, *kernel), f"{name}.bias": (out_width,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _attention(name: str, width: int) -> Shapes:
    return {
        f"{name}.in_proj_weight": (3 * width, width),
        f"{name}.in_proj_bias": (3 * width,),
        **_linear(f"{name}.out_proj", width, width),
    }


def _text_tower() -> Shapes:
    shapes: Shapes = {
        "token_embedding.weight": (TOKENS, TEXT_WIDTH),
        "positional_embedding": (POSITIONS, TEXT_WIDTH),
        "text_projection": (TEXT_WIDTH, EMBEDDING),
        "logit_scale": (),
        **_norm("ln_final", TEXT_WIDTH),
    }
    for layer in range(2):
        block = f"transformer.resblocks.{layer}"
        shapes |= _norm(f"{block}.ln_1", TEXT_WIDTH) | _norm(f"{block}.ln_2", TEXT_WIDTH)
        shapes |= _attention(f"{block}.attn", TEXT_WIDTH)
        shapes |= _linear(f"{block}.mlp.c_fc", 4 * TEXT_WIDTH, TEXT_WIDTH)
        shapes |= _linear(f"{block}.mlp.c_proj", TEXT_WIDTH, 4 * TEXT_WIDTH)
    return shapes


def _general_trunk(linear_head: bool) -> Shapes:
    last = STAGE_WIDTHS[-1]
    shapes = _linear("trunk.stem.0", STAGE_WIDTHS[0], 3, 4, 4)
    shapes |= _norm("trunk.stem.1", STAGE_WIDTHS[0]) | _norm("trunk.head.norm", last)
    if linear_head:
        shapes["head.proj.weight"] = (EMBEDDING, last)
    else:
        shapes |= _linear("head.mlp.fc1", 2 * EMBEDDING, last)
        shapes["head.mlp.fc2.weight"] = (EMBEDDING, 2 * EMBEDDING)
    for stage, (width, depth) in enumerate(zip(STAGE_WIDTHS, STAGE_DEPTHS, strict=True)):
        place = f"trunk.stages.{stage}"
        if stage > 0:
            before = STAGE_WIDTHS[stage - 1]
            shapes |= _norm(f"{place}.downsample.0", before)
            shapes |= _linear(f"{place}.downsample.1", width, before, 2, 2)
        for block in range(depth):
            part = f"{place}.blocks.{block}"
            shapes |= {f"{part}.gamma": (width,)}
            shapes |= _linear(f"{part}.conv_dw", width, 1, 7, 7) | _norm(f"{part}.norm", width)
            shapes |= _linear(f"{part}.mlp.fc1", 4 * width, width)
            shapes |= _linear(f"{part}.mlp.fc2", width, 4 * width)
    return shapes


def _pixel_decoder() -> Shapes:
    heads, levels, points = 4, 3, 4
    shapes: Shapes = {
        "adapter_1.weight": (HIDDEN, STAGE_WIDTHS[0], 1, 1),
        "layer_1.weight": (HIDDEN, HIDDEN, 3, 3),
        "transformer.level_embed": (levels, HIDDEN),
        **_norm("adapter_1.norm", HIDDEN),
        **_norm("layer_1.norm", HIDDEN),
        **_linear("mask_features", HIDDEN, HIDDEN, 1, 1),
    }
    for level, width in enumerate(STAGE_WIDTHS[:0:-1]):
        shapes |= _linear(f"input_proj.{level}.0", HIDDEN, width, 1, 1)
        shapes |= _norm(f"input_proj.{level}.1", HIDDEN)
    for layer in range(2):
        place, samples = f"transformer.encoder.layers.{layer}", heads * levels * points
        shapes |= _linear(f"{place}.self_attn.sampling_offsets", 2 * samples, HIDDEN)
        shapes |= _linear(f"{place}.self_attn.attention_weights", samples, HIDDEN)
        shapes |= _linear(f"{place}.self_attn.value_proj", HIDDEN, HIDDEN)
        shapes |= _linear(f"{place}.self_attn.output_proj", HIDDEN, HIDDEN)
        shapes |= _linear(f"{place}.linear1", 48, HIDDEN) | _linear(f"{place}.linear2", HIDDEN, 48)
        shapes |= _norm(f"{place}.norm1", HIDDEN) | _norm(f"{place}.norm2", HIDDEN)
    return shapes


def _predictor(queries: int) -> Shapes:
    shapes: Shapes = {
        "query_feat.weight": (queries, HIDDEN),
        "query_embed.weight": (queries, HIDDEN),
        "level_embed.weight": (3, HIDDEN),
        "logit_scale": (),
        **_norm("decoder_norm", HIDDEN),
        **_norm("_mask_pooling_proj.0", HIDDEN),
        **_linear("_mask_pooling_proj.1", HIDDEN, HIDDEN),
    }
    for name, width in (("mask_embed", HIDDEN), ("class_embed", EMBEDDING)):
        for layer, out_width in enumerate((HIDDEN, HIDDEN, width)):
            shapes |= _linear(f"{name}.layers.{layer}", out_width, HIDDEN)
    for layer in range(3):
        cross = f"transformer_cross_attention_layers.{layer}"
        own, ffn = f"transformer_self_attention_layers.{layer}", f"transformer_ffn_layers.{layer}"
        shapes |= _attention(f"{cross}.multihead_attn", HIDDEN) | _norm(f"{cross}.norm", HIDDEN)
        shapes |= _attention(f"{own}.self_attn", HIDDEN) | _norm(f"{own}.norm", HIDDEN)
        shapes |= _linear(f"{ffn}.linear1", 40, HIDDEN) | _linear(f"{ffn}.linear2", HIDDEN, 40)
        shapes |= _norm(f"{ffn}.norm", HIDDEN)
    return shapes
