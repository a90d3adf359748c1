"""OpenCLIP models that are small enough for a test, and files of their random weights."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

TEXT = {"width": 16, "heads": 2, "layers": 2}
CONVNEXT = {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "mlp"}
VIT = {"width": 32, "head_width": 8, "layers": 3, "patch_size": 8, "image_size": 32}


def convnext_config(embed_dim: int = 32, text: dict[str, Any] | None = None, **vision: Any) -> dict:
    """Returns open_clip's configuration of a small ConvNeXt CLIP."""
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {**CONVNEXT, **vision},
        "text_cfg": {**TEXT, **(text or {})},
    }


def vit_config(embed_dim: int = 32, text: dict[str, Any] | None = None, **vision: Any) -> dict:
    """Returns open_clip's configuration of a small CLIP with a vision transformer."""
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {**VIT, **vision},
        "text_cfg": {**TEXT, **(text or {})},
    }


def make_model(config: dict[str, Any], seed: int = 0, **changes: Any) -> open_clip.CLIP:
    """Builds open_clip's model with random weights, norms and biases included."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(**{**config, **changes}).eval().requires_grad_(False)
    for name, tensor in model.named_parameters():
        if name.endswith("bias") or (tensor.ndim <= 1 and name != "logit_scale"):
            # What starts as zeros and ones would not show when it is mixed up.
            tensor.add_(0.2 * torch.randn_like(tensor))
    return model


def write_folder(folder: Path, config: dict[str, Any], model: nn.Module, **more: Any) -> str:
    """Writes configuration and weights as on the Hub; returns the model's name."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model_cfg": config, **more}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    return f"local-dir:{folder}"


def make_jit_archive(file: Path, model: open_clip.CLIP) -> None:
    """Writes a traced model as OpenAI published its own: half precision but for the norms."""
    side, length = model.visual.image_size[0], model.context_length
    for name, value in (
        ("input_resolution", side),
        ("context_length", length),
        ("vocab_size", model.vocab_size),
    ):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(value))
    # No buffer in OpenAI's class.
    mask = model.attn_mask
    del model.attn_mask
    model.attn_mask = mask
    pixels, ids = torch.zeros(1, 3, side, side), torch.zeros(1, length, dtype=torch.int64)
    traced = torch.jit.trace(model, (pixels, ids), check_trace=False)
    for name, tensor in traced.named_parameters():
        if not any(part in name for part in ("ln_", "embedding", "logit_scale")):
            tensor.data = tensor.data.half()
    traced.save(str(file))
