"""The two ideas of SCORE: context for the objects (RAI) and context for the classes (GCA)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_score import ScoreConfig
from .context_trunk import SceneContext
from .layers import (
    ScoreAttention,
    init_torch_linear,
    pool_in_masks,
    sine_position_embedding,
)
from .region_formation import ScoreRegionFormation
from .training_step import ScoreTrainingStep


class ScoreContextProjection(nn.Linear):
    """Brings context vectors to the classes' width where the two CLIPs differ in it."""

    def init_own_weights(self) -> None:
        """PyTorch's own initialisation."""
        init_torch_linear(self)


def context_projection(config: ScoreConfig) -> nn.Module:
    """Returns the identity where both embedding spaces have one width (as in the paper)."""
    if config.context_config.projection_dim == config.projection_dim:
        return nn.Identity()
    return ScoreContextProjection(
        config.context_config.projection_dim, config.projection_dim, bias=False
    )


class ScoreGlobalContextAdaptation(nn.Module):
    """Global Context Adaptation (paper §3.5): moves the classes by what the scene is.

    The original attends over a single key, the [CLS] token, so its weight is 1 and every class
    moves by the same vector: what changes is the classes against "no object", never their order.
    "tokens" attends over the patch tokens as well, and each class finds its own.

    Args:
        config: Says which variant of Table 5, or our own, runs.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.kind = config.global_context
        self.projection = context_projection(config)
        if self.kind in ("attention", "equation", "tokens"):
            self.attention = ScoreAttention(config, width, config.context_num_heads)
        elif self.kind == "concat":
            self.concat_projection = nn.Linear(2 * width, width)

    def init_own_weights(self) -> None:
        """The projection of "concat" starts by passing the classes through unchanged."""
        if self.kind == "concat":
            width = self.concat_projection.out_features
            through = torch.cat((torch.eye(width), torch.zeros(width, width)), dim=1)
            init.copy_(self.concat_projection.weight, through)
            init.zeros_(self.concat_projection.bias)

    def forward(self, embeddings: Tensor, context: SceneContext) -> Tensor:
        """Adapts the classifier to each scene.

        Args:
            embeddings: (synonyms, width), normalised.
            context: The scenes' context.

        Returns:
            (batch, synonyms, width), not normalised.
        """
        scene = self.projection(nn.functional.normalize(context.cls, dim=-1)).unsqueeze(1)
        rows = embeddings.to(scene.dtype).expand(scene.shape[0], -1, -1)
        if self.kind == "add":
            return rows + scene
        if self.kind == "concat":
            return self.concat_projection(torch.cat((rows, scene.expand_as(rows)), dim=-1))
        if self.kind == "equation":
            return rows + self.attention(scene, rows, rows)[0]
        if self.kind == "tokens":
            # (batch, context width, rows, columns) -> (batch, rows x columns, width)
            patches = nn.functional.normalize(context.patches.flatten(2).transpose(1, 2), dim=-1)
            tokens = torch.cat((scene, self.projection(patches)), dim=1)
            # Products of unit vectors are so small that all tokens would count the same.
            scale = rows.shape[-1] ** 0.5
            return rows + self.attention(scale * rows, scale * tokens, tokens)[0]
        return rows + self.attention(rows, scene, scene)[0]


class ScoreRegionLayer(GradientCheckpointingLayer):
    """A post-norm transformer layer over sequences of queries.

    Args:
        config: Gives widths, heads and dropout.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.self_attn = ScoreAttention(
            config, width, config.context_num_heads, config.region_dropout
        )
        self.self_attn_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.region_intermediate_size)
        self.fc2 = nn.Linear(config.region_intermediate_size, width)
        self.final_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.region_dropout)

    def init_own_weights(self) -> None:
        """PyTorch's own initialisation."""
        init_torch_linear(self.fc1)
        init_torch_linear(self.fc2)

    def forward(self, hidden_states: Tensor, positions: Tensor | None = None) -> Tensor:
        """Lets the queries of a sequence attend to one another.

        Args:
            hidden_states: (sequences, length, width).
            positions: The same shape, added to queries and keys but not to values; None: nothing
                is added.

        Returns:
            The same shape.
        """
        placed = hidden_states if positions is None else hidden_states + positions
        update, _ = self.self_attn(placed, placed, hidden_states)
        hidden_states = self.self_attn_norm(hidden_states + self.dropout(update))
        update = self.fc2(self.dropout(self.fc1(hidden_states).relu()))
        return self.final_norm(hidden_states + self.dropout(update))


