"""The labelled objects: one function a class draws one object at the origin of a frame."""

import math

import numpy as np

from .canvas import Canvas, Colour, Frame, Shape, arc, ellipse, rectangle
from .materials import (
    ASPHALT,
    CONCRETE,
    GRASS,
    MEADOW,
    SOIL,
    between,
    painted,
    pick,
    shaded,
    varied,
)

WHITE: Colour = (236, 236, 232)
GLASS: Colour = (44, 52, 62)
CAR_COLOURS: tuple[Colour, ...] = (
    (238, 238, 236), (238, 238, 236), (205, 208, 212), (186, 40, 36), (40, 76, 150),
    (28, 28, 32), (222, 186, 60), (120, 30, 40), (60, 110, 90),
)  # fmt: skip
HULL_COLOURS: tuple[Colour, ...] = (
    (236, 236, 234), (228, 226, 218), (150, 62, 48), (196, 200, 204), (52, 54, 66), (120, 54, 50),
)  # fmt: skip
CARGO_COLOURS: tuple[Colour, ...] = (
    (182, 72, 52), (60, 104, 150), (200, 160, 70), (90, 130, 90), (214, 212, 206),
)  # fmt: skip
COURT_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((64, 118, 82), (50, 92, 142)), ((72, 122, 78), (176, 92, 66)), ((58, 96, 146), (92, 140, 176)),
    ((168, 92, 70), (74, 128, 86)), ((186, 112, 78), (186, 112, 78)),
)  # fmt: skip


def _mirrored(half: list[tuple[float, float]]) -> Shape:
    return half + [(x, -y) for x, y in reversed(half)]


def plane(canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float) -> None:
    """A plane of `length` pixels, its nose towards positive x."""
    body = painted(pick(rng, (WHITE, WHITE, (214, 218, 224), (196, 200, 206))))
    jet = length > 38
    nose, width = length / 2, 0.055 * length + (0 if jet else 0.9)
    span = length * between(rng, 0.45, 0.54)
    sweep = between(rng, 0.2, 0.32) * length if jet else 0.03 * length
    chord = (0.2 if jet else 0.21) * length
    root, tail = between(rng, 0.1, 0.16) * length, -nose + 0.05 * length
    silhouette = _mirrored(
        [
            (nose, 0.0), (nose - 0.06 * length, 0.7 * width), (nose - 0.14 * length, width),
            (root, width), (root - sweep, span), (root - sweep - 0.35 * chord, span),
            (root - 1.15 * chord, width), (tail + 0.16 * length, 0.8 * width),
            (tail + 0.02 * length, 0.19 * length), (tail - 0.05 * length, 0.19 * length),
            (tail, 0.4 * width),
        ]
    )  # fmt: skip
    owner = canvas.new_object("plane")
    canvas.shade(frame, silhouette, 0.08 * length)
    canvas.paint(frame, silhouette, body, owner)
    if jet:
        for y in (-0.36 * span, 0.36 * span):
            x = root - 0.36 * sweep + 0.05 * length
            engine = rectangle(0.1 * length, 0.05 * length, x, y)
            canvas.paint(frame, engine, painted(shaded(body.colour, 0.72)), owner)
    wing_shade = shaded(body.colour, 0.86)
    canvas.mark(
        frame, [(root, width), (root - sweep, span), (root - 0.5 * chord, width)], wing_shade
    )
    canvas.mark(
        frame, [(root, -width), (root - sweep, -span), (root - 0.5 * chord, -width)], wing_shade
    )
    stripe = pick(rng, ((50, 80, 150), (170, 44, 44), (90, 96, 104), (226, 170, 60)))
    canvas.mark(frame, rectangle(0.16 * length, 0.05 * length, tail + 0.05 * length), stripe)
    canvas.mark(frame, rectangle(0.03 * length, width, nose - 0.09 * length), GLASS)


