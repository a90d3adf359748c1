"""What every part of SCORE shares as a Transformers model."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .configuration_score import ScoreConfig


class InitializesEveryModule:
    """Mixin of models whose initialisation also visits modules that own no tensor themselves.

    Transformers skips those in code outside its own tree, because foreign code may overwrite loaded
    weights. What derives from this class writes through `transformers.initialization` only, which
    never does.
    """

    @classmethod
    def is_custom_code(cls) -> bool:
        """Says no: that is how Transformers asks."""
        return False


class ScorePreTrainedModel(InitializesEveryModule, PreTrainedModel):
    """Base class: configuration, weight initialisation and which attention kinds are supported."""

    config: ScoreConfig
    base_model_prefix = "score"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = [
        "ConvNextLayer",
        "CLIPEncoderLayer",
        "ScorePixelDecoderLayer",
        "ScoreMaskDecoderLayer",
        "ScoreRegionLayer",
    ]
    # Deformable sampling at float16 positions misses its pixel; the original computes this part
    # in float32 even under mixed precision.
    _keep_in_fp32_modules_strict = ["pixel_decoder"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # Each module of ours knows its own initialisation; children come before their parents.
        initialize: Any = getattr(module, "init_own_weights", None)
        if initialize is not None:
            initialize()


def align_in_memory(model: nn.Module) -> None:
    """Moves tensors of the CPU to addresses that PyTorch itself would have chosen.

    In a file they lie anywhere, and the last bit of a matrix product depends on the address: a
    loaded model would not compute exactly what the saved one did.

    Args:
        model: The model; its values stay as they are.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % 64:
            tensor.data = tensor.data.clone()
