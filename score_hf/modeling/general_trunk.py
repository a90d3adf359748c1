"""The general CLIP's image side: a ConvNeXt whose raw stages feed everything else."""

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import ConvNextConfig
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.models.convnext.modeling_convnext import (
    ConvNextEmbeddings,
    ConvNextPreTrainedModel,
    ConvNextStage,
)

from .open_vocabulary import FIRST_LOGIT_SCALE
from .pretrained_score import InitializesEveryModule


class ScoreVisualHead(nn.Module):
    """CLIP's head over pooled trunk features: norm, one or two layers, embedding space.

    Args:
        config: Configuration of the trunk.
        projection_dim: Width of the embedding space.
        kind: "mlp", two layers with a GELU between, or "linear", one.
        bias: Whether the last layer has a bias.
    """

    def __init__(
        self,
        config: ConvNextConfig,
        projection_dim: int,
        kind: Literal["mlp", "linear"] = "mlp",
        bias: bool = False,
    ) -> None:
        super().__init__()
        width = config.hidden_sizes[-1]
        self.kind = kind
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        if kind == "linear":
            self.projection = nn.Linear(width, projection_dim, bias=bias)
        else:
            self.fc1 = nn.Linear(width, 2 * projection_dim)
            self.act = ACT2FN["gelu"]
            self.fc2 = nn.Linear(2 * projection_dim, projection_dim, bias=bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Maps (..., trunk width) to (..., projection_dim), not normalised."""
        normed = self.norm(pooled)
        if self.kind == "linear":
            return self.projection(normed)
        return self.fc2(self.act(self.fc1(normed)))


class ScoreGeneralTrunk(InitializesEveryModule, ConvNextPreTrainedModel):
    """ConvNeXt of an OpenCLIP model with its visual head.

    `ConvNextBackbone` would add a layer norm to each stage that CLIP's trunk does not have, and
    `ConvNextModel` refuses sdpa although it holds no attention that would need another kind.

    Args:
        config: Configuration of the trunk; its `layer_norm_eps` is that of all norms.
        projection_dim: Width of the embedding space.
        head: Kind of the visual head, "mlp" or "linear".
        head_bias: Whether its last layer has a bias.
    """

    _supports_sdpa = True

    def __init__(
        self,
        config: ConvNextConfig,
        projection_dim: int,
        head: Literal["mlp", "linear"] = "mlp",
        head_bias: bool = False,
    ) -> None:
        super().__init__(config)
        self.embeddings = ConvNextEmbeddings(config)
        widths = [config.hidden_sizes[0], *config.hidden_sizes]
        self.stages = nn.ModuleList(
            ConvNextStage(
                config,
                in_channels=widths[i],
                out_channels=widths[i + 1],
                stride=1 if i == 0 else 2,
                depth=config.depths[i],
            )
            for i in range(config.num_stages)
        )
        # Transformers writes 1e-6 in each of them; OpenCLIP's largest ConvNeXt has 1e-5.
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.layer_norm_eps
        self.head = ScoreVisualHead(config, projection_dim, head, head_bias)
        # Scale of the general CLIP's own similarities.
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ScoreGeneralTrunk):
            init.constant_(module.logit_scale, FIRST_LOGIT_SCALE)

    def forward(self, pixel_values: Tensor) -> list[Tensor]:
        """Computes the stages.

        Args:
            pixel_values: (batch, 3, height, width).

        Returns:
            Raw stage outputs at strides 4, 8, 16 and 32, each (batch, channels, h, w).
        """
        features = self.embeddings(pixel_values.to(self.dtype))
        stages = []
        for stage in self.stages:
            features = stage(features)
            # The pixel decoder's convolutions and group norms want plain memory order.
            stages.append(features.contiguous())
        return stages