class ScoreRegionAwareIntegration(nn.Module):
    """Region-Aware Integration (paper §3.4): class embeddings learn what lies around their object.

    Eq. 6 feeds the region to every layer; the original's code adds it once, before the first. Its
    layers see each query as a sequence of its own, so their attention attends to nothing else.
    With "joint" the queries of an image are one sequence.

    Args:
        config: Says which context of Table 4 is integrated, and how.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        self.kind = config.region_context
        self.first_weight = config.region_weight
        self.projection = context_projection(config)
        if self.kind != "cls":
            self.formation = ScoreRegionFormation(config)
        self.weight = nn.Parameter(torch.empty(1))
        self.layers = nn.ModuleList(ScoreRegionLayer(config) for _ in range(config.region_layers))

    def init_own_weights(self) -> None:
        """All layers start as copies of the first, as in the original."""
        init.constant_(self.weight, self.first_weight)
        for layer in self.layers[1:]:
            for mine, first in zip(layer.parameters(), self.layers[0].parameters(), strict=True):
                init.copy_(mine, first)

    def begin_pass(self, step: ScoreTrainingStep | None) -> None:
        """Prepares for one forward pass in training; see [`ScoreRegionFormation.begin_pass`]."""
        if self.kind != "cls":
            self.formation.begin_pass(step)

    def forward(
        self, class_embeddings: Tensor, mask_logits: Sequence[Tensor], context: SceneContext
    ) -> Tensor:
        """Integrates the context.

        Args:
            class_embeddings: (batch, predictions x queries, width).
            mask_logits: (batch, queries, h, w) at stride 4 of each prediction.
            context: The scene's context.

        Returns:
            (batch, predictions x queries, width).
        """
        positions = None
        if self.kind == "cls":
            region = context.cls.unsqueeze(1)
        else:
            dense = context.intermediate if self.kind == "intermediate" else context.patches
            formed = [self.formation(masks, dense.shape[-2:]) for masks in mask_logits]
            region = torch.cat([pool_in_masks(dense, regions) for regions in formed], dim=1)
            if self.kind == "joint":
                sequences = [_mean_positions(one.detach(), class_embeddings) for one in formed]
                positions = torch.cat(sequences)
        region = self.projection(region.to(class_embeddings.dtype))
        integrated = class_embeddings + self.weight * region
        if self.kind == "joint":
            # The queries of a prediction are a sequence: (predictions x batch, queries, width).
            integrated = torch.cat(integrated.chunk(len(mask_logits), dim=1))
        else:
            # Every query is a sequence of its own: (batch x predictions x queries, 1, width).
            integrated = integrated.flatten(0, 1).unsqueeze(1)
        for layer in self.layers:
            integrated = layer(integrated, positions)
        if self.kind == "joint":
            return torch.cat(integrated.chunk(len(mask_logits)), dim=1)
        return integrated.view_as(class_embeddings)


def _mean_positions(regions: Tensor, like: Tensor) -> Tensor:
    """Embeds where regions lie and how far they reach: the mean over the patches of each.

    Args:
        regions: (batch, queries, rows, columns).
        like: (batch, queries, width), which gives width and type.

    Returns:
        (batch, queries, width); zeros for an empty region.
    """
    rows, columns = regions.shape[-2:]
    positions = sine_position_embedding(rows, columns, like.shape[-1], like.device)
    grid = positions.T.unflatten(1, (rows, columns)).unsqueeze(0)
    return pool_in_masks(grid, regions).to(like.dtype)
