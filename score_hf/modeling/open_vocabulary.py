"""From embeddings to class scores: class embeddings, similarities, the ensemble of vocabularies."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_score import ScoreConfig
from .layers import ScoreMLP, init_torch_linear, pool_in_masks

# CLIP's start, ln(1/0.07), and CLIP's bound of the scale itself.
FIRST_LOGIT_SCALE, LARGEST_SCALE = 2.6593, 100.0


class ScoreClassHead(nn.Module):
    """Class embedding of each query: what the query holds plus the features inside its mask.

    Args:
        config: Gives the widths.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.pool_norm = nn.LayerNorm(width)
        self.pool_projection = nn.Linear(width, width)
        self.class_mlp = ScoreMLP(width, config.projection_dim)
        self.logit_scale = nn.Parameter(torch.empty(()))

    def init_own_weights(self) -> None:
        """PyTorch's own initialisation, CLIP's first scale."""
        init_torch_linear(self.pool_projection)
        init.constant_(self.logit_scale, FIRST_LOGIT_SCALE)

    def forward(
        self, queries: Tensor, mask_logits: Sequence[Tensor], mask_features: Tensor
    ) -> Tensor:
        """Embeds each query's object.

        Args:
            queries: (batch, predictions x queries, width), normed.
            mask_logits: (batch, queries, h, w) of each prediction; no gradient passes through
                them here.
            mask_features: (batch, width, h, w).

        Returns:
            (batch, predictions x queries, projection_dim).
        """
        # One prediction at a time: masks are the largest tensors there are.
        pooled = torch.cat(
            [pool_in_masks(mask_features, masks.detach() > 0) for masks in mask_logits], dim=1
        )
        return self.class_mlp(self.pool_projection(self.pool_norm(pooled)) + queries)


def class_logits(
    embeddings: Tensor, rows: Tensor, class_ids: Tensor, num_classes: int, logit_scale: Tensor
) -> Tensor:
    """Compares embeddings with a classifier; of a class's synonyms the best one counts.

    Args:
        embeddings: (batch, queries, width).
        rows: (synonyms + 1, width) or (batch, synonyms + 1, width), the void row last.
        class_ids: (synonyms,), the class of each row.
        num_classes: Number of classes.
        logit_scale: Logarithm of the scale; the scale is at most 100.

    Returns:
        (batch, queries, classes + 1), void last.
    """
    embeddings = nn.functional.normalize(embeddings, dim=-1)
    scale = logit_scale.exp().clamp(max=LARGEST_SCALE)
    similarities = scale * embeddings @ rows.transpose(-2, -1)
    *names, void = similarities.split([class_ids.numel(), 1], dim=-1)
    best = similarities.new_full((*similarities.shape[:-1], num_classes), float("-inf"))
    best = best.scatter_reduce(
        -1, class_ids.expand_as(names[0]), names[0], reduce="amax", include_self=False
    )
    return torch.cat((best, void), dim=-1)


def ensemble_vocabularies(
    in_logits: Tensor, out_logits: Tensor, seen_classes: Tensor, alpha: float, beta: float
) -> Tensor:
    """Mixes in- and out-of-vocabulary scores (paper §3.6, FC-CLIP's geometric mean).

    In logarithms throughout: powers of probabilities that underflow would give 0 x -inf.

    Args:
        in_logits: (batch, queries, classes + 1), void last.
        out_logits: (batch, queries, classes + 1); its void column takes no part.
        seen_classes: (classes,) bool.
        alpha: Weight of the out-of-vocabulary scores for seen classes.
        beta: The same for other classes.

    Returns:
        (batch, queries, classes + 1) log-probabilities.
    """
    in_logits, out_logits = in_logits.float(), out_logits.float()
    share = torch.where(seen_classes, alpha, beta)
    inside = in_logits[..., :-1].log_softmax(dim=-1)
    outside = out_logits[..., :-1].log_softmax(dim=-1)
    mixed = ((1 - share) * inside + share * outside).softmax(dim=-1)
    void = in_logits.softmax(dim=-1)[..., -1:]
    return torch.cat((mixed * (1 - void), void), dim=-1).add(1e-8).log()
