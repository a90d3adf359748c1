"""Bipartite matching of predictions and objects, at sampled points (Mask2Former)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers.utils import is_scipy_available

from .configuration_score import ScoreConfig
from .point_sampling import ScorePoints, sample_at

if is_scipy_available():
    from scipy.optimize import linear_sum_assignment


@dataclass
class ScoreMatches:
    """Which queries and objects belong together, in each prediction.

    An object goes without a query only if there are more objects than queries. So all predictions
    have as many pairs, here one image's after another's.

    Args:
        counts: Pairs of each image.
        queries: (predictions, pairs) int64.
        objects: (predictions, pairs) int64, counted within each image.
    """

    counts: list[int]
    queries: Tensor
    objects: Tensor

    def of(self, image: int) -> tuple[Tensor, Tensor]:
        """Returns queries and objects of one image's pairs, each (predictions, pairs)."""
        first = sum(self.counts[:image])
        pairs = slice(first, first + self.counts[image])
        return self.queries[:, pairs], self.objects[:, pairs]


class ScoreMatcher:
    """Assigns each object of an image the query that fits it best.

    Args:
        config: Gives the weights of the costs.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.class_weight = config.class_weight
        self.mask_weight = config.mask_weight
        self.dice_weight = config.dice_weight

    @torch.no_grad()
    def __call__(
        self,
        class_logits: Sequence[Tensor],
        mask_logits: Sequence[Tensor],
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
        points: ScorePoints,
    ) -> ScoreMatches:
        """Matches all predictions of a batch; the device is waited for once.

        Args:
            class_logits: (batch, queries, classes + 1) of each prediction.
            mask_logits: (batch, queries, h, w) of each prediction.
            mask_labels: One float32 (objects, height, width) tensor an image.
            class_labels: One (objects,) int64 tensor an image.
            points: Draws where masks are compared.

        Returns:
            The matches, on the labels' device.

        Raises:
            ImportError: If SciPy is not installed.
        """
        if not is_scipy_available():
            raise ImportError("Training needs SciPy for the matching: `pip install scipy`.")
        objects = [labels.numel() for labels in class_labels]
        classes = nn.utils.rnn.pad_sequence(class_labels, batch_first=True)
        costs = torch.stack(
            [
                self._costs(
                    logits, masks, mask_labels, classes, points.for_matching(index, len(objects))
                )
                for index, (logits, masks) in enumerate(zip(class_logits, mask_logits, strict=True))
            ]
        )
        # A diverged mask must not crash the assignment: it simply fits nothing.
        finite = costs.nan_to_num(nan=1e10, posinf=1e10, neginf=-1e10).cpu().numpy()
        pairs = [
            np.concatenate(
                [
                    linear_sum_assignment(cost[:, :number])
                    for cost, number in zip(prediction, objects, strict=True)
                ],
                axis=1,
            )
            for prediction in finite
        ]
        # (predictions, 2, pairs)
        matched = torch.from_numpy(np.stack(pairs)).to(classes.device)
        counts = [min(number, class_logits[0].shape[1]) for number in objects]
        return ScoreMatches(counts, *matched.unbind(1))

    def _costs(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        mask_labels: list[Tensor],
        classes: Tensor,
        points: Tensor,
    ) -> Tensor:
        """Costs of all pairs of one prediction: (batch, queries, most objects of an image)."""
        predicted = sample_at(mask_logits.float(), points)
        target = nn.utils.rnn.pad_sequence(
            [
                sample_at(labels.unsqueeze(0), image_points.unsqueeze(0))[0]
                for labels, image_points in zip(mask_labels, points, strict=True)
            ],
            batch_first=True,
        )
        fitting = (
            class_logits.float()
            .softmax(dim=-1)
            .gather(2, classes.unsqueeze(1).expand(-1, class_logits.shape[1], -1))
        )
        return (
            self.class_weight * -fitting
            + self.mask_weight * pairwise_cross_entropy(predicted, target)
            + self.dice_weight * pairwise_dice(predicted, target)
        )


def pairwise_cross_entropy(predicted: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of each pair of masks, mean over points.

    Args:
        predicted: Logits (batch, queries, points).
        target: (batch, objects, points), 0 to 1.

    Returns:
        (batch, queries, objects).
    """
    # softplus(-x) t + softplus(x) (1 - t) = softplus(x) - x t
    if_zero = nn.functional.softplus(predicted).sum(dim=-1, keepdim=True)
    return (if_zero - predicted @ target.transpose(1, 2)) / predicted.shape[-1]


def pairwise_dice(predicted: Tensor, target: Tensor) -> Tensor:
    """Dice cost of each pair of masks, 1 added to both sides; arguments as above."""
    probability = predicted.sigmoid()
    overlap = 2 * probability @ target.transpose(1, 2)
    size = probability.sum(dim=-1)[..., None] + target.sum(dim=-1)[:, None]
    return 1 - (overlap + 1) / (size + 1)