def ship(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float, sailing: bool = False
) -> None:
    """A ship of `length` pixels, its bow towards positive x; a sailing one draws a wake."""
    beam, bow = max(7.0, length * between(rng, 0.19, 0.24)), length / 2
    hull = _mirrored(
        [(bow, 0.0), (bow - 0.12 * length, 0.3 * beam), (bow - 0.3 * length, 0.5 * beam),
         (0.1 - bow, 0.46 * beam)]
    )  # fmt: skip
    if sailing:
        _wake(canvas, frame, bow, beam)
    small = length < 42
    colour = pick(rng, HULL_COLOURS[:4] if small else HULL_COLOURS)
    owner = canvas.new_object("ship")
    canvas.shade(frame, hull, 0.06 * length)
    canvas.paint(frame, hull, painted(colour), owner)
    if small:
        deck = shaded(colour, 0.78) if colour[2] > 180 else (206, 190, 160)
        canvas.mark(frame, rectangle(0.36 * length, 0.56 * beam, -0.18 * length), deck)
        canvas.mark(frame, rectangle(0.22 * length, 0.52 * beam, 0.08 * length), WHITE)
        canvas.mark(frame, rectangle(0.05 * length, 0.5 * beam, 0.18 * length), GLASS)
        return
    inner = [(0.86 * x, 0.72 * y) for x, y in hull]
    canvas.mark(frame, inner, pick(rng, ((150, 104, 84), (126, 128, 122), (110, 128, 116))))
    cell, count = 0.11 * length, 5
    for step in range(count):
        x = -0.2 * length + cell * step
        canvas.mark(frame, rectangle(0.8 * cell, 0.62 * beam, x), pick(rng, CARGO_COLOURS))
    bridge_house = rectangle(0.1 * length, 0.8 * beam, -0.38 * length)
    canvas.shade(frame, bridge_house, 0.03 * length)
    canvas.mark(frame, bridge_house, WHITE)


def _wake(canvas: Canvas, frame: Frame, bow: float, beam: float) -> None:
    """Foam behind a ship that spreads and fades."""
    steps = 7
    for step in range(steps):
        near, far = -bow * (0.9 + 0.3 * step), -bow * (1.2 + 0.3 * step)
        narrow, wide = beam * (0.35 + 0.07 * step), beam * (0.42 + 0.07 * step)
        foam = [(near, narrow), (far, wide), (far, -wide), (near, -narrow)]
        canvas.glaze(frame, foam, (226, 236, 238), 0.45 * (1 - step / steps))


def harbor(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float, fingers: int = 0
) -> None:
    """A pier from the origin along positive x, `length` pixels, with finger piers on both sides."""
    width = between(rng, 8, 11)
    wood = fingers > 0 or rng.random() < 0.4
    deck = varied(rng, painted((196, 178, 146)) if wood else CONCRETE)
    owner = canvas.new_object("harbor")
    parts = [rectangle(length, width, length / 2)]
    for step in range(fingers):
        x = length * (step + 0.8) / fingers
        parts.append(rectangle(5.0, width + 36, x))
    if not fingers and rng.random() < 0.5:
        parts.append(rectangle(width + 2, between(rng, 26, 40), length - width / 2))
    for part in parts:
        canvas.shade(frame, part, 2.5)
    for part in parts:
        canvas.paint(frame, part, deck, owner)
    seam = shaded(deck.colour, 0.84)
    for step in range(1, int(length / 6)):
        x = 6.0 * step
        canvas.line(frame, [(x, -width / 2 + 1), (x, width / 2 - 1)], seam, 0.4)


def bridge(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float, road: float
) -> None:
    """A bridge of `length` pixels along x around the origin that carries a road."""
    width = road + 5
    deck = varied(rng, CONCRETE._replace(colour=(188, 184, 174)))
    owner = canvas.new_object("bridge")
    canvas.shade(frame, rectangle(length - 6, width), 7)
    canvas.paint(frame, rectangle(length, width), deck, owner)
    canvas.mark(frame, rectangle(length, road - 2), shaded(deck.colour, 0.82))
    for y in (-width / 2, width / 2):
        canvas.line(frame, [(-length / 2, y), (length / 2, y)], (222, 220, 212), 1.0)
    canvas.dashes(frame, length, WHITE, 0.8)


def storage_tank(canvas: Canvas, rng: np.random.Generator, frame: Frame, radius: float) -> None:
    """A round tank with a fixed or a floating roof."""
    colour = pick(rng, (WHITE, WHITE, (222, 218, 204), (204, 208, 210), (196, 188, 168)))
    disc = ellipse(radius, sides=40)
    owner = canvas.new_object("storage tank")
    height = min(8.0, 0.3 * radius + 1)
    canvas.shade(frame, disc, height / 2, 0.3)
    canvas.shade(frame, disc, height)
    canvas.paint(frame, disc, painted(shaded(colour, 0.88)), owner)
    inner = ellipse(0.86 * radius, sides=32)
    if radius > 12 and rng.random() < 0.4:
        roof = pick(rng, ((150, 150, 146), (172, 166, 152), (128, 134, 138)))
        canvas.mark(frame, inner, shaded(roof, 0.62))
        canvas.mark(frame.at(0.07 * radius, 0.1 * radius), ellipse(0.76 * radius), roof)
    else:
        canvas.mark(frame, inner, colour)
        for turn in range(3):
            spoke = frame.at(0, 0, turn * math.pi / 3)
            ends = [(-0.86 * radius, 0.0), (0.86 * radius, 0.0)]
            canvas.line(spoke, ends, shaded(colour, 0.93), 0.4)
        canvas.mark(frame, ellipse(0.12 * radius, sides=10), shaded(colour, 0.7))
    canvas.line(frame, [(0.0, 0.0), (0.98 * radius, 0.0)], (120, 122, 124), 0.8)


