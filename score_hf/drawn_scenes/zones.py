"""What a block of land may hold: each function fills a rectangle with what belongs together."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import objects, surroundings
from .canvas import Canvas, Frame, Material, rectangle
from .materials import (
    ASPHALT,
    CONCRETE,
    DRY_GRASS,
    GRASS,
    GRAVEL,
    GROUNDS,
    MEADOW,
    SAND,
    SOIL,
    between,
    pick,
    shaded,
    varied,
)


@dataclass(frozen=True)
class Block:
    """A rectangle of land around the origin of its frame, in pixels."""

    frame: Frame
    width: float
    height: float


Zone = Callable[[Canvas, np.random.Generator, Block], None]


def _pave(
    canvas: Canvas, rng: np.random.Generator, block: Block, material: Material, margin: float = 0
) -> Material:
    ground = varied(rng, material)
    shape = rectangle(block.width - 2 * margin, block.height - 2 * margin)
    canvas.paint(block.frame, shape, ground)
    return ground


def _slots(
    canvas: Canvas, block: Block, cell_width: float, cell_height: float, margin: float = 6
) -> Iterator[Frame]:
    """The visible cell centres of the largest grid that fits into the block."""
    columns = int((block.width - 2 * margin) / cell_width)
    rows = int((block.height - 2 * margin) / cell_height)
    radius = math.hypot(cell_width, cell_height) / 2
    for row in range(rows):
        for column in range(columns):
            x = (column - (columns - 1) / 2) * (block.width - 2 * margin) / columns
            y = (row - (rows - 1) / 2) * (block.height - 2 * margin) / rows
            spot = block.frame.at(x, y)
            if canvas.sees(spot, radius):
                yield spot


def _hedge(canvas: Canvas, rng: np.random.Generator, block: Block, gap: float) -> None:
    """Trees along the border of the block, on average `gap` pixels apart."""
    x, y = block.width / 2 - 7, block.height / 2 - 7
    count = int(2 * (block.width + block.height) / gap)
    for _ in range(count):
        along, side = between(rng, -1, 1), pick(rng, (-1, 1))
        place = (along * x, side * y) if rng.random() < 0.5 else (side * x, along * y)
        spot = block.frame.at(*place)
        if canvas.sees(spot, 12):
            surroundings.tree(canvas, rng, spot, between(rng, 4, 6.5))


def airport(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """An apron with a terminal and parked planes."""
    ground = _pave(canvas, rng, block, CONCRETE, 3)
    joint = shaded(ground.colour, 0.9)
    for step in range(int(block.width / 24)):
        x = -block.width / 2 + 24 * (step + 0.5)
        ends = [(x, -block.height / 2 + 3), (x, block.height / 2 - 3)]
        canvas.line(block.frame, ends, joint, 0.5)
    depth = 26.0
    terminal = block.frame.at(0, -block.height / 2 + depth / 2 + 6)
    if canvas.sees(terminal, block.width / 2):
        surroundings.hall(canvas, rng, terminal, block.width * 0.8, depth)
    apron = Block(block.frame.at(0, depth / 2 + 4), block.width, block.height - depth - 10)
    length = between(rng, 28, 34) if rng.random() < 0.2 else between(rng, 44, 66)
    for spot in _slots(canvas, apron, 1.15 * length, 1.15 * length):
        if rng.random() < 0.85 and canvas.shows(spot, 0.5 * length):
            heading = -math.pi / 2 + between(rng, -0.25, 0.25)
            yellow = [(0.0, -0.55 * length), (0.0, 0.6 * length)]
            canvas.line(spot, yellow, (206, 172, 70), 0.8)
            objects.plane(canvas, rng, spot.at(0, 0, heading), length * between(rng, 0.9, 1))


def tank_farm(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Storage tanks in a row or a grid, on gravel, with earth walls around."""
    _pave(canvas, rng, block, pick(rng, (GRAVEL, SOIL, DRY_GRASS)), 2)
    radius = between(rng, 11, 25)
    cell = 2.5 * radius
    wall = varied(rng, SOIL).colour
    for spot in _slots(canvas, block, cell, cell, 8):
        border = rectangle(0.95 * cell, 0.95 * cell)
        canvas.line(spot, [*border, border[0]], wall, 1.6)
        if rng.random() < 0.8 and canvas.shows(spot, radius):
            objects.storage_tank(canvas, rng, spot, radius * between(rng, 0.8, 1))


