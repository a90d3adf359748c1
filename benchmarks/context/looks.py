"""What stands on a ground: classes with a look of their own, looks that several classes share."""

import math
from collections.abc import Callable

import numpy as np

from score_hf.drawn_scenes import objects
from score_hf.drawn_scenes.canvas import Canvas, Colour, Frame, Shape, ellipse, rectangle
from score_hf.drawn_scenes.materials import between, painted, pick, shaded

# No object reaches farther from its middle.
REACH = 14.0
# Grey, so that no sensor changes them.
GREYS: tuple[Colour, ...] = ((226, 226, 226), (212, 212, 212), (238, 238, 238))
GREEN_PITCH: Colour = (84, 138, 66)
RED_PITCH: Colour = (138, 84, 66)

# The class of a shared look, by the ground around it.
SHARED: dict[str, dict[str, str]] = {
    "hull": {"water": "ship", "car park": "vehicle"},
    "disc": {"tank farm": "storage tank", "crossing": "roundabout", "park": "fountain"},
    "slab": {"garden": "swimming pool", "field": "solar panel", "lawn": "tennis court"},
}
# The paint of a pitch as the eye sees it; the other sensor takes red for green.
PITCHES: dict[str, Colour] = {"soccer field": GREEN_PITCH, "baseball diamond": RED_PITCH}
PLACES = {
    name: (look, ground) for look, classes in SHARED.items() for ground, name in classes.items()
}
CLASS_NAMES = (*PLACES, *PITCHES)


def paint_shared(
    canvas: Canvas, rng: np.random.Generator, frame: Frame, look: str, label: str
) -> None:
    """Paints a look that tells no class: nothing here depends on `label`.

    Args:
        canvas: Where to.
        rng: Of sizes and shades.
        frame: Its middle and heading.
        look: A key of `SHARED`.
        label: What the canvas calls the object.
    """
    colour, size = pick(rng, GREYS), between(rng, 0.85, 1.0)
    shape: Shape
    if look == "hull":
        half = [(12.0, 0.0), (8.5, 2.6), (3.0, 3.9), (-12.0, 3.5)]
        shape = half + [(x, -y) for x, y in reversed(half)]
    elif look == "disc":
        shape = ellipse(10.0, sides=40)
    else:
        shape = rectangle(23.0, 14.0)
    shape = [(size * x, size * y) for x, y in shape]
    inner = [(0.7 * x, 0.7 * y) for x, y in shape]
    canvas.paint(frame, shape, painted(colour), canvas.new_object(label))
    canvas.mark(frame, inner, shaded(colour, 0.5))


def paint_pitch(canvas: Canvas, frame: Frame, paint: Colour, label: str) -> None:
    """Paints a pitch, of which only the colour is known."""
    outline = rectangle(21.0, 12.0)
    canvas.paint(frame, rectangle(24.0, 15.0), painted(paint), canvas.new_object(label))
    canvas.line(frame, [*outline, outline[0]], objects.WHITE, 0.8)


def _fountain(canvas: Canvas, rng: np.random.Generator, frame: Frame) -> None:
    owner = canvas.new_object("fountain")
    canvas.paint(frame, ellipse(11.0, sides=8), painted((204, 196, 178)), owner)
    canvas.mark(frame, ellipse(8.6, sides=8), pick(rng, ((86, 166, 196), (96, 178, 200))))
    canvas.mark(frame, ellipse(3.2, sides=12), (240, 244, 246))


def _court(canvas: Canvas, rng: np.random.Generator, frame: Frame) -> None:
    outer, inner = pick(rng, objects.COURT_COLOURS)
    owner = canvas.new_object("tennis court")
    canvas.paint(frame, rectangle(24.0, 14.0), painted(outer), owner)
    canvas.mark(frame, rectangle(17.0, 8.6), inner)
    for y in (-4.3, 4.3):
        canvas.line(frame, [(-8.5, y), (8.5, y)], objects.WHITE, 0.7)
    for x in (-8.5, 0.0, 8.5):
        canvas.line(frame, [(x, -4.3), (x, 4.3)], objects.WHITE, 0.7)


OWN: dict[str, Callable[[Canvas, np.random.Generator, Frame], None]] = {
    "ship": lambda canvas, rng, frame: objects.ship(canvas, rng, frame, between(rng, 23, 27)),
    "vehicle": objects.vehicle,
    "storage tank": lambda canvas, rng, frame: objects.storage_tank(
        canvas, rng, frame, between(rng, 9, 12)
    ),
    "roundabout": lambda canvas, rng, frame: objects.roundabout(
        canvas, rng, frame, between(rng, 11, 13)
    ),
    "fountain": _fountain,
    "swimming pool": lambda canvas, rng, frame: objects.swimming_pool(
        canvas, rng, frame, between(rng, 19, 22)
    ),
    "solar panel": lambda canvas, rng, frame: objects.solar_panel(
        canvas, rng, frame.at(0, 0, pick(rng, (0.0, math.pi / 2))), 3, 1
    ),
    "tennis court": _court,
}
