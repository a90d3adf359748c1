"""Masks at the size of the picture, made only where they are: aerial objects are small."""

from dataclasses import dataclass

import torch
from torch import nn

from .predictions import MASK_STRIDE, Prediction


def boxes_around(masks: torch.Tensor) -> torch.Tensor:
    """Finds the box around each mask.

    Args:
        masks: Boolean masks of shape `(masks, height, width)`.

    Returns:
        Boxes `(masks, 4)`, int64, as x1, y1, x2, y2 with x2 and y2 exclusive; zeros for an empty
        mask.
    """

    def first_and_end(occupied: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return occupied.argmax(1), occupied.shape[1] - occupied.flip(1).argmax(1)

    if masks.numel() == 0:
        return torch.zeros(len(masks), 4, dtype=torch.int64, device=masks.device)
    # The maximum of bytes is vectorised, `any` of booleans is not: fifty times slower.
    columns, rows = masks.view(torch.uint8).amax(1), masks.view(torch.uint8).amax(2)
    left, right = first_and_end(columns)
    top, bottom = first_and_end(rows)
    boxes = torch.stack([left, top, right, bottom], dim=1)
    return torch.where(columns.amax(1, keepdim=True) > 0, boxes, 0)


@dataclass(frozen=True)
class MaskPiece:
    """The part of a picture that holds a query's mask.

    Args:
        query: Index of the query.
        mask: `(height, width)` bool, a rectangle of the picture; outside of it the mask is empty.
        left: Column of the picture at which the rectangle begins.
        top: Row of the picture at which the rectangle begins.
        area: Pixels of the mask.
        quality: Mean mask probability inside the mask; 0 if it is empty.
    """

    query: int
    mask: torch.Tensor
    left: int
    top: int
    area: int
    quality: float

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.mask.shape[0])

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.mask.shape[1])

    @property
    def box(self) -> list[float]:
        """x1, y1, x2, y2 in pixels of the picture, x2 and y2 exclusive; zeros if empty."""
        if self.area == 0:
            return [0.0] * 4
        height, width = self.mask.shape
        return [float(side) for side in (self.left, self.top, self.left + width, self.top + height)]


class _Axis:
    """Bilinear resizing along one axis, pixel centres aligned as in `torch`'s `interpolate`."""

    def __init__(self, length: int, new_length: int, device: torch.device) -> None:
        self.is_identity = length == new_length
        places = torch.arange(new_length, device=device, dtype=torch.float32)
        source = ((places + 0.5) * (length / new_length) - 0.5).clamp(min=0)
        self.lower = source.long().clamp(max=length - 1)
        self.upper = (self.lower + 1).clamp(max=length - 1)
        self.weight = source - self.lower

    def reached_from(self, first: int, last: int) -> slice:
        """The new pixels that the old pixels `first` to `last` have a part in."""
        start = torch.searchsorted(self.upper, first)
        end = torch.searchsorted(self.lower, last, right=True)
        return slice(int(start), int(end))

    def resize(
        self, values: torch.Tensor, dimension: int, offset: int, pixels: slice
    ) -> torch.Tensor:
        """Makes the new `pixels` from `values`, which begin with the old pixel `offset`."""
        if self.is_identity:
            return values.narrow(dimension, pixels.start - offset, pixels.stop - pixels.start)
        weight = self.weight[pixels]
        weight = weight[:, None] if dimension == 0 else weight
        lower = values.index_select(dimension, self.lower[pixels] - offset)
        upper = values.index_select(dimension, self.upper[pixels] - offset)
        # In place: fresh memory costs more than the sums.
        return lower.mul_(1 - weight).addcmul_(upper, weight)


def _enlarge(grid: torch.Tensor, dimension: int) -> torch.Tensor:
    """Enlarges cells to pixels along one dimension, bilinearly."""
    cells = grid.shape[dimension]
    pixels = MASK_STRIDE * cells
    return _Axis(cells, pixels, grid.device).resize(grid, dimension, 0, slice(0, pixels))


class MaskMaker:
    """Makes the masks of one image, each in the rectangle where it can be.

    As in the original, mask logits are resized to the padded input, cropped to the image and
    resized again to the target, both times bilinearly; but only around the cells of the grid that
    pass the threshold, since nothing farther away can.

    Args:
        prediction: The network's output for the image.
        logit_threshold: A pixel belongs to the mask if its logit is higher.
    """

    def __init__(self, prediction: Prediction, logit_threshold: float) -> None:
        self.grids = prediction.mask_logits
        self.threshold = logit_threshold
        (height, width), (new_height, new_width) = prediction.image_size, prediction.target_size
        device = self.grids.device
        self.rows = _Axis(height, new_height, device)
        self.columns = _Axis(width, new_width, device)
        # Cells more than one beyond the image do not reach into it.
        grid_rows, grid_columns = height // MASK_STRIDE + 2, width // MASK_STRIDE + 2
        inside = self.grids[:, :grid_rows, :grid_columns]
        self.boxes = boxes_around(inside > logit_threshold).tolist()

    def make(self, query: int) -> MaskPiece:
        """Makes the mask of one query."""
        left, top, right, bottom = self.boxes[query]
        rows = self.rows.reached_from(MASK_STRIDE * top - 2, MASK_STRIDE * bottom + 1)
        columns = self.columns.reached_from(MASK_STRIDE * left - 2, MASK_STRIDE * right + 1)
        # Two cells around: one that takes part, one because the outermost is cut off.
        first_row, first_column = max(top - 2, 0), max(left - 2, 0)
        grid = self.grids[query, first_row : bottom + 2, first_column : right + 2].float()
        if bottom == top or rows.stop <= rows.start or columns.stop <= columns.start:
            nothing = torch.zeros(0, 0, dtype=torch.bool, device=grid.device)
            return MaskPiece(query, nothing, left=0, top=0, area=0, quality=0.0)
        pixels = _enlarge(_enlarge(grid, 1), 0)
        logits = self.columns.resize(pixels, 1, MASK_STRIDE * first_column, columns)
        logits = self.rows.resize(logits, 0, MASK_STRIDE * first_row, rows)
        mask = logits > self.threshold
        area = int(mask.count_nonzero())
        left, top, right, bottom = boxes_around(mask[None])[0].tolist()
        # What is outside of the mask has probability 0: faster than a product with booleans.
        inside = nn.functional.threshold(logits, self.threshold, -torch.inf)
        return MaskPiece(
            query,
            mask[top:bottom, left:right],
            left=columns.start + left,
            top=rows.start + top,
            area=area,
            quality=float(inside.sigmoid_().sum() / (area + 1e-6)),
        )
