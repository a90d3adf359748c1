"""The pixel decoder of Mask2Former: deformable attention over strides 32 to 8, then stride 4."""

import math

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_score import ScoreConfig
from .deformable_sampling import gather_deformable
from .layers import init_torch_linear, sine_position_embedding

GROUPS = 32


class ScoreDeformableAttention(nn.Module):
    """Each position looks at a few learned places of every level (Deformable DETR).

    Args:
        config: Gives width, heads and points.
        levels: Number of maps.
    """

    def __init__(self, config: ScoreConfig, levels: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.num_points = config.pixel_decoder_points
        self.num_levels = levels
        samples = self.num_heads * levels * self.num_points
        self.sampling_offsets = nn.Linear(width, samples * 2)
        self.attention_weights = nn.Linear(width, samples)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def init_own_weights(self) -> None:
        """Heads look in evenly spread directions, point p at p + 1 pixels' distance."""
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        direction = torch.stack((angle.cos(), angle.sin()), dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        distance = torch.arange(1, self.num_points + 1)
        # (heads, levels, points, 2)
        ring = direction[:, None, None] * distance[None, None, :, None]
        ring = ring.expand(-1, self.num_levels, -1, -1)
        init.zeros_(self.sampling_offsets.weight)
        init.copy_(self.sampling_offsets.bias, ring.reshape(-1))
        init.zeros_(self.attention_weights.weight)
        init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            init.xavier_uniform_(projection.weight)
            init.zeros_(projection.bias)

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Tensor,
        reference_points: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Attends.

        Args:
            hidden_states: (batch, positions, width), the levels one after another.
            position_embeddings: The same shape; added for where to look, not for what is seen.
            reference_points: (positions, 2) as (x, y) from 0 to 1.
            shapes: (height, width) of each level.

        Returns:
            (batch, positions, width).
        """
        batch, positions, _ = hidden_states.shape
        layout = (self.num_heads, self.num_levels, self.num_points)
        queries = hidden_states + position_embeddings

        offsets = self.sampling_offsets(queries).view(batch, positions, *layout, 2)
        # Not as one list: a size that is free in an exported graph would be fixed by it.
        sides = [offsets.new_full((), side) for shape in shapes for side in reversed(shape)]
        sizes = torch.stack(sides).view(-1, 2)
        locations = reference_points[:, None, None, None] + offsets / sizes[:, None]
        weights = self.attention_weights(queries).view(batch, positions, self.num_heads, -1)
        weights = weights.softmax(dim=-1).view(batch, positions, *layout)

        values = self.value_proj(hidden_states).unflatten(-1, (self.num_heads, -1))
        return self.output_proj(gather_deformable(values, shapes, locations, weights))


class ScorePixelDecoderLayer(GradientCheckpointingLayer):
    """One post-norm layer of the deformable encoder.

    Args:
        config: Gives widths, heads and points.
        levels: Number of maps.
    """

    def __init__(self, config: ScoreConfig, levels: int) -> None:
        super().__init__()
        self.self_attn = ScoreDeformableAttention(config, levels)
        self.self_attn_norm = nn.LayerNorm(config.hidden_size)
        self.fc1 = nn.Linear(config.hidden_size, config.pixel_decoder_intermediate_size)
        self.fc2 = nn.Linear(config.pixel_decoder_intermediate_size, config.hidden_size)
        self.final_norm = nn.LayerNorm(config.hidden_size)

    def init_own_weights(self) -> None:
        """Xavier matrices; biases as PyTorch's."""
        for layer in (self.fc1, self.fc2):
            init_torch_linear(layer)
            init.xavier_uniform_(layer.weight)

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Tensor,
        reference_points: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Maps (batch, positions, width) to the same shape; arguments as in the attention."""
        attended = self.self_attn(hidden_states, position_embeddings, reference_points, shapes)
        hidden_states = self.self_attn_norm(hidden_states + attended)
        update = self.fc2(self.fc1(hidden_states).relu())
        return self.final_norm(hidden_states + update)


class ScoreNormedConvolution(nn.Module):
    """A convolution without bias, followed by group norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def init_own_weights(self) -> None:
        """Kaiming uniform with a = 1."""
        init.kaiming_uniform_(self.conv.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, in_channels, h, w) to (batch, out_channels, h, w)."""
        return self.norm(self.conv(x))


class ScoreInputProjection(nn.Module):
    """A 1x1 convolution with bias, followed by group norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def init_own_weights(self) -> None:
        """Xavier uniform, zero bias."""
        init.xavier_uniform_(self.conv.weight)
        init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, in_channels, h, w) to (batch, out_channels, h, w)."""
        return self.norm(self.conv(x))


class ScorePixelDecoder(nn.Module):
    """Turns the general trunk's stages into maps for the mask decoder.

    It computes in its own weights' precision (float32 unless the user casts it), also under
    autocast, as the original does.

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width = config.hidden_size
        stride4, *coarser = config.general_config.hidden_sizes
        # Coarsest first, here and in everything below.
        self.input_projections = nn.ModuleList(
            ScoreInputProjection(channels, width) for channels in reversed(coarser)
        )
        levels = len(self.input_projections)
        self.level_embedding = nn.Parameter(torch.empty(levels, width))
        self.layers = nn.ModuleList(
            ScorePixelDecoderLayer(config, levels) for _ in range(config.pixel_decoder_layers)
        )
        self.lateral = ScoreNormedConvolution(stride4, width, kernel_size=1)
        self.output = ScoreNormedConvolution(width, width, kernel_size=3)
        self.mask_projection = nn.Conv2d(width, width, kernel_size=1)

    def init_own_weights(self) -> None:
        """Normal level embeddings, Kaiming uniform mask projection."""
        init.normal_(self.level_embedding)
        init.kaiming_uniform_(self.mask_projection.weight, a=1)
        init.zeros_(self.mask_projection.bias)

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decodes.

        Args:
            stages: The trunk's outputs at strides 4, 8, 16 and 32.

        Returns:
            Mask features (batch, width, h, w) at stride 4, and the encoder's maps at strides 32,
            16 and 8.
        """
        with torch.autocast(device_type=stages[0].device.type, enabled=False):
            stride4, *coarser = [stage.to(self.level_embedding.dtype) for stage in stages]
            projected = [
                project(stage)
                for project, stage in zip(self.input_projections, reversed(coarser), strict=True)
            ]
            maps = self._encode(projected)
            fine = self.lateral(stride4)
            fine = fine + nn.functional.interpolate(
                maps[-1], size=fine.shape[-2:], mode="bilinear", align_corners=False
            )
            return self.mask_projection(self.output(fine).relu()), maps

    def _encode(self, projected: list[Tensor]) -> list[Tensor]:
        shapes = [(level.shape[-2], level.shape[-1]) for level in projected]
        positions, references = [], []
        for (height, width), embedding in zip(shapes, self.level_embedding, strict=True):
            position = sine_position_embedding(
                height, width, embedding.shape[0], embedding.device
            ).to(embedding.dtype)
            positions.append(position + embedding)
            references.append(_pixel_centres(height, width).to(embedding))
        # (batch, width, h, w) a level -> (batch, positions, width)
        hidden_states = torch.cat([level.flatten(2) for level in projected], 2).transpose(1, 2)
        position_embeddings, reference_points = torch.cat(positions), torch.cat(references)
        for layer in self.layers:
            hidden_states = layer(hidden_states, position_embeddings, reference_points, shapes)
        levels = hidden_states.transpose(1, 2).split([h * w for h, w in shapes], dim=2)
        return [level.unflatten(2, shape) for level, shape in zip(levels, shapes, strict=True)]


def _pixel_centres(height: int, width: int) -> Tensor:
    """Centres of a map's pixels as (x, y) from 0 to 1: (height x width, 2)."""
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    centres = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)
    return centres.flatten(0, 1)
