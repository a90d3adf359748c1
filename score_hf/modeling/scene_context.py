"""The two ideas of SCORE: context for the objects (RAI) and context for the classes (GCA)."""

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_score import ScoreConfig
from .context_trunk import SceneContext
from .layers import ScoreAttention, init_torch_linear, pool_in_masks
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
    """Global Context Adaptation (paper §3.5): moves the classes by the scene's [CLS] token.

    The original attends over a single key, so its weight is 1 and every class moves by the same
    vector: what changes is the classes against "no object", never their order.

    Args:
        config: Says which variant of Table 5 runs.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.kind = config.global_context
        self.projection = context_projection(config)
        if self.kind in ("attention", "equation"):
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

    def forward(self, embeddings: Tensor, cls: Tensor) -> Tensor:
        """Adapts the classifier to each scene.

        Args:
            embeddings: (synonyms, width), normalised.
            cls: (batch, context width).

        Returns:
            (batch, synonyms, width), not normalised.
        """
        scene = self.projection(nn.functional.normalize(cls, dim=-1)).unsqueeze(1)
        rows = embeddings.to(scene.dtype).expand(cls.shape[0], -1, -1)
        if self.kind == "add":
            return rows + scene
        if self.kind == "concat":
            return self.concat_projection(torch.cat((rows, scene.expand_as(rows)), dim=-1))
        if self.kind == "equation":
            return rows + self.attention(scene, rows, rows)[0]
        return rows + self.attention(rows, scene, scene)[0]


class ScoreRegionLayer(GradientCheckpointingLayer):
    """A post-norm transformer layer over each query alone, as the original runs it.

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

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Maps (sequences, length, width) to the same shape."""
        update, _ = self.self_attn(hidden_states, hidden_states, hidden_states)
        hidden_states = self.self_attn_norm(hidden_states + self.dropout(update))
        update = self.fc2(self.dropout(self.fc1(hidden_states).relu()))
        return self.final_norm(hidden_states + self.dropout(update))


class ScoreRegionAwareIntegration(nn.Module):
    """Region-Aware Integration (paper §3.4): class embeddings learn what lies around their object.

    Eq. 6 feeds the region to every layer; the original's code adds it once, before the first.

    Args:
        config: Says which context of Table 4 is integrated.
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
        self, class_embeddings: Tensor, mask_logits: Tensor, context: SceneContext
    ) -> Tensor:
        """Integrates the context.

        Args:
            class_embeddings: (batch, queries, width).
            mask_logits: (batch, queries, h, w) at stride 4.
            context: The scene's context.

        Returns:
            (batch, queries, width).
        """
        if self.kind == "cls":
            region = context.cls.unsqueeze(1)
        else:
            dense = context.intermediate if self.kind == "intermediate" else context.patches
            region = pool_in_masks(dense, self.formation(mask_logits, dense.shape[-2:]))
        region = self.projection(region.to(class_embeddings.dtype))
        integrated = class_embeddings + self.weight * region
        # Every query is a sequence of its own: (batch x queries, 1, width).
        integrated = integrated.flatten(0, 1).unsqueeze(1)
        for layer in self.layers:
            integrated = layer(integrated)
        return integrated.view_as(class_embeddings)