def vehicle(canvas: Canvas, rng: np.random.Generator, frame: Frame, longest: float = 24) -> None:
    """A car, or where `longest` allows it sometimes a truck, that drives towards positive x."""
    colour = pick(rng, CAR_COLOURS)
    truck = longest > 18 and rng.random() < 0.25
    length, width = (between(rng, 20, 25), 7.6) if truck else (between(rng, 12, 14), 6.8)
    corner, x, y = 1.2, length / 2, width / 2
    outline = _mirrored([(x, y - corner), (x - corner, y), (corner - x, y), (-x, y - corner)])
    owner = canvas.new_object("vehicle")
    canvas.shade(frame, outline, 2.5, 0.5)
    canvas.paint(frame, outline, painted(colour), owner)
    if truck:
        load = pick(rng, (WHITE, (206, 204, 198), (90, 120, 160), (170, 150, 110)))
        canvas.mark(frame, rectangle(length - 6, width - 1, -2.6), load)
        canvas.mark(frame, rectangle(1.4, width - 2, x - 1.6), GLASS)
        return
    glass = GLASS if sum(colour) > 200 else (92, 100, 112)
    canvas.mark(frame, rectangle(1.8, width - 2, 0.16 * length), glass)
    canvas.mark(frame, rectangle(1.4, width - 2, -0.32 * length), glass)


def tennis_court(canvas: Canvas, rng: np.random.Generator, frame: Frame) -> None:
    """A tennis court with its run-off, 60 by 32 pixels, the net across the middle."""
    outer, inner = pick(rng, COURT_COLOURS)
    owner = canvas.new_object("tennis court")
    canvas.paint(frame, rectangle(60, 32), varied(rng, painted(outer), 0.06), owner)
    canvas.mark(frame, rectangle(42, 19.5), inner)
    for y in (-9.6, -7, 7, 9.6):
        canvas.line(frame, [(-21, y), (21, y)], WHITE, 0.7)
    for x in (-21.0, 21.0):
        canvas.line(frame, [(x, -9.6), (x, 9.6)], WHITE, 0.7)
    for x in (-11.0, 11.0):
        canvas.line(frame, [(x, -7.0), (x, 7.0)], WHITE, 0.7)
    canvas.line(frame, [(-11, 0), (11, 0)], WHITE, 0.7)
    canvas.line(frame, [(0.0, -11.0), (0.0, 11.0)], (40, 44, 48), 0.7)


def soccer_field(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float = 110
) -> None:
    """A soccer field of `length` pixels along x, mown in stripes."""
    width = 0.64 * length
    green = varied(rng, GRASS._replace(colour=(86, 130, 66), blotches=70, grain=70))
    owner = canvas.new_object("soccer field")
    canvas.paint(frame, rectangle(length, width), green, owner)
    stripe = length / 10
    for step in range(0, 10, 2):
        x = -length / 2 + stripe * (step + 0.5)
        canvas.mark(frame, rectangle(stripe, width, x), shaded(green.colour, 1.12))
    x, y = length / 2 - 3, width / 2 - 3
    canvas.line(frame, [(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)], WHITE, 0.8)
    canvas.line(frame, [(0, -y), (0, y)], WHITE, 0.8)
    circle = ellipse(0.09 * length)
    canvas.line(frame, [*circle, circle[0]], WHITE, 0.8)
    for side in (-1, 1):
        for depth, half in ((0.16 * length, 0.3 * width), (0.055 * length, 0.14 * width)):
            front = side * (x - depth)
            canvas.line(
                frame, [(side * x, -half), (front, -half), (front, half), (side * x, half)],
                WHITE, 0.8,
            )  # fmt: skip


