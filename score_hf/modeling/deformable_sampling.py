"""Weighted sums of bilinear samples at free places of several maps, with their gradients."""

from typing import Any

import torch
from torch import Tensor, nn

# Pixels of zeros around a map, so that a place beyond its border reads zeros like any other.
BORDER = 1


def gather_deformable(
    values: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sums values at free locations of several maps.

    Each location reads the four pixels around it as rows of a table (`embedding_bag`), which is
    several times faster than `grid_sample` with one weighted sum a level.

    Args:
        values: (batch, positions, heads, head width), the levels one after another.
        shapes: (height, width) of each level.
        locations: (batch, queries, heads, levels, points, 2) as (x, y), 0 to 1 across a map;
            outside lies zero.
        weights: (batch, queries, heads, levels, points).

    Returns:
        (batch, queries, heads x head width).
    """
    total: Tensor | None = None
    # A level at a time: its size is then a plain number, which costs nothing to broadcast.
    levels = values.split([height * width for height, width in shapes], dim=1)
    parts = zip(levels, shapes, locations.unbind(3), weights.unbind(3), strict=True)
    for level, shape, places, shares in parts:
        summed = _SumOfSamples.apply(level.unflatten(1, shape), places, shares)
        total = summed if total is None else total + summed
    return total.flatten(2)


class _SumOfSamples(torch.autograd.Function):
    """Weighted sums of bilinear samples of one map: (batch, queries, heads, head width).

    Arguments are the map (batch, height, width, heads, head width), places (batch, queries, heads,
    points, 2) and weights (batch, queries, heads, points).
    """

    @staticmethod
    def forward(ctx: Any, level: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        batch, height, width, heads, head_width = level.shape
        border = (0, 0, BORDER, BORDER, BORDER, BORDER)
        table = nn.functional.pad(level.flatten(3), border).view(-1, head_width)
        column, right, inside_columns = _split_place(places[..., 0], width)
        row, lower, inside_rows = _split_place(places[..., 1], height)
        # The table's row of the upper left pixel: batch after batch, pixel x heads + head.
        line = width + 2 * BORDER
        pixel = row.mul_(line).add_(column).mul_(heads)
        numbers = torch.arange(batch, device=level.device, dtype=torch.int32)
        pixel += (numbers * ((height + 2 * BORDER) * line * heads))[:, None, None, None]
        pixel += torch.arange(heads, device=level.device, dtype=torch.int32)[:, None]
        ctx.save_for_backward(table, pixel, right, lower, weights, inside_columns, inside_rows)
        ctx.shape = level.shape
        return _sum_rows(table, pixel, _corner_shares(right, lower, weights), heads, line)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        table, pixel, right, lower, weights, inside_columns, inside_rows = ctx.saved_tensors
        _, height, width, heads, _ = ctx.shape
        shares = _corner_shares(right, lower, weights)
        with torch.enable_grad():
            # The derivative by a corner's share: the product of its row and the gradient.
            leaves = [share.requires_grad_() for share in shares]
            summed = _sum_rows(table, pixel, leaves, heads, width + 2 * BORDER)
            products = torch.autograd.grad(summed, leaves, gradient)
        upper_left, upper_right, lower_left, lower_right = products
        step_right, step_below = upper_right - upper_left, lower_right - lower_left
        upper, below = upper_left + step_right * right, lower_left + step_below * right
        by_row = below - upper
        by_weight = upper + by_row * lower
        by_column = step_right + (step_below - step_right) * lower
        by_place = torch.stack(
            (
                (by_column * weights).mul_(width).mul_(inside_columns),
                (by_row * weights).mul_(height).mul_(inside_rows),
            ),
            dim=-1,
        )
        shares = [share.detach() for share in shares]
        return _scatter(gradient, pixel, shares, ctx.shape), by_place, by_weight


def _split_place(places: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixel before each place (0 to 1) on an axis with its border, and what is beyond it.

    Returns:
        The pixel's number as int32, the share of the pixel after it, and whether the place is so
        near the axis that its value depends on where it is.
    """
    place = places * length - 0.5
    before = place.floor().clamp_(-1, length - 1)
    after_share = (place - before).clamp_(0, 1)
    inside = (place > -1) & (place < length)
    # Whole numbers are clamped once more: so NaN becomes a valid pixel too.
    return before.to(torch.int32).clamp_(-1, length - 1).add_(BORDER), after_share, inside


def _corner_shares(right: Tensor, lower: Tensor, weights: Tensor) -> list[Tensor]:
    """Shares of the upper left, upper right, lower left and lower right pixel."""
    below = weights * lower
    above = weights - below
    below_right, above_right = below * right, above * right
    return [above - above_right, above_right, below - below_right, below_right]


def _sum_rows(table: Tensor, pixel: Tensor, shares: list[Tensor], heads: int, line: int) -> Tensor:
    """Sums the table's rows of all four corners: (batch, queries, heads, head width)."""
    corners = (pixel, pixel + heads, pixel + line * heads, pixel + (line + 1) * heads)
    summed = nn.functional.embedding_bag(
        torch.cat(corners, dim=-1).flatten(0, 2),
        table,
        mode="sum",
        per_sample_weights=torch.cat(shares, dim=-1).flatten(0, 2),
    )
    return summed.view(*pixel.shape[:3], -1)


def _scatter(
    gradient: Tensor, pixel: Tensor, shares: list[Tensor], shape: tuple[int, ...]
) -> Tensor:
    """Gives each pixel of the map the gradient of all samples that read it.

    Sorted by the upper left pixel, the samples that one reads lie side by side, and their sum is
    an `embedding_bag` again; the other corners are the same sums, one pixel further.
    """
    batch, height, width, heads, head_width = shape
    padded = (batch, height + 2 * BORDER, width + 2 * BORDER, heads, head_width)
    pixels, order = pixel.flatten().sort()
    every = torch.arange(
        batch * padded[1] * padded[2] * heads, device=pixel.device, dtype=pixel.dtype
    )
    starts = torch.searchsorted(pixels, every)
    rows = gradient.reshape(-1, head_width)
    reader = order // pixel.shape[-1]
    total = gradient.new_zeros(batch, height, width, heads, head_width)
    for share, (down, along) in zip(shares, ((1, 1), (1, 0), (0, 1), (0, 0)), strict=True):
        summed = nn.functional.embedding_bag(
            reader, rows, starts, mode="sum", per_sample_weights=share.flatten()[order]
        ).view(padded)
        total += summed[:, down : down + height, along : along + width]
    return total
