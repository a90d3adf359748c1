"""The parameter names of the original detectron2 checkpoint, and ours.

Names differ by prefix. Two kinds of tensor differ in form: the original packs the projections of
an attention into one matrix (query, key, value, one below the other), and stores CLIP's last
projections transposed.
"""

import re

from torch import Tensor, cat

# How the names of the original begin, but for a few that both have.
ORIGINAL_ROOTS = ("backbone.", "sem_seg_head.", "clip_rs.", "gca.")
# Ours, the original's; `{}` stands for a number. Both end where a shared rest of the name begins.
_PREFIXES = (
    ("general_trunk.embeddings.patch_embeddings.", "backbone.clip_model.visual.trunk.stem.0."),
    ("general_trunk.embeddings.layernorm.", "backbone.clip_model.visual.trunk.stem.1."),
    (
        "general_trunk.stages.{}.downsampling_layer.{}.",
        "backbone.clip_model.visual.trunk.stages.{}.downsample.{}.",
    ),
    *(
        (
            f"general_trunk.stages.{{}}.layers.{{}}.{ours}",
            f"backbone.clip_model.visual.trunk.stages.{{}}.blocks.{{}}.{theirs}",
        )
        for ours, theirs in (
            ("layer_scale_parameter", "gamma"),
            ("dwconv.", "conv_dw."),
            ("layernorm.", "norm."),
            ("pwconv1.", "mlp.fc1."),
            ("pwconv2.", "mlp.fc2."),
        )
    ),
    ("general_trunk.head.norm.", "backbone.clip_model.visual.trunk.head.norm."),
    ("general_trunk.head.", "backbone.clip_model.visual.head.mlp."),
    ("general_trunk.head.projection.", "backbone.clip_model.visual.head.proj."),
    ("general_trunk.logit_scale", "backbone.clip_model.logit_scale"),
    *(
        (f"{ours}.{our_part}", f"{theirs}.{their_part}")
        for ours, theirs in (
            ("text_tower", "backbone.clip_model"),
            ("context_text_tower", "clip_rs.clip_model"),
        )
        for our_part, their_part in (
            ("text_model.embeddings.token_embedding.", "token_embedding."),
            ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
            ("text_model.final_layer_norm.", "ln_final."),
            ("text_projection.weight", "text_projection"),
            ("text_model.encoder.layers.{}.layer_norm1.", "transformer.resblocks.{}.ln_1."),
            ("text_model.encoder.layers.{}.layer_norm2.", "transformer.resblocks.{}.ln_2."),
            ("text_model.encoder.layers.{}.self_attn.", "transformer.resblocks.{}.attn."),
            ("text_model.encoder.layers.{}.mlp.fc1.", "transformer.resblocks.{}.mlp.c_fc."),
            ("text_model.encoder.layers.{}.mlp.fc2.", "transformer.resblocks.{}.mlp.c_proj."),
        )
    ),
    ("context_logit_scale", "clip_rs.clip_model.logit_scale"),
    *(
        (f"context_trunk.{ours}", f"clip_rs.clip_model.visual.{theirs}")
        for ours, theirs in (
            ("visual_projection.weight", "proj"),
            ("vision_model.embeddings.patch_embedding.", "conv1."),
            ("vision_model.embeddings.class_embedding", "class_embedding"),
            ("vision_model.embeddings.position_embedding.weight", "positional_embedding"),
            ("vision_model.pre_layrnorm.", "ln_pre."),
            ("vision_model.post_layernorm.", "ln_post."),
            ("vision_model.encoder.layers.{}.layer_norm1.", "transformer.resblocks.{}.ln_1."),
            ("vision_model.encoder.layers.{}.layer_norm2.", "transformer.resblocks.{}.ln_2."),
            ("vision_model.encoder.layers.{}.self_attn.", "transformer.resblocks.{}.attn."),
            ("vision_model.encoder.layers.{}.mlp.fc1.", "transformer.resblocks.{}.mlp.c_fc."),
            ("vision_model.encoder.layers.{}.mlp.fc2.", "transformer.resblocks.{}.mlp.c_proj."),
        )
    ),
    ("global_adaptation.attention.", "gca.multiattn.0."),
    ("void_embedding.", "void_embedding."),
    *(
        (f"pixel_decoder.{ours}", f"sem_seg_head.pixel_decoder.{theirs}")
        for ours, theirs in (
            ("input_projections.{}.conv.", "input_proj.{}.0."),
            ("input_projections.{}.norm.", "input_proj.{}.1."),
            ("lateral.conv.", "adapter_1."),
            ("lateral.norm.", "adapter_1.norm."),
            ("output.conv.", "layer_1."),
            ("output.norm.", "layer_1.norm."),
            ("mask_projection.", "mask_features."),
            ("level_embedding", "transformer.level_embed"),
            ("layers.{}.self_attn_norm.", "transformer.encoder.layers.{}.norm1."),
            ("layers.{}.final_norm.", "transformer.encoder.layers.{}.norm2."),
            ("layers.{}.fc1.", "transformer.encoder.layers.{}.linear1."),
            ("layers.{}.fc2.", "transformer.encoder.layers.{}.linear2."),
            ("layers.{}.self_attn.", "transformer.encoder.layers.{}.self_attn."),
        )
    ),
    *(
        (ours, f"sem_seg_head.predictor.{theirs}")
        for ours, theirs in (
            ("mask_decoder.query_features.", "query_feat."),
            ("mask_decoder.query_positions.", "query_embed."),
            ("mask_decoder.level_embedding.", "level_embed."),
            ("mask_decoder.norm.", "decoder_norm."),
            ("mask_decoder.mask_mlp.", "mask_embed."),
            (
                "mask_decoder.layers.{}.cross_attn.",
                "transformer_cross_attention_layers.{}.multihead_attn.",
            ),
            (
                "mask_decoder.layers.{}.cross_attn_norm.",
                "transformer_cross_attention_layers.{}.norm.",
            ),
            (
                "mask_decoder.layers.{}.self_attn.",
                "transformer_self_attention_layers.{}.self_attn.",
            ),
            (
                "mask_decoder.layers.{}.self_attn_norm.",
                "transformer_self_attention_layers.{}.norm.",
            ),
            ("mask_decoder.layers.{}.fc1.", "transformer_ffn_layers.{}.linear1."),
            ("mask_decoder.layers.{}.fc2.", "transformer_ffn_layers.{}.linear2."),
            ("mask_decoder.layers.{}.final_norm.", "transformer_ffn_layers.{}.norm."),
            ("class_head.class_mlp.", "class_embed."),
            ("class_head.pool_norm.", "_mask_pooling_proj.0."),
            ("class_head.pool_projection.", "_mask_pooling_proj.1."),
            ("class_head.logit_scale", "logit_scale"),
            ("region_integration.weight", "learnable_weight"),
            ("region_integration.formation.kernel_logits", "kernel_size_logits"),
            ("region_integration.layers.{}.self_attn_norm.", "transformer.layers.{}.norm1."),
            ("region_integration.layers.{}.final_norm.", "transformer.layers.{}.norm2."),
            ("region_integration.layers.{}.fc1.", "transformer.layers.{}.linear1."),
            ("region_integration.layers.{}.fc2.", "transformer.layers.{}.linear2."),
            ("region_integration.layers.{}.self_attn.", "transformer.layers.{}.self_attn."),
        )
    ),
)
_PACKED = ("q_proj", "k_proj", "v_proj")
_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")


