"""Bipartite matching of predictions and objects, at sampled points (Mask2Former)."""

import torch
from torch import Tensor, nn
from transformers.utils import is_scipy_available

from .configuration_score import ScoreConfig

if is_scipy_available():
    from scipy.optimize import linear_sum_assignment


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Reads maps bilinearly at free points.

    Args:
        maps: (maps, h, w).
        points: (maps, points, 2), or (1, points, 2) for all maps, as (x, y) from 0 to 1.

    Returns:
        (maps, points).
    """
    grid = (2 * points - 1).unsqueeze(1)
    if points.shape[0] == 1:
        # One set of points for all: the maps are channels of one image.
        sampled = nn.functional.grid_sample(maps.unsqueeze(0), grid, align_corners=False)
        return sampled[0, :, 0]
    return nn.functional.grid_sample(maps.unsqueeze(1), grid, align_corners=False)[:, 0, 0]


class ScoreMatcher:
    """Assigns each object of an image the query that fits it best.

    Args:
        config: Gives the weights of the costs and the number of points.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.class_weight = config.class_weight
        self.mask_weight = config.mask_weight
        self.dice_weight = config.dice_weight
        self.num_points = config.num_points

    def draw_points(self, device: torch.device) -> Tensor:
        """Draws the points (1, num_points, 2) at which all masks of one image are compared."""
        return torch.rand(1, self.num_points, 2, device=device)

    @torch.no_grad()
    def __call__(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
    ) -> list[tuple[Tensor, Tensor]]:
        """Matches one prediction of a batch.

        Args:
            class_logits: (batch, queries, classes + 1).
            mask_logits: (batch, queries, h, w).
            mask_labels: One (objects, height, width) tensor an image.
            class_labels: One (objects,) tensor an image.

        Returns:
            For each image the queries and the objects that belong together, in the objects'
            device, int64.

        Raises:
            ImportError: If SciPy is not installed.
        """
        if not is_scipy_available():
            raise ImportError("Training needs SciPy for the matching: `pip install scipy`.")
        pairs = []
        for logits, masks, mask_label, class_label in zip(
            class_logits, mask_logits, mask_labels, class_labels, strict=True
        ):
            points = self.draw_points(masks.device)
            predicted = sample_at(masks.float(), points)
            target = sample_at(mask_label.to(predicted), points)
            cost = (
                self.class_weight * -logits.float().softmax(dim=-1)[:, class_label]
                + self.mask_weight * _pairwise_cross_entropy(predicted, target)
                + self.dice_weight * _pairwise_dice(predicted, target)
            )
            # A diverged mask must not crash the assignment: it simply fits nothing.
            cost = cost.nan_to_num(nan=1e10, posinf=1e10, neginf=-1e10)
            queries, objects = linear_sum_assignment(cost.cpu().numpy())
            pairs.append(
                (
                    torch.as_tensor(queries, device=class_label.device),
                    torch.as_tensor(objects, device=class_label.device),
                )
            )
        return pairs


def _pairwise_cross_entropy(predicted: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of each pair, mean over points: (queries, objects)."""
    if_one = nn.functional.softplus(-predicted)
    if_zero = nn.functional.softplus(predicted)
    return (if_one @ target.T + if_zero @ (1 - target).T) / predicted.shape[1]


def _pairwise_dice(predicted: Tensor, target: Tensor) -> Tensor:
    """Dice cost of each pair, 1 added to both sides: (queries, objects)."""
    probability = predicted.sigmoid()
    overlap = 2 * probability @ target.T
    size = probability.sum(dim=1)[:, None] + target.sum(dim=1)[None]
    return 1 - (overlap + 1) / (size + 1)
