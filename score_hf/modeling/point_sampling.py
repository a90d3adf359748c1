"""Points at which masks are compared instead of everywhere, as in PointRend and Mask2Former."""

import torch
from torch import Tensor, nn

from .configuration_score import ScoreConfig
from .training_step import drawn_from


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Reads maps bilinearly at free points; outside lies zero.

    Args:
        maps: (images, maps, h, w).
        points: (images, points, 2), the same for all maps of an image, as (x, y) from 0 to 1.

    Returns:
        (images, maps, points).
    """
    grid = (2 * points - 1).unsqueeze(1)
    return nn.functional.grid_sample(maps, grid, align_corners=False)[:, :, 0]


class ScorePoints:
    """Draws the points of one forward pass.

    Args:
        config: Says how many.
        device: Where they are drawn.
        seeds: A seed for each image, from which its points come in whatever batch it is; None:
            drawn freely.
    """

    def __init__(
        self, config: ScoreConfig, device: torch.device, seeds: list[int] | None = None
    ) -> None:
        self.num_points = config.num_points
        self.num_candidates = int(config.num_points * config.oversample_ratio)
        self.num_uncertain = int(config.num_points * config.importance_sample_ratio)
        self.device = device
        self.seeds = seeds

    def for_matching(self, prediction: int, images: int) -> Tensor:
        """Draws points (images, points, 2) at which all masks of an image are compared."""
        if self.seeds is None:
            return self._draw((images, self.num_points, 2))
        shape = (1, self.num_points, 2)
        return torch.cat([self._draw(shape, seed + 2 * prediction) for seed in self.seeds])

    def for_losses(self, prediction: int, counts: list[int]) -> Tensor:
        """Draws points for the matched masks, of which the most uncertain are kept.

        Args:
            prediction: Number of the prediction.
            counts: Matched masks of each image.

        Returns:
            (masks, candidates + rest, 2); the rest is kept whatever its uncertainty.
        """
        number = self.num_candidates + self.num_points - self.num_uncertain
        if self.seeds is None:
            return self._draw((sum(counts), number, 2))
        return torch.cat(
            [
                self._draw((count, number, 2), seed + 2 * prediction + 1)
                for count, seed in zip(counts, self.seeds, strict=True)
            ]
        )

    def choose(self, mask_logits: Tensor, points: Tensor) -> Tensor:
        """Keeps the candidates whose logits are nearest 0, and the rest.

        Args:
            mask_logits: (masks, h, w).
            points: (masks, candidates + rest, 2), see `for_losses`.

        Returns:
            (masks, points, 2).
        """
        if mask_logits.shape[0] == 0:
            return points[:, : self.num_points]
        candidates, rest = points.tensor_split([self.num_candidates], dim=1)
        uncertainty = -sample_at(mask_logits.unsqueeze(1), candidates)[:, 0].abs_()
        best = uncertainty.topk(self.num_uncertain, dim=1, sorted=False).indices
        uncertain = candidates.gather(1, best.unsqueeze(-1).expand(-1, -1, 2))
        return torch.cat((uncertain, rest), dim=1)

    def _draw(self, shape: tuple[int, ...], seed: int | None = None) -> Tensor:
        with drawn_from(seed, self.device):
            return torch.rand(shape, device=self.device)