def from_original(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Renames and reshapes the original's tensors.

    Args:
        state: Tensors under the original's names.

    Returns:
        Tensors under ours, and the original names that have no place here.

    Raises:
        ValueError: If packed projections are no three.
    """
    ours: dict[str, Tensor] = {}
    unused = []
    for name, tensor in state.items():
        renamed = _rename(name, to_ours=True)
        if renamed is None:
            unused.append(name)
        elif ".in_proj_" in renamed:
            if tensor.ndim == 0 or tensor.shape[0] % len(_PACKED):
                raise ValueError(
                    f"{name} must hold query, key and value projection one below the other, got "
                    f"shape {tuple(tensor.shape)}."
                )
            for part, projection in zip(tensor.chunk(3), _PACKED, strict=True):
                ours[renamed.replace("in_proj_", f"{projection}.")] = part
        else:
            ours[renamed] = tensor.T if renamed.endswith(_TRANSPOSED) else tensor
    return ours, unused


def to_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gives our tensors (or their gradients) the original's names and forms.

    Args:
        state: Tensors under our names.

    Returns:
        Tensors under the original's; what the original does not have is left out.
    """
    theirs: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            parts = [state[name.replace("q_proj", projection)] for projection in _PACKED]
            name, tensor = name.replace("q_proj.", "in_proj_"), cat(parts)
        renamed = _rename(name, to_ours=False)
        if renamed is not None:
            theirs[renamed] = tensor.T if name.endswith(_TRANSPOSED) else tensor
    return theirs


def _rename(name: str, to_ours: bool) -> str | None:
    best, renamed = 0, None
    for ours, theirs in _PREFIXES:
        source, target = (theirs, ours) if to_ours else (ours, theirs)
        match = re.match(re.escape(source).replace(r"\{\}", r"(\d+)"), name)
        # The longest prefix wins: `adapter_1.norm.` before `adapter_1.`.
        complete = source.endswith(".") or (match is not None and match.end() == len(name))
        if match is not None and complete and match.end() > best:
            best, renamed = match.end(), target.format(*match.groups()) + name[match.end() :]
    return renamed
