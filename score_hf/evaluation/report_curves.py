"""Precision-recall curves as small SVG drawings that follow the page's colours."""

from collections.abc import Sequence
from html import escape

import numpy as np

from .coco_metrics import IOU_50, IOU_75, PrecisionRecall
from .mask_matching import ALL_AREAS

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _GAP = 230, 190, 34, 30, 8
_KINDS = ("IoU 0.50", "IoU 0.75", "mean of IoU 0.50 to 0.95")


def class_curves(curves: PrecisionRecall, place: int | None) -> list[np.ndarray] | None:
    """Reads the curves of one class, or the mean of all.

    Args:
        curves: Of the dataset.
        place: Index of the class; None: the mean over classes that have objects.

    Returns:
        Precision at each recall, (recalls,), for IoU 0.50, 0.75 and their mean; None if there is
        no object.
    """
    precision = curves.precision[:, :, :, ALL_AREAS.index("all"), -1]
    chosen = precision[0, 0] > -1
    if place is not None:
        chosen &= np.arange(len(chosen)) == place
    if not chosen.any():
        return None
    by_iou = precision[:, :, chosen].mean(axis=2)
    return [by_iou[IOU_50], by_iou[IOU_75], by_iou.mean(axis=0)]


def draw_curves(title: str, recalls: np.ndarray, lines: Sequence[np.ndarray]) -> str:
    """Draws precision over recall.

    Args:
        title: What it is of.
        recalls: (recalls,), 0 to 1.
        lines: Precision at each, for IoU 0.50, 0.75 and their mean.

    Returns:
        A figure in HTML; the areas under its curves are told in words too.
    """
    width, height = _WIDTH - _LEFT - _GAP, _HEIGHT - _BOTTOM - _GAP

    def across(value: float) -> float:
        return _LEFT + value * width

    def down(value: float) -> float:
        return _GAP + (1 - value) * height

    parts = []
    for tick in (0.0, 0.5, 1.0):
        x, y = across(tick), down(tick)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{across(1):.1f}'
            f'M{x:.1f} {_GAP}V{down(0):.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
            f'<text x="{x:.1f}" y="{down(0) + 13:.1f}" text-anchor="middle">{tick:g}</text>'
        )
    for number, line in enumerate(lines):
        points = " ".join(
            f"{across(recall):.1f},{down(precision):.1f}"
            for recall, precision in zip(recalls.tolist(), line.tolist(), strict=True)
        )
        parts.append(f'<polyline class="curve curve-{number}" points="{points}"/>')
    areas = "; ".join(
        f"{kind}: {line.mean():.3f}" for kind, line in zip(_KINDS, lines, strict=True)
    )
    return (
        f'<figure class="plot"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Precision over recall, {escape(title, quote=True)}. Average precision at '
        f'{areas}">'
        f'{"".join(parts)}<text x="{across(0.5):.1f}" y="{_HEIGHT - 3}" text-anchor="middle">recall'
        f'</text><text transform="translate(9 {down(0.5):.1f}) rotate(-90)" text-anchor="middle">'
        f"precision</text></svg><figcaption>{escape(title)}</figcaption></figure>"
    )


def legend() -> str:
    """Says which line is which."""
    entries = "".join(
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><path class="curve curve-{number}" '
        f'd="M1 4H29"/></svg> {kind}</li>'
        for number, kind in enumerate(_KINDS)
    )
    return f'<ul class="legend">{entries}</ul>'
