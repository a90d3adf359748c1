"""Adaptive Region Formation (paper §3.4): predicted masks dilated to include their surroundings."""

from collections.abc import Sequence

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
        sizes: Sequence[int | Tensor]
        if self.kind == "clamp":
            sizes, shares = self._sizes_around_delta()
            soft = self.training
        elif self.kind == "learned" and self.training and self._still_learning():
            self.calls.add_(1)
            sizes, shares, soft = self.sizes, self._gumbel_shares(), True
        else:
            sizes = (self.fixed_size if self.kind == "fixed" else self._chosen_size(),)
            shares, soft = mask_logits.new_ones(1), False
        if soft:
            return (10 * (dilate_to_grid(mask_logits, sizes, shares, grid) - 0.5)).sigmoid()
        return dilate_to_grid(mask_logits.detach(), sizes, shares, grid, max(self.sizes)) > 0

    def draw_gumbel(self) -> Tensor:
        """Draws standard Gumbel noise, one number a kernel, for one call."""
        uniform = torch.empty_like(self.kernel_logits).exponential_()
        return -uniform.log()

    def _still_learning(self) -> bool:
        return int(self.calls) < self.learning_calls

    def _chosen_size(self) -> Tensor:
        """The best kernel's size, left on its device: reading it would wait for a GPU."""
        chosen = torch.where(self.chosen < 0, self.kernel_logits.argmax(), self.chosen)
        # Evaluation in between must not end the learning, as it does in the original.
        if self.training:
            self.chosen.copy_(chosen)
        places = [(chosen == index) * size for index, size in enumerate(self.sizes)]
        return torch.stack(places).sum()

    def _gumbel_shares(self) -> Tensor:
        """Noisy shares of the kernels, (sizes,)."""
        seed = None if self._noise_seed is None else self._noise_seed + int(self.calls)
        with drawn_from(seed, self.kernel_logits.device):
            noise = self.draw_gumbel()
        return ((self.kernel_logits + noise) / self.temperature).softmax(dim=0)

    def _sizes_around_delta(self) -> tuple[tuple[int, ...], Tensor]:
        """Odd sizes and their shares, which have a gradient to delta.

        The paper does not say how a real k becomes a kernel: here the dilations by the odd sizes
        below and above are mixed in proportion.
        """
        sizes = tuple(range(SMALLEST_KERNEL, LARGEST_KERNEL + 1, 2))
        size = SMALLEST_KERNEL + self.delta.clamp(0, LARGEST_KERNEL - SMALLEST_KERNEL)
        distance = (size - torch.tensor(sizes, device=self.delta.device)).abs()
        return sizes, (1 - distance / 2).clamp(min=0)


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


def dilate_to_grid(
    mask_logits: Tensor,
    sizes: Sequence[int | Tensor],
    shares: Tensor,
    grid: tuple[int, int],
    largest: int = LARGEST_KERNEL,
) -> Tensor:
    """Dilates by several sizes, mixes the results and resizes the mixture bilinearly.

    A dilated mask is only read where the resize reads it, which is a few rows and columns for
    each cell: the maxima are taken there alone. The readable form is `dilate`, mixed, and
    `interpolate`. Where a gradient is wanted, only the places of the maxima are kept for it.

    Args:
        mask_logits: (batch, queries, h, w).
        sizes: Odd sides of the neighbourhoods, in pixels; numbers, or tensors () of a number.
        shares: (sizes,), how much each size counts.
        grid: Rows and columns of the result.
        largest: No size that is a tensor is larger than this.

    Returns:
        (batch, queries, rows, columns).
    """
    height, width = mask_logits.shape[-2:]
    row_places, row_weights = _read_by_resize(height, grid[0], mask_logits)
    column_places, column_weights = _read_by_resize(width, grid[1], mask_logits)
    mixed = mask_logits.new_zeros(())
    for size, share in zip(sizes, shares.to(mask_logits.dtype).unbind(), strict=True):
        limit = size if isinstance(size, int) else largest
        mixed = mixed + share * _read_maxima(mask_logits, row_places, column_places, size, limit)
    columns = (mixed.unflatten(-2, (-1, 2)) * column_weights[:, :, None]).sum(dim=-2)
    return (columns.unflatten(-1, (-1, 2)) * row_weights).sum(dim=-1).transpose(-2, -1)


def _read_by_resize(length: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The two places that each cell of a bilinear resize reads, and their weights: (cells, 2)."""
    precision = torch.promote_types(like.dtype, torch.float32)
    centres = torch.arange(cells, device=like.device, dtype=precision) + 0.5
    source = (centres * (length / cells) - 0.5).clamp(min=0)
    lower = source.long().clamp(max=length - 1)
    upper_weight = source - lower
    places = torch.stack((lower, (lower + 1).clamp(max=length - 1)), dim=1)
    return places, torch.stack((1 - upper_weight, upper_weight), dim=1).to(like.dtype)


def _read_maxima(
    mask_logits: Tensor, rows: Tensor, columns: Tensor, size: int | Tensor, limit: int
) -> Tensor:
    """Maxima around each crossing: (..., h, w) -> (..., columns x 2, rows x 2)."""
    numbers = None
    if torch.is_grad_enabled() and mask_logits.requires_grad:
        pixels = torch.arange(mask_logits[0, 0].numel(), device=mask_logits.device)
        numbers = pixels.view(1, 1, *mask_logits.shape[-2:])
    with torch.no_grad():
        # (..., h, w) -> (..., rows x 2, w) -> (..., columns x 2, rows x 2)
        maxima, numbers = _maxima_of_rows(mask_logits, rows, size, limit, numbers)
        maxima = maxima.transpose(-2, -1).contiguous()
        numbers = None if numbers is None else numbers.transpose(-2, -1).contiguous()
        maxima, numbers = _maxima_of_rows(maxima, columns, size, limit, numbers)
    if numbers is None:
        return maxima
    return mask_logits.flatten(-2).gather(-1, numbers.flatten(-2)).view_as(maxima)


def _maxima_of_rows(
    maps: Tensor, places: Tensor, size: int | Tensor, limit: int, numbers: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Maxima over the `size` rows around each place: (..., h, w) -> (..., places, w).

    Of pixels that are numbered, the numbers of those that are the maxima come along.
    """
    places, last = places.flatten(), maps.shape[-2] - 1
    maxima = maps.index_select(-2, places)
    found = None if numbers is None else numbers.index_select(-2, places)
    for reach in range(1, limit // 2 + 1):
        # Beyond the window, or the border, stands its outermost row once more.
        offset = reach if isinstance(size, int) else (size // 2).clamp(max=reach)
        for moved in ((places - offset).clamp(min=0), (places + offset).clamp(max=last)):
            others = maps.index_select(-2, moved)
            if numbers is not None:
                found = torch.where(others > maxima, numbers.index_select(-2, moved), found)
            maxima = torch.maximum(maxima, others)
    return maxima, found
