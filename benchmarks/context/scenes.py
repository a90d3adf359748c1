"""Scenes in which an object's look does not tell its class, but what lies around it does.

A scene is a pattern of plots, each with a ground and one object in its middle, on a round pad of
concrete that keeps the ground away from the object. There are three kinds of objects:

- "look": its own look tells its class; it may stand on any ground.
- "surroundings": its class is that which belongs to the ground; several classes share its look.
- "sensor": a pitch whose colour tells its class, but in half of the scenes red and green are
  exchanged, as in a false-colour picture. What the sensor did is seen anywhere in the scene.

The share of "surroundings" among the first two kinds is the dial.
"""

import math
from dataclasses import dataclass

import numpy as np

from score_hf.drawn_scenes.canvas import Canvas, Frame, ellipse
from score_hf.drawn_scenes.materials import CONCRETE, GRASS, between, develop, pick, varied

from .grounds import GROUNDS
from .looks import OWN, PITCHES, PLACES, REACH, paint_pitch, paint_shared

KINDS = ("look", "surroundings", "sensor")
PLOT = 64.0
# Pixels of concrete between an object and the ground that may tell what it is.
APRON = 4.0
PITCH_SHARE = 0.2
SMALLEST_OBJECT = 12


@dataclass(frozen=True, eq=False)
class ContextScene:
    """A drawn scene.

    Args:
        pixels: (side, side, 3) uint8.
        masks: (objects, side, side) bool.
        class_names: Of the objects.
        kinds: What tells the class of each, one of `KINDS`.
    """

    pixels: np.ndarray
    masks: np.ndarray
    class_names: list[str]
    kinds: list[str]


def draw_context_scene(seed: int, side: int, share: float) -> ContextScene:
    """Draws a scene; the same arguments give the same one.

    Args:
        seed: Any integer from 0.
        side: In pixels.
        share: How many of the objects that are no pitch have a shared look, 0 to 1.
    """
    rng = np.random.default_rng(seed)
    sun, slant = between(rng, 0, 2 * math.pi), between(rng, 0.6, 1.1)
    shadow = (slant * math.cos(sun), slant * math.sin(sun))
    canvas = Canvas(side, side, GRASS, shadow)
    plan = Frame(side / 2, side / 2, between(rng, 0, 2 * math.pi))
    plan = plan.at(between(rng, -0.5, 0.5) * PLOT, between(rng, -0.5, 0.5) * PLOT)
    plots = math.ceil(0.75 * side / PLOT + 0.5)
    for row in range(-plots, plots + 1):
        for column in range(-plots, plots + 1):
            plot = plan.at(column * PLOT, row * PLOT)
            if canvas.sees(plot, 0.71 * PLOT):
                _fill(canvas, rng, plot, share)
    masks, labels = canvas.masks(SMALLEST_OBJECT)
    pixels = np.asarray(develop(canvas, rng))
    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[..., [1, 0, 2]])
    names, kinds = [], []
    for label in labels:
        # Brushes of the package name their object and know of no kind.
        name, _, kind = label.partition("/")
        names.append(name)
        kinds.append(kind or "look")
    return ContextScene(pixels, masks, names, kinds)


def _fill(canvas: Canvas, rng: np.random.Generator, plot: Frame, share: float) -> None:
    """A ground, a pad on it, an object on that."""
    name = pick(rng, list(PLACES))
    look, ground = PLACES[name]
    is_pitch, is_shared = rng.random() < PITCH_SHARE, rng.random() < share
    if is_pitch or not is_shared:
        ground = pick(rng, list(GROUNDS))
    # Brushes paint over the border of their plot: the next plots cover it.
    GROUNDS[ground](canvas, rng, plot, PLOT)
    spot = plot.at(between(rng, -5, 5), between(rng, -5, 5), between(rng, 0, 2 * math.pi))
    canvas.paint(spot, ellipse(REACH + APRON, sides=40), varied(rng, CONCRETE))
    if not canvas.shows(spot, REACH):
        return
    if is_pitch:
        pitch = pick(rng, list(PITCHES))
        paint_pitch(canvas, spot, PITCHES[pitch], f"{pitch}/sensor")
    elif is_shared:
        paint_shared(canvas, rng, spot, look, f"{name}/surroundings")
    else:
        OWN[name](canvas, rng, spot)