def tennis_club(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Tennis courts on a lawn."""
    _pave(canvas, rng, block, pick(rng, (GRASS, MEADOW)))
    _hedge(canvas, rng, block, 45)
    for spot in _slots(canvas, block, 68, 42, 12):
        if rng.random() < 0.8 and canvas.shows(spot, 30):
            objects.tennis_court(canvas, rng, spot)


def stadium(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """One soccer field."""
    _pave(canvas, rng, block, pick(rng, (GRASS, DRY_GRASS, MEADOW)))
    _hedge(canvas, rng, block, 35)
    length = between(rng, 84, 116)
    fits = min(length, 0.86 * block.width, 0.86 * block.height / 0.64)
    if canvas.shows(block.frame, 0.5 * fits):
        objects.soccer_field(canvas, rng, block.frame, fits)


def ballpark(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """One baseball diamond."""
    _pave(canvas, rng, block, pick(rng, (DRY_GRASS, MEADOW, GRASS)))
    _hedge(canvas, rng, block, 40)
    radius = min(between(rng, 60, 92), 0.62 * min(block.width, block.height))
    turn = pick(rng, (0.0, 0.5, 1.0, 1.5)) * math.pi
    spot = block.frame.at(0, 0, turn).at(-0.48 * radius, 0)
    if canvas.shows(block.frame, 0.5 * radius):
        objects.baseball_diamond(canvas, rng, spot, radius)


def neighbourhood(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Houses with gardens; some have a pool, some a car in the drive."""
    _pave(canvas, rng, block, pick(rng, GROUNDS[:3]))
    for plot in _slots(canvas, block, 58, 66, 4):
        side = pick(rng, (-1, 1))
        width, depth = between(rng, 30, 42), between(rng, 20, 26)
        trees = [(between(rng, -26, 26), side * between(rng, 26, 31)) for _ in range(2)]
        for x, y in trees:
            surroundings.tree(canvas, rng, plot.at(x, y), between(rng, 4, 7))
        garden = plot.at(between(rng, -8, 8), side * 11)
        fate = rng.random()
        if fate < 0.65 and canvas.shows(garden, 12):
            objects.swimming_pool(canvas, rng, garden, between(rng, 20, 31))
        elif 0.65 < fate < 0.75 and canvas.shows(garden, 7):
            canvas.paint(garden, rectangle(20, 12), varied(rng, CONCRETE))
            objects.vehicle(canvas, rng, garden, 13)
        elif 0.75 < fate < 0.9:
            surroundings.tree(canvas, rng, garden, between(rng, 6, 9))
        surroundings.house(canvas, rng, plot.at(0, -side * 15), width, depth)


def car_park(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """A hall with a car park in front of it."""
    _pave(canvas, rng, block, ASPHALT, 3)
    depth = 0.36 * block.height
    building = block.frame.at(0, -block.height / 2 + depth / 2 + 6)
    surroundings.hall(canvas, rng, building, block.width * between(rng, 0.6, 0.85), depth)
    lot = Block(block.frame.at(0, depth / 2 + 6), block.width, block.height - depth - 16)
    full = between(rng, 0.1, 0.4)
    for spot in _slots(canvas, lot, 11.5, 30, 8):
        for x in (-5.75, 5.75):
            canvas.line(spot, [(x, -9), (x, 9)], (214, 214, 210), 0.6)
        if rng.random() < full and canvas.shows(spot, 7):
            heading = pick(rng, (-0.5, 0.5)) * math.pi + between(rng, -0.06, 0.06)
            objects.vehicle(canvas, rng, spot.at(0, between(rng, -2, 2), heading), 13)


def solar_park(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Tables of solar panels on dry ground."""
    _pave(canvas, rng, block, pick(rng, (DRY_GRASS, MEADOW, SOIL, SAND)))
    columns, rows = int(between(rng, 4, 9)), pick(rng, (1, 2, 2, 3))
    for spot in _slots(canvas, block, 7 * columns + 12, 10 * rows + 14, 8):
        if rng.random() < 0.8 and canvas.shows(spot, 3.5 * columns):
            objects.solar_panel(canvas, rng, spot, columns, rows)


def junction(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """A roundabout where four roads meet, with a few vehicles."""
    _pave(canvas, rng, block, pick(rng, (GRASS, MEADOW, DRY_GRASS)))
    _hedge(canvas, rng, block, 50)
    width = 19.0
    for quarter in range(4):
        reach = (block.height if quarter % 2 else block.width) / 2
        arm = block.frame.at(0, 0, quarter * math.pi / 2).at(reach / 2, 0)
        surroundings.road(canvas, rng, arm, reach + 8, width)
        spot = arm.at(0.25 * reach, width / 4)
        if rng.random() < 0.35 and canvas.shows(spot, 7):
            objects.vehicle(canvas, rng, spot)
    radius = between(rng, 0.24, 0.3) * min(block.width, block.height, 150)
    if canvas.shows(block.frame, radius):
        objects.roundabout(canvas, rng, block.frame, radius)


def farm(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Two fields, with trees between them."""
    _pave(canvas, rng, block, MEADOW)
    half = block.width / 2
    for side in (-1, 1):
        field = block.frame.at(side * half / 2, 0)
        turned = rng.random() < 0.5
        width, height = half - 6, block.height - 8
        if turned:
            surroundings.crops(canvas, rng, field.at(0, 0, math.pi / 2), height, width)
        else:
            surroundings.crops(canvas, rng, field, width, height)
    surroundings.wood(canvas, rng, block.frame, 10, block.height, int(block.height / 14))


def grove(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """Trees and nothing else."""
    _pave(canvas, rng, block, GRASS)
    count = int(block.width * block.height / 450)
    surroundings.wood(canvas, rng, block.frame, block.width - 16, block.height - 16, count)


# A zone named twice is twice as likely. Each needs a block of at least 100 by 100 pixels.
ZONES: tuple[Zone, ...] = (
    airport, airport, airport, tank_farm, tank_farm, tennis_club, tennis_club, tennis_club,
    stadium, stadium, stadium, ballpark, ballpark, ballpark, junction, junction, junction,
    neighbourhood, neighbourhood, neighbourhood, neighbourhood, car_park, car_park,
    solar_park, solar_park, farm, grove,
)  # fmt: skip
