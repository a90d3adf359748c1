"""What surrounds the objects and is not labelled: trees, houses, halls, roads, fields."""

import numpy as np

from .canvas import Canvas, Colour, Frame, ellipse, rectangle
from .materials import (
    ASPHALT,
    CONCRETE,
    DRY_GRASS,
    GRASS,
    LEAVES,
    MEADOW,
    SOIL,
    between,
    painted,
    pick,
    shaded,
    varied,
)

ROOF_COLOURS: tuple[Colour, ...] = (
    (164, 92, 68), (176, 106, 80), (128, 84, 70), (112, 108, 106), (142, 132, 122), (150, 78, 62),
)  # fmt: skip
HALL_COLOURS: tuple[Colour, ...] = ((204, 202, 196), (178, 182, 184), (160, 140, 122))


def tree(canvas: Canvas, rng: np.random.Generator, frame: Frame, radius: float) -> None:
    """A tree seen from above."""
    leaves = varied(rng, LEAVES, 0.2)
    crown = ellipse(radius, radius * between(rng, 0.85, 1.0), sides=11)
    canvas.shade(frame, crown, 0.8 * radius)
    canvas.paint(frame, crown, leaves)
    lit = canvas.towards_sun(frame, 0.28 * radius)
    canvas.mark(lit, [(0.6 * x, 0.6 * y) for x, y in crown], shaded(leaves.colour, 1.3))


def wood(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, width: float, height: float, count: int
) -> None:
    """Trees scattered over a rectangle around the origin."""
    for _ in range(count):
        spot = frame.at(between(rng, -width, width) / 2, between(rng, -height, height) / 2)
        if canvas.sees(spot, 16):
            tree(canvas, rng, spot, between(rng, 4.5, 9))


def house(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, width: float, depth: float
) -> None:
    """A house with a gabled roof, its ridge along x."""
    roof = pick(rng, ROOF_COLOURS)
    plan = rectangle(width, depth)
    canvas.shade(frame, plan, 3.5, 0.3)
    canvas.shade(frame, plan, 7)
    canvas.paint(frame, plan, painted(roof)._replace(grain=70))
    bright = canvas.towards_sun(Frame(0, 0), 1.0)
    facing = Frame(0, 0, -frame.angle).at(bright.x, bright.y).y
    side = -depth / 4 if facing < 0 else depth / 4
    canvas.mark(frame, rectangle(width, depth / 2, 0, side), shaded(roof, 1.2))
    canvas.mark(frame, rectangle(width, depth / 2, 0, -side), shaded(roof, 0.84))
    if rng.random() < 0.5:
        canvas.mark(frame, rectangle(2.6, 2.6, width * 0.25, side), shaded(roof, 0.5))


def hall(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, width: float, depth: float
) -> None:
    """A large flat-roofed building: a warehouse, a terminal, a shop."""
    roof = pick(rng, HALL_COLOURS)
    plan = rectangle(width, depth)
    canvas.shade(frame, plan, 4.5, 0.3)
    canvas.shade(frame, plan, 9)
    canvas.paint(frame, plan, varied(rng, painted(shaded(roof, 0.86))))
    canvas.mark(frame, rectangle(width - 3, depth - 3), roof)
    for step in range(int(width / 18)):
        x, y = -width / 2 + 12 + 18 * step, between(rng, -0.3, 0.3) * depth
        canvas.mark(frame, rectangle(5, 4, x, y), shaded(roof, 0.72))


def road(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float, width: float
) -> None:
    """A road along x around the origin with kerbs and a dashed centre line."""
    asphalt = varied(rng, ASPHALT, 0.05)
    canvas.paint(frame, rectangle(length, width + 3), varied(rng, CONCRETE))
    canvas.paint(frame, rectangle(length, width), asphalt)
    canvas.dashes(frame, length, (206, 204, 196), 0.7)


def crops(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, width: float, height: float
) -> None:
    """A farm field with rows along x."""
    soil = varied(rng, pick(rng, (SOIL, DRY_GRASS, MEADOW, GRASS)), 0.15)
    canvas.paint(frame, rectangle(width, height), soil)
    spacing, row = between(rng, 4, 8), shaded(soil.colour, pick(rng, (0.86, 0.9, 1.1)))
    for step in range(int(height / spacing)):
        y = -height / 2 + spacing * (step + 0.5)
        canvas.line(frame, [(-width / 2, y), (width / 2, y)], row, 1.4)
