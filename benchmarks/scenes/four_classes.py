"""The scene of the comparison: parked cars, moored ships, buildings, roads from side to side."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from score_hf.scenes import Window

CLASSES = ("car", "ship", "building", "road")
SIDE = 4096


@dataclass(frozen=True)
class DrawnObject:
    """An object of the scene: its class, the box around it, and its mask in there."""

    label: int
    score: float
    window: Window
    mask: np.ndarray


def draw(side: int = SIDE, seed: int = 0) -> list[DrawnObject]:
    """Draws the objects; those of a class do not overlap.

    Args:
        side: Of the scene in pixels; the number of objects grows with its area.
        seed: Of the scene.

    Returns:
        At 4096 pixels 1100 cars parked at 45 degrees, 343 oblique ships side by side, some 150
        buildings of 40 to 1800 pixels, and 22 roads.
    """
    rng = np.random.default_rng(seed)
    share = (side / SIDE) ** 2
    outlines: list[tuple[int, list[tuple[float, float]]]] = []
    outlines += [(0, one) for one in _cars(rng, side, round(44 * share))]
    outlines += [(1, one) for one in _ships(rng, side, round(49 * share))]
    outlines += [(2, one) for one in _buildings(rng, side, round(170 * share))]
    outlines += [(3, one) for one in _roads(rng, side)]
    objects = []
    taken = [np.zeros((side, side), dtype=bool) for _ in CLASSES]
    for label, outline in outlines:
        drawn = _fill(outline, side)
        if drawn is None:
            continue
        window, mask = drawn
        place = window.slices_in(Window(0, 0, side, side))
        if not (taken[label][place] & mask).any():
            taken[label][place] |= mask
            objects.append(DrawnObject(label, float(rng.uniform(0.5, 0.95)), window, mask))
    return objects


def _box(
    x: float, y: float, length: float, width: float, angle: float
) -> list[tuple[float, float]]:
    across, along = math.cos(angle), math.sin(angle)
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return [
        (
            x + a * length / 2 * across - b * width / 2 * along,
            y + a * length / 2 * along + b * width / 2 * across,
        )
        for a, b in corners
    ]


def _row(
    rng: np.random.Generator, side: int, count: int, size: tuple[float, float], gap: float
) -> Iterator[list[tuple[float, float]]]:
    length, width = size
    x, y = rng.uniform(0, side, 2)
    angle = math.radians(45 if length < 50 else rng.uniform(20, 70))
    step = (width + gap) / abs(math.sin(angle))
    for number in range(count):
        yield _box(x + number * step, y, length, width, angle)


def _cars(rng: np.random.Generator, side: int, rows: int) -> Iterator[list[tuple[float, float]]]:
    for _ in range(rows):
        yield from _row(rng, side, 25, (22, 10), 3)


def _ships(rng: np.random.Generator, side: int, rows: int) -> Iterator[list[tuple[float, float]]]:
    for _ in range(rows):
        yield from _row(rng, side, 7, (110, 22), 4)


def _buildings(
    rng: np.random.Generator, side: int, count: int
) -> Iterator[list[tuple[float, float]]]:
    for _ in range(count):
        x, y = rng.uniform(0, side, 2)
        length, width = np.exp(rng.uniform(math.log(40), math.log(500), 2))
        yield _box(x, y, length * (3.6 if rng.random() < 0.1 else 1), width, rng.uniform(0, 3.1))


def _roads(rng: np.random.Generator, side: int) -> Iterator[list[tuple[float, float]]]:
    spacing = 186
    for number in range(side // spacing):
        middle, bend = (number + 0.5) * spacing, rng.uniform(20, 60)
        phase, half = rng.uniform(0, 6.3), rng.uniform(5, 10)
        xs = np.arange(-16, side + 17, 16)
        ys = middle + bend * np.sin(xs / 400 + phase)
        yield [
            *zip(xs.tolist(), (ys - half).tolist(), strict=True),
            *zip(xs[::-1].tolist(), (ys + half)[::-1].tolist(), strict=True),
        ]


def _fill(outline: list[tuple[float, float]], side: int) -> tuple[Window, np.ndarray] | None:
    """Draws a polygon in the box around it, cut off at the sides of the scene."""
    xs, ys = zip(*outline, strict=True)
    box = Window(
        max(math.floor(min(ys)), 0),
        max(math.floor(min(xs)), 0),
        min(math.ceil(max(ys)) + 1, side),
        min(math.ceil(max(xs)) + 1, side),
    )
    if box.is_empty:
        return None
    image = Image.new("1", (box.width, box.height))
    shifted = [(x - box.left, y - box.top) for x, y in outline]
    ImageDraw.Draw(image).polygon(shifted, fill=1)
    mask = np.array(image)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = box.top + int(rows[0]), box.left + int(columns[0])
    return Window(top, left, top + inner.shape[0], left + inner.shape[1]), inner
