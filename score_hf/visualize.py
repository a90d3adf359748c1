"""Draws instances over a picture, with outlines, one colour a class, and a legend."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Told apart with the common colour blindnesses: Okabe and Ito (2008) without black, then colours
# of Tol (2021) that differ from those. Further classes start again.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (255, 170, 187),
    (170, 170, 0),
    (136, 34, 85),
    (153, 221, 255),
    (51, 34, 136),
    (187, 204, 51),
    (119, 170, 221),
    (238, 136, 102),
    (170, 68, 153),
)
_FILL_OPACITY = 0.35
_HALO_OPACITY = 0.7
_LONGEST_NAME = 40
_PAPER, _INK, _FAINT = (255, 255, 255), (32, 32, 32), (110, 110, 110)


@dataclass(frozen=True)
class _Line:
    """One line of the legend."""

    color: tuple[int, int, int] | None
    name: str
    count: str = ""


def class_color(label: int) -> tuple[int, int, int]:
    """Gives the RGB colour of a class, the same in every picture."""
    return PALETTE[label % len(PALETTE)]


def draw_instances(
    image: Image.Image | np.ndarray,
    masks: Iterable[np.ndarray],
    labels: Sequence[int],
    class_names: Sequence[str] | Mapping[int, str],
    legend: bool = True,
) -> Image.Image:
    """Draws instances over a picture.

    Each is tinted and outlined in the colour of its class; a thin dark or light line around the
    outline keeps it visible on any ground. Small instances are drawn over large ones.

    Args:
        image: The picture, or an array (height, width, 3) uint8.
        masks: One boolean array (height, width) an instance.
        labels: The class index of each.
        class_names: The name of each class index.
        legend: Whether the classes found, with their numbers, are listed beside the picture.

    Returns:
        An RGB picture, wider than `image` by the legend (and higher where the legend needs it).

    Raises:
        ValueError: If there are not as many masks as labels, or a mask has another size.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    pixels = np.array(picture.convert("RGB"))
    thickness = max(1, round(min(pixels.shape[:2]) / 400))
    instances = _cut_out(masks, labels, pixels.shape[:2])
    instances.sort(key=lambda instance: -int(instance[1].sum()))
    for window, mask, label in instances:
        _blend(pixels[window], mask, class_color(label), _FILL_OPACITY)
    for window, mask, label in instances:
        _outline(pixels, window, mask, class_color(label), thickness)
    drawn = Image.fromarray(pixels)
    return _add_legend(drawn, labels, class_names) if legend else drawn


def _cut_out(
    masks: Iterable[np.ndarray], labels: Sequence[int], size: tuple[int, ...]
) -> list[tuple[tuple[slice, slice], np.ndarray, int]]:
    """Reduces masks to their boxes, so that hundreds of a large picture fit in memory."""
    instances, count = [], 0
    for count, mask in enumerate(masks, start=1):
        if mask.shape != size:
            raise ValueError(
                f"`masks` must have the height and width of `image`, {size}, got {mask.shape}."
            )
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) and count <= len(labels):
            window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            instances.append((window, mask[window].astype(bool), int(labels[count - 1])))
    if count != len(labels):
        raise ValueError(
            f"`labels` must hold one class for each of {count} masks, got {len(labels)}."
        )
    return instances


def _blend(pixels: np.ndarray, where: np.ndarray, color: Sequence[int], opacity: float) -> None:
    mixed = pixels[where] * (1 - opacity) + np.asarray(color) * opacity
    pixels[where] = mixed.round().astype(np.uint8)


def _outline(
    pixels: np.ndarray,
    window: tuple[slice, slice],
    mask: np.ndarray,
    color: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draws the rim of a mask in its colour, and a halo of the opposite brightness outside it."""
    halo = max(1, thickness // 2)
    padded = np.pad(mask, halo)
    rows = _grown(window[0], halo, pixels.shape[0])
    columns = _grown(window[1], halo, pixels.shape[1])
    # The part of the padded mask that lies on the picture.
    top, left = rows.start - window[0].start + halo, columns.start - window[1].start + halo
    inside = (
        slice(top, top + rows.stop - rows.start),
        slice(left, left + columns.stop - columns.start),
    )
    around = _dilate(padded, halo) & ~padded
    rim = padded & _dilate(~padded, thickness)
    shade = (0, 0, 0) if _luminance(color) > 0.3 else (255, 255, 255)
    _blend(pixels[rows, columns], around[inside], shade, _HALO_OPACITY)
    _blend(pixels[rows, columns], rim[inside], color, 1.0)


def _grown(side: slice, by: int, limit: int) -> slice:
    return slice(max(0, side.start - by), min(limit, side.stop + by))


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Grows a mask by a square of `2 radius + 1` pixels, in time that does not depend on it."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(mask, padding), axis=axis, dtype=np.int32)
        length = sums.shape[axis]
        upper = np.take(sums, range(2 * radius + 1, length), axis=axis)
        lower = np.take(sums, range(length - 2 * radius - 1), axis=axis)
        mask = upper > lower
    return mask


def _luminance(color: tuple[int, int, int]) -> float:
    red, green, blue = ((channel / 255) ** 2.2 for channel in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _add_legend(
    drawn: Image.Image, labels: Sequence[int], class_names: Sequence[str] | Mapping[int, str]
) -> Image.Image:
    counts: dict[int, int] = {}
    for label in labels:
        counts[int(label)] = counts.get(int(label), 0) + 1
    lines = [
        _Line(class_color(label), _shorten(class_names[label]), str(counts[label]))
        for label in sorted(counts)
    ] or [_Line(None, "nothing found")]

    size = int(min(48, max(13, math.sqrt(drawn.width * drawn.height) / 36)))
    font: Any = ImageFont.load_default(size)
    step, margin, indent = round(size * 1.6), round(size * 0.8), round(size * 1.5)
    # A picture lower than its legend grows, but by no more than eight lines need.
    rows = min(len(lines), max((drawn.height - 2 * margin) // step, 8))
    columns = [lines[start : start + rows] for start in range(0, len(lines), rows)]
    widths = [
        indent
        + math.ceil(max(font.getlength(line.name) for line in column))
        + size
        + math.ceil(max(font.getlength(line.count) for line in column))
        for column in columns
    ]
    total = drawn.width + margin + sum(width + 2 * margin for width in widths) - margin
    sheet = Image.new("RGB", (total, max(drawn.height, rows * step + 2 * margin)), _PAPER)
    sheet.paste(drawn, (0, 0))
    pen = ImageDraw.Draw(sheet)
    left = drawn.width + margin
    for column, width in zip(columns, widths, strict=True):
        for row, line in enumerate(column):
            middle = margin + row * step + step // 2
            if line.color is not None:
                box = (left, middle - size // 2, left + size, middle + size // 2)
                pen.rectangle(box, fill=line.color, outline=_FAINT)
            name_at = left if line.color is None else left + indent
            pen.text((name_at, middle), line.name, fill=_INK, font=font, anchor="lm")
            pen.text((left + width, middle), line.count, fill=_FAINT, font=font, anchor="rm")
        left += width + 2 * margin
    return sheet


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
