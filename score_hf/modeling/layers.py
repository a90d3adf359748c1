"""Small parts that several modules use: attention, perceptron, positions, pooling in masks."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_score import ScoreConfig

# Added to a mask's size, by which an empty one is divided as well.
NOTHING = 1e-8


def init_torch_linear(linear: nn.Linear) -> None:
    """Initialises a linear layer as PyTorch does on its own."""
    init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
    if linear.bias is not None:
        bound = 1 / math.sqrt(linear.in_features)
        init.uniform_(linear.bias, -bound, bound)


def eager_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Attention written out; the readable twin of PyTorch's fused kernel.

    Args:
        module: The calling module, for its training flag.
        query: (batch, heads, queries, head width).
        key: (batch, heads, keys, head width).
        value: (batch, heads, keys, head width).
        attention_mask: Boolean, broadcastable to (batch, heads, queries, keys); True attends.
        scaling: Factor of the products.
        dropout: Probability of dropping a weight.

    Returns:
        The attended values (batch, queries, heads, head width) and the weights
        (batch, heads, queries, keys).
    """
    scores = query @ key.transpose(-2, -1) * scaling
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, float("-inf"))
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2), weights


class ScoreAttention(nn.Module):
    """Multi-head attention with biases, initialised as `nn.MultiheadAttention`.

    Args:
        config: Says which implementation of attention runs.
        width: Width of queries, keys and values.
        num_heads: Heads; must divide the width.
        dropout: Dropout of the attention weights in training.
    """

    def __init__(
        self, config: ScoreConfig, width: int, num_heads: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.config = config
        self.head_width = width // num_heads
        self.dropout = dropout
        self.is_causal = False
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def init_own_weights(self) -> None:
        """Xavier bounds of one packed (3 x width, width) matrix, zero biases."""
        for projection in (self.q_proj, self.k_proj, self.v_proj):
            init.xavier_uniform_(projection.weight, gain=1 / math.sqrt(2))
            init.zeros_(projection.bias)
        init.kaiming_uniform_(self.out_proj.weight, a=math.sqrt(5))
        init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Lets every query attend to all keys.

        Args:
            query: (batch, queries, width).
            key: (batch, keys, width).
            value: (batch, keys, width).
            attention_mask: Boolean (batch, 1, queries, keys); True attends.

        Returns:
            The output (batch, queries, width), and the weights (batch, heads, queries, keys) or
            None where the implementation does not give them.
        """
        if key.shape[1] == 1 and attention_mask is None:
            return self._attend_to_one(query, key, value), None
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        out, weights = attend(
            self,
            self._split_heads(self.q_proj(query)),
            self._split_heads(self.k_proj(key)),
            self._split_heads(self.v_proj(value)),
            attention_mask,
            scaling=self.head_width**-0.5,
            dropout=self.dropout if self.training else 0.0,
        )
        return self.out_proj(out.flatten(2)), weights

    def _attend_to_one(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attends to a single key, whose weight is 1 whatever query and key are."""
        values = self.v_proj(value)
        if not self.training:
            return self.out_proj(values).expand(-1, query.shape[1], -1)
        # For one query alone, and not by a fused kernel: so their projections have a gradient, of
        # exactly zero, for which processes wait and by which the optimiser still decays them.
        first = self.q_proj(query[:1, :1]) * self.k_proj(key[:1])
        weight = first.unflatten(-1, (-1, self.head_width)).sum(dim=-1)[..., None, None].softmax(-1)
        # (1, 1, heads, 1, 1) -> (batch, queries, heads, 1)
        weights = weight[..., 0].to(values.dtype).expand(*query.shape[:2], -1, -1)
        weights = nn.functional.dropout(weights, self.dropout)
        values = values.unflatten(-1, (-1, self.head_width)) * weights
        return self.out_proj(values.flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        # (batch, length, width) -> (batch, heads, length, head width)
        return x.unflatten(-1, (-1, self.head_width)).transpose(1, 2)


class ScoreMLP(nn.Module):
    """Three linear layers with ReLU between them.

    Args:
        width: Width of input and hidden layers.
        out_width: Width of the output.
    """

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, out_width)]
        )

    def init_own_weights(self) -> None:
        """PyTorch's own initialisation."""
        layers: Any = self.layers
        for layer in layers:
            init_torch_linear(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., width) to (..., out_width)."""
        first, second, last = self.layers
        return last(second(first(x).relu()).relu())


def sine_position_embedding(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Two-dimensional sine position embedding of DETR, normalised to the map's size.

    Args:
        height: Rows of the map.
        width: Columns of the map.
        channels: Channels of the result; the first half encodes the row, the second the column.
        device: Where it is made.

    Returns:
        (height x width, channels) float32, row by row.
    """
    half = channels // 2
    # Sine and cosine share a frequency: 0, 0, 2, 2, 4, 4, ...
    exponent = 2 * (torch.arange(half, device=device) // 2) / half
    frequency = 10000.0**exponent

    def encode(length: int) -> Tensor:
        position = torch.arange(1, length + 1, device=device, dtype=torch.float32)
        phase = (position / (length + 1e-6) * 2 * math.pi)[:, None] / frequency
        return torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1)

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=2).flatten(0, 1)


def pool_in_masks(features: Tensor, masks: Tensor) -> Tensor:
    """Averages features inside each mask, in float32.

    Args:
        features: (batch, channels, height, width).
        masks: (batch, queries, height, width), boolean or weights from 0 up.

    Returns:
        (batch, queries, channels) in the features' type; zeros for an empty mask.
    """
    # Shares of a pixel are too small for half precision.
    with torch.autocast(device_type=masks.device.type, enabled=False):
        pixels, weights = features.float().flatten(2), masks.flatten(2)
        if masks.dtype == torch.bool:
            pooled = _MeanInside.apply(pixels, weights)
        else:
            shares = weights.float()
            shares = shares / (shares.sum(dim=-1, keepdim=True) + NOTHING)
            pooled = shares @ pixels.transpose(1, 2)
    return pooled.to(features.dtype)


class _MeanInside(torch.autograd.Function):
    """Means of features (batch, channels, pixels) inside boolean masks (batch, queries, pixels).

    It keeps the masks as they are until the backward pass: a quarter of what their shares take.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, masks: Tensor) -> Tensor:
        weights = masks.to(features.dtype)
        size = weights.sum(dim=-1, keepdim=True) + NOTHING
        ctx.save_for_backward(masks, size)
        return weights @ features.transpose(1, 2) / size

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None
        masks, size = ctx.saved_tensors
        return (gradient / size).transpose(1, 2) @ masks.to(gradient.dtype), None