def baseball_diamond(canvas: Canvas, rng: np.random.Generator, frame: Frame, radius: float) -> None:
    """A baseball field: a quarter disc around positive x whose home plate is at the origin."""
    dirt = varied(rng, SOIL._replace(colour=(182, 130, 90), blotches=50))
    lawn = varied(rng, GRASS._replace(colour=(98, 138, 70)))
    corner = math.pi / 4
    owner = canvas.new_object("baseball diamond")
    home = -0.07 * radius
    canvas.paint(frame, [(home, 0.0), *arc(radius, -corner, corner)], dirt, owner)
    canvas.paint(frame, [(0.0, 0.0), *arc(0.93 * radius, -corner, corner)], lawn, owner)
    canvas.paint(frame, [(home, 0.0), *arc(0.56 * radius, -corner, corner)], dirt, owner)
    canvas.paint(frame, ellipse(0.1 * radius), dirt, owner)
    half = 0.2 * radius
    square = [(0.08 * radius, 0.0), (0.08 * radius + half, half), (0.08 * radius + 2 * half, 0.0),
              (0.08 * radius + half, -half)]  # fmt: skip
    canvas.paint(frame, square, lawn, owner)
    canvas.mark(frame.at(0.08 * radius + half, 0), ellipse(0.05 * radius, sides=12), dirt.colour)
    for side in (-1, 1):
        end = 0.93 * radius * math.cos(corner)
        canvas.line(frame, [(0.0, 0.0), (end, side * end)], WHITE, 0.7)


def swimming_pool(canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float) -> None:
    """A pool of `length` pixels: rectangular, oval, or kidney-shaped, with a paved border."""
    width = length * between(rng, 0.45, 0.6)
    style = rng.random()
    if style < 0.5:
        basins = [rectangle(length, width)]
    elif style < 0.75:
        basins = [ellipse(length / 2, width / 2)]
    else:
        basins = [ellipse(0.3 * length, 0.45 * width, -0.2 * length, 0.1 * width),
                  ellipse(0.3 * length, 0.5 * width, 0.18 * length, -0.12 * width)]  # fmt: skip
    blue = varied(rng, painted(pick(rng, ((70, 176, 214), (84, 196, 218), (64, 158, 206)))))
    paving = varied(rng, CONCRETE._replace(colour=(206, 198, 180)))
    canvas.paint(frame, rectangle(length + 9, width + 9), paving)
    owner = canvas.new_object("swimming pool")
    for basin in basins:
        canvas.paint(frame, basin, blue._replace(ripples=70), owner)
    canvas.mark(frame.at(0.12 * length, 0), rectangle(0.34 * length, 0.4 * width),
                shaded(blue.colour, 0.9))  # fmt: skip


def roundabout(canvas: Canvas, rng: np.random.Generator, frame: Frame, radius: float) -> None:
    """A roundabout: the circular road and the island inside it."""
    owner = canvas.new_object("roundabout")
    canvas.paint(frame, ellipse(radius, sides=48), varied(rng, ASPHALT, 0.05), owner)
    island = radius * between(rng, 0.48, 0.58)
    canvas.mark(frame, ellipse(island + 1.6, sides=40), (206, 202, 192))
    lawn = varied(rng, pick(rng, (GRASS, MEADOW)))
    canvas.paint(frame, ellipse(island, sides=40), lawn, owner)
    style = rng.random()
    if style < 0.4:
        canvas.mark(frame, ellipse(0.5 * island), (196, 190, 176))
        canvas.mark(frame, ellipse(0.36 * island), (110, 160, 180))
    elif style < 0.8:
        for step in range(6):
            bush = frame.at(0, 0, step * math.pi / 3).at(0.55 * island, 0)
            canvas.mark(bush, ellipse(0.16 * island, sides=10), (60, 92, 52))
    for step in range(20):
        start = 2 * math.pi * step / 20
        canvas.line(frame, arc(0.78 * radius, start, start + 0.17, sides=3), WHITE, 0.7)


def solar_panel(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, columns: int, rows: int
) -> None:
    """A table of solar panels, each 7 by 10 pixels, with bright frames."""
    width, height = 7.0 * columns, 10.0 * rows
    table = rectangle(width, height)
    blue = pick(rng, ((32, 44, 88), (28, 40, 76), (38, 54, 104)))
    owner = canvas.new_object("solar panel")
    canvas.shade(frame, table, 3)
    canvas.paint(frame, table, painted(blue), owner)
    seam = (134, 146, 172)
    for column in range(columns + 1):
        x = -width / 2 + 7 * column
        canvas.line(frame, [(x, -height / 2), (x, height / 2)], seam, 0.4)
    for row in range(rows + 1):
        y = -height / 2 + 10 * row
        canvas.line(frame, [(-width / 2, y), (width / 2, y)], seam, 0.6)
