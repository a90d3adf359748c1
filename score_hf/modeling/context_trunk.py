"""The remote-sensing CLIP's image side: global and dense context of a scene."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
from transformers.utils import ModelOutput

from .pretrained_score import InitializesEveryModule


@dataclass
class SceneContext(ModelOutput):
    """What the context trunk says about a scene (paper Eq. 2), in its embedding space.

    Args:
        cls: (batch, width), the projected [CLS] token, not normalised.
        patches: (batch, width, rows, columns), the projected patch tokens.
        intermediate: The same of the block that was asked for, else None.
    """

    cls: Tensor | None = None
    patches: Tensor | None = None
    intermediate: Tensor | None = None


class ScoreContextTrunk(InitializesEveryModule, CLIPVisionModelWithProjection):
    """CLIP's vision transformer with the original's last block.

    That block runs without attention: each token only passes through its own value and output
    projections, and the residual of every token is the [CLS] token of the block's input.
    """

    def forward(self, pixel_values: Tensor, intermediate_layer: int | None = None) -> SceneContext:
        """Extracts the context of each image.

        Args:
            pixel_values: (batch, 3, height, width), normalised; resized to the trunk's square.
            intermediate_layer: A block, counted from 1, whose patch tokens are wanted as well.
                They pass through the trunk's own last norm and projection, so that they need no
                weights of their own; the paper does not say how it brings them to the width.

        Returns:
            The context.
        """
        trunk = self.vision_model
        side: Any = self.config.image_size
        pixel_values = nn.functional.interpolate(
            pixel_values, size=(side, side), mode="bilinear", align_corners=False
        )
        tokens = trunk.pre_layrnorm(trunk.embeddings(pixel_values.to(self.dtype)))
        intermediate = None
        *blocks, last = trunk.encoder.layers
        for number, block in enumerate(blocks, start=1):
            tokens = block(tokens, None)
            if number == intermediate_layer:
                intermediate = tokens
        tokens = self._last_block(last, tokens)
        if intermediate_layer == len(trunk.encoder.layers):
            intermediate = tokens

        projected = self._project(tokens)
        if intermediate is not None:
            intermediate = self._as_map(self._project(intermediate))
        return SceneContext(
            cls=projected[:, 0], patches=self._as_map(projected), intermediate=intermediate
        )

    @staticmethod
    def _last_block(block: CLIPEncoderLayer, tokens: Tensor) -> Tensor:
        attention = block.self_attn
        update = attention.out_proj(attention.v_proj(block.layer_norm1(tokens)))
        hidden = update + tokens[:, :1]
        return hidden + block.mlp(block.layer_norm2(hidden))

    def _project(self, tokens: Tensor) -> Tensor:
        return self.visual_projection(self.vision_model.post_layernorm(tokens))

    @staticmethod
    def _as_map(tokens: Tensor) -> Tensor:
        rows = math.isqrt(tokens.shape[1] - 1)
        # (batch, 1 + rows x columns, width) -> (batch, width, rows, columns)
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (rows, -1))
