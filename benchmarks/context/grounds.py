"""What lies around an object: eight grounds, each told from the others without any object."""

import math
from collections.abc import Callable

import numpy as np

from score_hf.drawn_scenes import surroundings
from score_hf.drawn_scenes.canvas import Canvas, Frame, rectangle
from score_hf.drawn_scenes.materials import (
    ASPHALT,
    GRASS,
    GRAVEL,
    MEADOW,
    SOIL,
    between,
    shaded,
    varied,
)
from score_hf.drawn_scenes.materials import water as water_surface

Ground = Callable[[Canvas, np.random.Generator, Frame, float], None]


def water(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), water_surface(rng))


def car_park(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), varied(rng, ASPHALT))
    for step in range(int(side / 7)):
        x = -side / 2 + 7 * step + 3
        for y in (-0.4 * side, 0.4 * side):
            canvas.line(frame, [(x, y - 7), (x, y + 7)], (216, 216, 212), 0.7)


def tank_farm(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), varied(rng, GRAVEL))
    wall = varied(rng, SOIL).colour
    for length in (0.92 * side, 0.72 * side):
        border = rectangle(length, length)
        canvas.line(frame, [*border, border[0]], wall, 2.0)


def crossing(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), varied(rng, GRASS))
    for turn in (0.0, math.pi / 2):
        surroundings.road(canvas, rng, frame.at(0, 0, turn), side, 15)


def park(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), varied(rng, MEADOW))
    surroundings.wood(canvas, rng, frame, side - 12, side - 12, int(side * side / 220))


def garden(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    canvas.paint(frame, rectangle(side, side), varied(rng, GRASS))
    for sign in (-1, 1):
        house = frame.at(sign * between(rng, 0.2, 0.28) * side, sign * 0.38 * side)
        surroundings.house(canvas, rng, house, 0.36 * side, 0.2 * side)


def field(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    surroundings.crops(canvas, rng, frame, side, side)


def lawn(canvas: Canvas, rng: np.random.Generator, frame: Frame, side: float) -> None:
    grass = varied(rng, GRASS._replace(colour=(100, 142, 74), blotches=50, grain=60))
    canvas.paint(frame, rectangle(side, side), grass)
    width = side / 8
    for step in range(0, 8, 2):
        stripe = rectangle(width, side, -side / 2 + width * (step + 0.5))
        canvas.mark(frame, stripe, shaded(grass.colour, 1.14))


GROUNDS: dict[str, Ground] = {
    ground.__name__.replace("_", " "): ground
    for ground in (water, car_park, tank_farm, crossing, park, garden, field, lawn)
}
