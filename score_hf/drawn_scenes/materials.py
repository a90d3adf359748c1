"""Surfaces, their random variation, and the texture, light and noise of the finished picture."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from .canvas import Canvas, Colour, Material

Choice = TypeVar("Choice")

GRASS = Material((92, 112, 66), blotches=150, grain=110)
DRY_GRASS = Material((146, 137, 94), blotches=150, grain=110)
MEADOW = Material((116, 130, 78), blotches=150, grain=90)
SOIL = Material((158, 128, 96), blotches=130, grain=90)
SAND = Material((205, 188, 150), blotches=80, grain=60)
ASPHALT = Material((98, 98, 101), blotches=60, grain=50)
CONCRETE = Material((170, 167, 158), blotches=60, grain=40)
GRAVEL = Material((150, 144, 132), blotches=70, grain=130)
LEAVES = Material((48, 72, 40), blotches=120, grain=230)
PAINTED = Material((200, 200, 200), blotches=25, grain=20)
WATER_COLOURS: tuple[Colour, ...] = ((38, 72, 88), (46, 84, 84), (58, 86, 76), (34, 62, 92))
GROUNDS = (GRASS, MEADOW, DRY_GRASS, SOIL)


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of several things, with equal chances."""
    return choices[int(rng.random() * len(choices))]


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high)."""
    return low + (high - low) * float(rng.random())


def shaded(colour: Colour, factor: float) -> Colour:
    """The colour under more or less light."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


def varied(rng: np.random.Generator, material: Material, strength: float = 0.08) -> Material:
    """The material in a shade of its own."""
    light = 1 + between(rng, -strength, strength)
    warmth = between(rng, -strength, strength) / 3
    red, green, blue = material.colour
    warm = (round(red * (1 + warmth)), green, round(blue * (1 - warmth)))
    return material._replace(colour=shaded(warm, light))


def painted(colour: Colour) -> Material:
    """A smooth surface of a colour: metal, plastic, paint."""
    return PAINTED._replace(colour=colour)


def water(rng: np.random.Generator) -> Material:
    """Sea or river water."""
    return varied(rng, Material(pick(rng, WATER_COLOURS), blotches=40, grain=15, ripples=150))


def _soft_noise(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Smooth noise whose bumps are about `cell` pixels wide, (height, width), deviation near 1."""
    rows, columns = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    box = (0.5, 0.5, 0.5 + width / cell, 0.5 + height / cell)
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC, box=box))


def develop(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """Give the painted colours their texture, then tint, expose and add the sensor's noise.

    Args:
        canvas: What was painted.
        rng: Source of the noise.
    """
    height, width = canvas.height, canvas.width
    texture = canvas.texture()
    patches = _soft_noise(rng, height, width, 37.0)
    blotches = 0.6 * patches + 0.5 * _soft_noise(rng, height, width, 11.0)
    grain = 0.6 * _soft_noise(rng, height, width, 2.2)
    grain += 0.5 * rng.standard_normal((height, width), dtype=np.float32)
    light = 1 + 0.16 * texture[..., 0] * blotches + 0.15 * texture[..., 1] * grain
    ripples = texture[..., 2]
    if ripples.any():
        light += ripples * _waves(rng, blotches)

    picture = canvas.colour() * light[..., None]
    # Dry and lush patches differ in hue, not only in brightness.
    picture[..., 0] += 14 * texture[..., 0] * patches
    picture[..., 2] -= 8 * texture[..., 0] * patches

    exposure = between(rng, 0.88, 1.12)
    tint = exposure * (1 + 0.04 * rng.standard_normal(3).astype(np.float32).clip(-1.5, 1.5))
    haze = between(rng, 0.0, 14.0)
    noise = between(rng, 1.0, 4.0) * rng.standard_normal((height, width, 1), dtype=np.float32)
    picture = picture * tint + (haze + noise)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def _waves(rng: np.random.Generator, bend: np.ndarray) -> np.ndarray:
    """Wave trains in one direction, bent and broken by a noise field, (height, width)."""
    height, width = bend.shape
    direction, length = between(rng, 0, math.pi), between(rng, 6.0, 10.0)
    rows = np.arange(height, dtype=np.float32)[:, None] * (math.sin(direction) / length)
    columns = np.arange(width, dtype=np.float32)[None] * (math.cos(direction) / length)
    phase = 2 * math.pi * (rows + columns) + 2.0 * bend
    return 0.10 * np.sin(phase) * (0.6 + 0.5 * bend) + 0.05 * np.sin(1.9 * phase + 3 * bend)
