"""The plan of a scene: strips of land and water, roads that cut them into blocks, and bridges."""

import math
from itertools import pairwise

import numpy as np

from . import objects, surroundings
from .canvas import Canvas, Frame, Shape
from .materials import CONCRETE, GRASS, SAND, between, pick, varied, water
from .zones import ZONES, Block

ROAD_WIDTH = 20.0


def lay_out(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with a scene.

    Everything is planned in a frame around the image centre that is turned by a random angle.
    Strips of land and of water alternate along its x axis; the same roads run across all of them
    and become bridges over a river.
    """
    angle = between(rng, 0, 2 * math.pi)
    plan = Frame(canvas.width / 2, canvas.height / 2, angle)
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    reach_x = (canvas.width * cosine + canvas.height * sine) / 2
    reach_y = (canvas.width * sine + canvas.height * cosine) / 2

    roads = _cuts(rng, reach_y, 130, 200)
    x = -reach_x - between(rng, 0, 300)
    wet = rng.random() < 0.35
    waters: list[tuple[float, float]] = []
    while x < reach_x:
        width = between(rng, 105, 210) if wet else between(rng, 140, 560)
        if wet:
            waters.append((x, x + width))
        else:
            _land(canvas, rng, plan, (x, x + width), roads)
        x, wet = x + width, not wet
    for y in roads[1:-1]:
        street = plan.at(0, y)
        surroundings.road(canvas, rng, street, 2 * reach_x + 40, ROAD_WIDTH)
        _traffic(canvas, rng, street, reach_x, waters)
    for shore in waters:
        _water(canvas, rng, plan, shore, roads)


def _cuts(rng: np.random.Generator, reach: float, smallest: float, largest: float) -> list[float]:
    """Positions from beyond -reach to beyond reach whose gaps lie between the two bounds."""
    positions = [-reach - between(rng, 0, largest)]
    while positions[-1] < reach:
        positions.append(positions[-1] + between(rng, smallest, largest))
    return positions


def _land(
    canvas: Canvas,
    rng: np.random.Generator,
    plan: Frame,
    strip: tuple[float, float],
    roads: list[float],
) -> None:
    """Blocks between the roads, as many side by side as fit."""
    low, high = strip[0] + 8, strip[1] - 8
    count = max(1, int((high - low) / 135))
    width = (high - low) / count
    for top, bottom in pairwise(roads):
        height = bottom - top - ROAD_WIDTH - 6
        for column in range(count):
            centre = plan.at(low + width * (column + 0.5), (top + bottom) / 2)
            if canvas.sees(centre, math.hypot(width, height) / 2 - 10):
                _block(canvas, rng, Block(centre, width - 6, height))


def _block(canvas: Canvas, rng: np.random.Generator, block: Block) -> None:
    """One zone, which may lie along either axis of the block."""
    if rng.random() < 0.5:
        block = Block(block.frame.at(0, 0, math.pi / 2), block.height, block.width)
    if rng.random() < 0.5:
        block = Block(block.frame.at(0, 0, math.pi), block.width, block.height)
    pick(rng, ZONES)(canvas, rng, block)


def _traffic(
    canvas: Canvas,
    rng: np.random.Generator,
    street: Frame,
    reach: float,
    waters: list[tuple[float, float]],
) -> None:
    """Vehicles on both lanes of a road, none where it crosses water."""
    x = -reach
    while x < reach:
        x += between(rng, 40, 160)
        if any(low - 16 < x < high + 16 for low, high in waters):
            continue
        side = pick(rng, (-1, 1))
        spot = street.at(x, side * ROAD_WIDTH / 4, 0 if side > 0 else math.pi)
        if canvas.shows(spot, 7):
            objects.vehicle(canvas, rng, spot)


def _shore(rng: np.random.Generator, x: float, roads: list[float], roughness: float) -> Shape:
    """A winding line from the first to the last road."""
    top, bottom = roads[0], roads[-1]
    steps = int((bottom - top) / 12) + 1
    phase, swing = between(rng, 0, 6), between(rng, 0.5, 1.0) * roughness
    return [
        (x + swing * math.sin(0.35 * step + phase) + between(rng, -0.25, 0.25) * roughness,
         top + (bottom - top) * step / steps)
        for step in range(steps + 1)
    ]  # fmt: skip


def _water(
    canvas: Canvas,
    rng: np.random.Generator,
    plan: Frame,
    shore: tuple[float, float],
    roads: list[float],
) -> None:
    """A basin with piers and ships, or a river with bridges."""
    low, high = shore
    river = high - low < 145
    walled = not river and rng.random() < 0.6
    roughness = 0.0 if walled else 6.0
    left, right = (_shore(rng, x, roads, roughness) for x in shore)
    bank = varied(rng, CONCRETE) if walled else varied(rng, pick(rng, (SAND, GRASS)))
    margin = 10 if walled else 4
    outline = [(x - margin, y) for x, y in left] + [(x + margin, y) for x, y in reversed(right)]
    canvas.paint(plan, outline, bank)
    canvas.paint(plan, [*left, *reversed(right)], water(rng))
    middle, width = (low + high) / 2, high - low
    for top, bottom in pairwise(roads):
        if river:
            _sail(canvas, rng, plan.at(middle, (top + bottom) / 2), bottom - top)
        else:
            _moor(canvas, rng, plan, (low, high), (top, bottom))
    for y in roads[1:-1] if river else ():
        objects.bridge(canvas, rng, plan.at(middle, y), width + 16, ROAD_WIDTH)


def _sail(canvas: Canvas, rng: np.random.Generator, spot: Frame, room: float) -> None:
    """A ship under way along the river."""
    if rng.random() < 0.7:
        length = min(between(rng, 24, 64), room / 3)
        heading = pick(rng, (-0.5, 0.5)) * math.pi + between(rng, -0.15, 0.15)
        ship = spot.at(between(rng, -14, 14), between(rng, -0.1, 0.1) * room, heading)
        if canvas.shows(ship, 0.5 * length):
            objects.ship(canvas, rng, ship, length, sailing=True)


def _moor(
    canvas: Canvas,
    rng: np.random.Generator,
    plan: Frame,
    shore: tuple[float, float],
    stretch: tuple[float, float],
) -> None:
    """A pier with ships beside it, and perhaps a ship in open water off the other shore."""
    (low, high), (top, bottom) = shore, stretch
    room, width = bottom - top, high - low
    y = (top + bottom) / 2 + between(rng, -0.1, 0.1) * room
    from_left = rng.random() < 0.5
    quay = plan.at(low - 4, y) if from_left else plan.at(high + 4, y, math.pi)
    length = between(rng, 58, min(110, 0.62 * width))
    if canvas.shows(quay.at(length / 2, 0), 0.5 * length):
        if rng.random() < 0.5:
            _marina(canvas, rng, quay, length)
        else:
            _cargo_pier(canvas, rng, quay, length)
    off_shore = quay.at(0.82 * width, between(rng, -0.3, 0.3) * room)
    anchored = off_shore.at(0, 0, pick(rng, (-0.5, 0.5)) * math.pi + between(rng, -0.3, 0.3))
    if rng.random() < 0.6 and canvas.shows(anchored, 20):
        objects.ship(canvas, rng, anchored, between(rng, 22, 46), rng.random() < 0.5)


def _marina(canvas: Canvas, rng: np.random.Generator, quay: Frame, length: float) -> None:
    """A pier with finger piers and small boats between them."""
    fingers = int(length / 26)
    objects.harbor(canvas, rng, quay, length, fingers)
    for step in range(fingers):
        for side in (-1, 1):
            x = length * (step + 0.8) / fingers - 9
            berth = quay.at(x, side * 15.5, side * math.pi / 2)
            if rng.random() < 0.55 and canvas.shows(berth, 10):
                objects.ship(canvas, rng, berth, between(rng, 20, 25))


def _cargo_pier(canvas: Canvas, rng: np.random.Generator, quay: Frame, length: float) -> None:
    """A plain pier with room for a larger ship on either side."""
    objects.harbor(canvas, rng, quay, length)
    for side in (-1, 1):
        berth = quay.at(0.45 * length, side * 15, pick(rng, (0.0, math.pi)))
        if rng.random() < 0.6 and canvas.shows(berth, 24):
            objects.ship(canvas, rng, berth, between(rng, 34, 0.75 * length))
