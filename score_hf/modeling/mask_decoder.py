"""The mask decoder of Mask2Former: queries that attend inside their own last mask."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import OutputRecorder, capture_outputs
from typing_extensions import Unpack

from .configuration_score import ScoreConfig
from .layers import ScoreAttention, ScoreMLP, init_torch_linear, sine_position_embedding
from .pretrained_score import ScorePreTrainedModel


@dataclass
class ScoreMaskDecoderOutput(ModelOutput):
    """Predictions of the mask decoder, from the learned queries (0) to the last layer.

    Args:
        queries: One (batch, queries, width) tensor a prediction: the normed queries.
        mask_embeddings: Likewise: what makes masks of mask features, see [`form_masks`].
        hidden_states: Queries before the first and after each layer, if asked for.
        attentions: Self-attention weights of each layer, if asked for.
        cross_attentions: Cross-attention weights of each layer, if asked for.
    """

    queries: tuple[Tensor, ...] | None = None
    mask_embeddings: tuple[Tensor, ...] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None


class ScoreMaskDecoderLayer(GradientCheckpointingLayer):
    """Masked cross-attention, self-attention, feed-forward; each followed by its norm.

    Args:
        config: Gives widths and heads.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width, heads = config.hidden_size, config.num_attention_heads
        self.cross_attn = ScoreAttention(config, width, heads)
        self.cross_attn_norm = nn.LayerNorm(width)
        self.self_attn = ScoreAttention(config, width, heads)
        self.self_attn_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, width)
        self.final_norm = nn.LayerNorm(width)

    def init_own_weights(self) -> None:
        """Xavier matrices throughout; biases of the feed-forward network as PyTorch's."""
        for attention in (self.cross_attn, self.self_attn):
            init.xavier_uniform_(attention.out_proj.weight)
        for layer in (self.fc1, self.fc2):
            init_torch_linear(layer)
            init.xavier_uniform_(layer.weight)

    def forward(
        self,
        hidden_states: Tensor,
        query_positions: Tensor,
        keys: Tensor,
        values: Tensor,
        attention_mask: Tensor,
    ) -> Tensor:
        """Updates the queries.

        Args:
            hidden_states: (batch, queries, width).
            query_positions: (queries, width).
            keys: (batch, positions, width) of one map, with positions.
            values: The same without positions.
            attention_mask: (batch, 1, queries, positions); True attends.

        Returns:
            (batch, queries, width).
        """
        update, _ = self.cross_attn(hidden_states + query_positions, keys, values, attention_mask)
        hidden_states = self.cross_attn_norm(hidden_states + update)
        placed = hidden_states + query_positions
        update, _ = self.self_attn(placed, placed, hidden_states)
        hidden_states = self.self_attn_norm(hidden_states + update)
        update = self.fc2(self.fc1(hidden_states).relu())
        return self.final_norm(hidden_states + update)


class ScoreMaskDecoder(ScorePreTrainedModel):
    """Learned queries become masks, layer by layer (Mask2Former).

    Args:
        config: Configuration of the model.
    """

    main_input_name = "mask_features"
    _can_record_outputs = {
        "hidden_states": ScoreMaskDecoderLayer,
        "attentions": OutputRecorder(ScoreAttention, index=1, layer_name="self_attn"),
        "cross_attentions": OutputRecorder(ScoreAttention, index=1, layer_name="cross_attn"),
    }

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.query_features = nn.Embedding(config.num_queries, width)
        self.query_positions = nn.Embedding(config.num_queries, width)
        self.level_embedding = nn.Embedding(len(config.general_config.hidden_sizes) - 1, width)
        self.layers = nn.ModuleList(
            ScoreMaskDecoderLayer(config) for _ in range(config.num_hidden_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.mask_mlp = ScoreMLP(width, width)
        self.post_init()

    def init_own_weights(self) -> None:
        """Standard normal queries and levels."""
        for embedding in (self.query_features, self.query_positions, self.level_embedding):
            init.normal_(embedding.weight)

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        mask_features: Tensor,
        maps: list[Tensor],
        **kwargs: Unpack[TransformersKwargs],
    ) -> ScoreMaskDecoderOutput:
        """Decodes the queries.

        Args:
            mask_features: (batch, width, h, w) at stride 4.
            maps: (batch, width, h, w) at strides 32, 16 and 8; layer i attends to map i mod 3.
            **kwargs: Which intermediate outputs to record.

        Returns:
            All predictions.
        """
        # Resizing is linear, so a mask's logits at a map's resolution are the product with the
        # features resized: far fewer numbers than the full mask resized.
        small_features = [
            nn.functional.interpolate(
                mask_features, size=level.shape[-2:], mode="bilinear", align_corners=False
            )
            for level in maps
        ]
        sources = self._sources(maps)
        batch = mask_features.shape[0]
        hidden_states = self.query_features.weight.expand(batch, -1, -1)
        queries = [self.norm(hidden_states)]
        mask_embeddings = [self.mask_mlp(queries[0])]
        for index, layer in enumerate(self.layers):
            level = index % len(maps)
            attend = _attention_mask(mask_embeddings[-1], small_features[level])
            hidden_states = layer(
                hidden_states, self.query_positions.weight, *sources[level], attend
            )
            queries.append(self.norm(hidden_states))
            mask_embeddings.append(self.mask_mlp(queries[-1]))
        return ScoreMaskDecoderOutput(
            queries=tuple(queries), mask_embeddings=tuple(mask_embeddings)
        )

    def _sources(self, maps: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (batch, positions, width) of each map."""
        sources = []
        for level, embedding in zip(maps, self.level_embedding.weight, strict=True):
            height, width = level.shape[-2:]
            values = level.flatten(2).transpose(1, 2) + embedding
            position = sine_position_embedding(height, width, values.shape[-1], values.device)
            sources.append((values + position.to(values.dtype), values))
        return sources


def form_masks(mask_embeddings: Tensor, features: Tensor) -> Tensor:
    """Multiplies embeddings (..., queries, width) and features (..., width, h, w) to mask logits.

    Returns:
        (..., queries, h, w).
    """
    return (mask_embeddings @ features.flatten(-2)).unflatten(-1, features.shape[-2:])


@torch.no_grad()
def _attention_mask(mask_embeddings: Tensor, features: Tensor) -> Tensor:
    """Lets each query attend where its mask is: (batch, 1, queries, h x w), True attends."""
    attend = form_masks(mask_embeddings, features).flatten(2) >= 0
    # A query with an empty mask would attend to nothing at all: it attends everywhere.
    attend = attend | ~attend.any(dim=-1, keepdim=True)
    return attend.unsqueeze(1)
