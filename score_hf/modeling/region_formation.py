"""Adaptive Region Formation (paper §3.4): predicted masks dilated to include their surroundings."""

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_score import ScoreConfig
from .training_step import ScoreTrainingStep, drawn_from

# Eq. 4: k = 3 + clamp(delta, 0, 10), delta starting at 1.
SMALLEST_KERNEL, LARGEST_KERNEL, FIRST_DELTA = 3, 13, 1.0


class ScoreRegionFormation(nn.Module):
    """Dilates mask logits and brings them to the context's grid.

    In training, while the kernel is learned, the region is soft: dilated logits m become weights
    sigmoid(10 (m - 0.5)), through which the kernel and the masks receive a gradient. Otherwise it
    is hard: where the dilated logit is positive.

    The original counts its training steps and keeps the kernel in plain attributes, so that a
    resumed run starts to learn the kernel anew; here both are buffers.

    Args:
        config: Says how the kernel is chosen.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        self.kind = config.region_kernel
        self.sizes = tuple(config.region_kernel_sizes)
        self.fixed_size = config.region_kernel_size
        self.learning_calls = config.kernel_learning_calls
        self.temperature = config.kernel_temperature
        self._first_call = 0
        self._noise_seed: int | None = None
        if self.kind == "learned":
            self.kernel_logits = nn.Parameter(torch.empty(len(self.sizes)))
            self.calls = nn.Buffer(torch.zeros((), dtype=torch.int64))
            self.chosen = nn.Buffer(torch.full((), -1, dtype=torch.int64))
        elif self.kind == "clamp":
            self.delta = nn.Parameter(torch.empty(()))

    def init_own_weights(self) -> None:
        """Kernel logits uniform in [-0.5, 0.5]; delta 1."""
        if self.kind == "learned":
            init.uniform_(self.kernel_logits, -0.5, 0.5)
            init.zeros_(self.calls)
            init.constant_(self.chosen, -1)
        elif self.kind == "clamp":
            init.constant_(self.delta, FIRST_DELTA)

    def begin_pass(self, step: ScoreTrainingStep | None) -> None:
        """Prepares for the calls of one forward pass in training.

        The passes of one optimisation step all see the same noise, and count once. (The original
        draws noise for each process by itself and knows no accumulation.)

        Args:
            step: The step that the pass belongs to; None: each pass is a step of its own.
        """
        self._noise_seed = None if step is None else step.seed
        if self.kind != "learned":
            return
        if step is None or step.first_pass:
            self._first_call = int(self.calls)
        else:
            self.calls.fill_(self._first_call)

    def forward(self, mask_logits: Tensor, grid: tuple[int, int]) -> Tensor:
        """Forms the regions.

        Args:
            mask_logits: (batch, queries, h, w) at stride 4.
            grid: Rows and columns of the context's patches.

        Returns:
            (batch, queries, rows, columns): weights in [0, 1], or a boolean region.
        """
        if self.kind == "clamp":
            dilated = self._dilate_between(mask_logits, SMALLEST_KERNEL + self._clamped_delta())
            return _soft_region(dilated, grid) if self.training else _hard_region(dilated, grid)
        if self.kind == "learned" and self.training and self._still_learning():
            self.calls.add_(1)
            return _soft_region(self._dilate_softly(mask_logits), grid)
        size = self.fixed_size if self.kind == "fixed" else self._chosen_size()
        return _hard_region(dilate(mask_logits.detach(), size), grid)

    def draw_gumbel(self) -> Tensor:
        """Draws standard Gumbel noise, one number a kernel, for one call."""
        uniform = torch.empty_like(self.kernel_logits).exponential_()
        return -uniform.log()

    def _still_learning(self) -> bool:
        return int(self.calls) < self.learning_calls

    def _chosen_size(self) -> int:
        chosen = int(self.chosen)
        if chosen < 0:
            chosen = int(self.kernel_logits.argmax())
            # Evaluation in between must not end the learning, as it does in the original.
            if self.training:
                self.chosen.fill_(chosen)
        return self.sizes[chosen]

    def _dilate_softly(self, mask_logits: Tensor) -> Tensor:
        seed = None if self._noise_seed is None else self._noise_seed + int(self.calls)
        with drawn_from(seed, mask_logits.device):
            noise = self.draw_gumbel()
        noisy = (self.kernel_logits + noise) / self.temperature
        shares = noisy.softmax(dim=0).to(mask_logits.dtype)
        parts = [
            share * dilate(mask_logits, size)
            for share, size in zip(shares, self.sizes, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def _clamped_delta(self) -> Tensor:
        return self.delta.clamp(0, LARGEST_KERNEL - SMALLEST_KERNEL)

    def _dilate_between(self, mask_logits: Tensor, size: Tensor) -> Tensor:
        """Dilates by a kernel of any size, so that the size has a gradient.

        The paper does not say how a real k becomes a kernel: here the dilations by the odd sizes
        below and above are mixed in proportion.
        """
        dilated = torch.zeros_like(mask_logits)
        for odd in range(SMALLEST_KERNEL, LARGEST_KERNEL + 1, 2):
            share = (1 - (size - odd).abs() / 2).clamp(min=0).to(mask_logits.dtype)
            dilated = dilated + share * dilate(mask_logits, odd)
        return dilated


def dilate(mask_logits: Tensor, size: int) -> Tensor:
    """Takes the maximum over a square neighbourhood (Eq. 3).

    Args:
        mask_logits: (batch, queries, h, w).
        size: Odd side of the neighbourhood, in pixels.

    Returns:
        The same shape.
    """
    # A square's maximum is the maximum of its columns' maxima: 2 x size reads instead of size².
    pad = size // 2
    columns = nn.functional.max_pool2d(mask_logits, (size, 1), stride=1, padding=(pad, 0))
    return nn.functional.max_pool2d(columns, (1, size), stride=1, padding=(0, pad))


def _to_grid(dilated: Tensor, grid: tuple[int, int]) -> Tensor:
    return nn.functional.interpolate(dilated, size=grid, mode="bilinear", align_corners=False)


def _soft_region(dilated: Tensor, grid: tuple[int, int]) -> Tensor:
    return (10 * (_to_grid(dilated, grid) - 0.5)).sigmoid()


def _hard_region(dilated: Tensor, grid: tuple[int, int]) -> Tensor:
    return _to_grid(dilated.detach(), grid) > 0
