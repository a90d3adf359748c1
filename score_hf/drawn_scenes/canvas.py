"""A supersampled canvas: colour, surface texture and ownership painted by the same polygons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

# Odd, so that no pixel is ever covered by exactly half.
SUPERSAMPLING = 3
NOBODY = 0

Colour = tuple[int, int, int]
Shape = Sequence[tuple[float, float]]


class Material(NamedTuple):
    """What a surface looks like from above.

    Args:
        colour: RGB, 0-255.
        blotches: Strength of the soft, large patches of grass, soil or worn asphalt, 0-255.
        grain: Strength of the pixel-sized roughness, 0-255.
        ripples: Strength of waves, 0-255.
    """

    colour: Colour
    blotches: int = 0
    grain: int = 0
    ripples: int = 0


@dataclass(frozen=True)
class Frame:
    """A local coordinate system in the image: an origin in pixels and a rotation in radians."""

    x: float
    y: float
    angle: float = 0.0

    def at(self, x: float, y: float, turn: float = 0.0) -> "Frame":
        """The frame whose origin is the local point (x, y), turned by `turn` radians."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return Frame(
            self.x + cosine * x - sine * y, self.y + sine * x + cosine * y, self.angle + turn
        )

    def points(self, shape: Shape, scale: float = 1.0) -> list[tuple[float, float]]:
        """The points of a local shape in image coordinates times `scale`."""
        cosine, sine = scale * math.cos(self.angle), scale * math.sin(self.angle)
        left, top = scale * self.x, scale * self.y
        return [(left + cosine * x - sine * y, top + sine * x + cosine * y) for x, y in shape]


def rectangle(width: float, height: float, x: float = 0.0, y: float = 0.0) -> Shape:
    """A rectangle around (x, y)."""
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def ellipse(
    radius_x: float, radius_y: float | None = None, x: float = 0.0, y: float = 0.0, sides: int = 28
) -> Shape:
    """An ellipse around (x, y), or a circle if only one radius is given."""
    radius_y = radius_x if radius_y is None else radius_y
    steps = [2 * math.pi * step / sides for step in range(sides)]
    return [(x + radius_x * math.cos(step), y + radius_y * math.sin(step)) for step in steps]


def arc(
    radius: float, start: float, stop: float, x: float = 0.0, y: float = 0.0, sides: int = 16
) -> Shape:
    """Points of a circular arc around (x, y) between two angles in radians."""
    steps = [start + (stop - start) * step / sides for step in range(sides + 1)]
    return [(x + radius * math.cos(step), y + radius * math.sin(step)) for step in steps]


class Canvas:
    """Paints polygons at three times the resolution and remembers which object owns which pixel.

    Colour, texture and ownership are painted by the same polygons, therefore the masks agree with
    the picture, and what is painted later hides what lies beneath in the masks too.

    Args:
        width: Width of the finished picture in pixels.
        height: Height of the finished picture in pixels.
        ground: What covers the canvas at the beginning.
        shadow: Where the shadow of something one pixel high falls: (x, y) in pixels.
    """

    def __init__(
        self, width: int, height: int, ground: Material, shadow: tuple[float, float]
    ) -> None:
        self.width = width
        self.height = height
        self.class_names: list[str] = []
        self._shadow = shadow
        self._boxes: list[list[float]] = []
        size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self._colour = Image.new("RGB", size, ground.colour)
        self._texture = Image.new("RGB", size, ground[1:])
        self._owner = Image.new("I", size, NOBODY)
        self._draw_colour = ImageDraw.Draw(self._colour)
        self._draw_texture = ImageDraw.Draw(self._texture)
        self._draw_owner = ImageDraw.Draw(self._owner)
        self._draw_glaze = ImageDraw.Draw(self._colour, "RGBA")

    def sees(self, frame: Frame, radius: float) -> bool:
        """Whether a disc around the origin of `frame` reaches into the picture."""
        return -radius < frame.x < self.width + radius and -radius < frame.y < self.height + radius

    def shows(self, frame: Frame, radius: float) -> bool:
        """Whether enough of an object around the origin of `frame` would be visible to know it."""
        return self.sees(frame, 0.35 * radius)

    def new_object(self, class_name: str) -> int:
        """The owner number of a new object."""
        self.class_names.append(class_name)
        self._boxes.append([SUPERSAMPLING * self.width, SUPERSAMPLING * self.height, 0, 0])
        return len(self.class_names)

    def paint(self, frame: Frame, shape: Shape, material: Material, owner: int = NOBODY) -> None:
        """Cover a polygon with a material; its pixels belong to `owner` from now on."""
        points = frame.points(shape, SUPERSAMPLING)
        self._draw_colour.polygon(points, fill=material.colour)
        self._draw_texture.polygon(points, fill=material[1:])
        self._draw_owner.polygon(points, fill=owner)
        if owner != NOBODY:
            xs, ys = zip(*points, strict=True)
            box = self._boxes[owner - 1]
            box[:] = [
                min(box[0], *xs), min(box[1], *ys), max(box[2], *xs), max(box[3], *ys)
            ]  # fmt: skip

    def mark(self, frame: Frame, shape: Shape, colour: Colour) -> None:
        """Colour a polygon without changing what it is: a window, a stripe, a roof side."""
        self._draw_colour.polygon(frame.points(shape, SUPERSAMPLING), fill=colour)

    def line(self, frame: Frame, shape: Shape, colour: Colour, width: float) -> None:
        """Colour a line of a width in pixels without changing what lies beneath."""
        thickness = max(1, round(width * SUPERSAMPLING))
        self._draw_colour.line(frame.points(shape, SUPERSAMPLING), fill=colour, width=thickness)

    def dashes(
        self, frame: Frame, length: float, colour: Colour, width: float, dash: float = 6.0
    ) -> None:
        """Colour a dashed line of `length` along the local x axis, centred on the origin."""
        for step in range(int(length / (2 * dash)) + 1):
            x = -length / 2 + 2 * dash * step
            dash_frame = frame.at(x, 0.0)
            if self.sees(dash_frame, dash):
                self.line(dash_frame, [(0.0, 0.0), (dash, 0.0)], colour, width)

    def glaze(self, frame: Frame, shape: Shape, colour: Colour, opacity: float) -> None:
        """Lay a translucent colour over a polygon."""
        points = frame.points(shape, SUPERSAMPLING)
        self._draw_glaze.polygon(points, fill=(*colour, round(255 * opacity)))

    def shade(self, frame: Frame, shape: Shape, height: float, opacity: float = 0.45) -> None:
        """The shadow of a shape `height` pixels above the ground."""
        x, y = self._shadow
        moved = Frame(frame.x + x * height, frame.y + y * height, frame.angle)
        self.glaze(moved, shape, (12, 16, 30), opacity)

    def towards_sun(self, frame: Frame, distance: float) -> Frame:
        """The frame moved by `distance` pixels towards the sun."""
        x, y = self._shadow
        norm = math.hypot(x, y)
        return Frame(frame.x - distance * x / norm, frame.y - distance * y / norm, frame.angle)

    def colour(self) -> np.ndarray:
        """The picture without texture, (height, width, 3) float32 in 0-255."""
        return np.asarray(self._colour.reduce(SUPERSAMPLING), dtype=np.float32)

    def texture(self) -> np.ndarray:
        """Strength of blotches, grain and ripples, (height, width, 3) float32 in 0-1."""
        return np.asarray(self._texture.reduce(SUPERSAMPLING), dtype=np.float32) / 255

    def masks(self, smallest: int) -> tuple[np.ndarray, list[str]]:
        """Masks and class names of the objects with at least `smallest` visible pixels.

        Returns:
            Masks (objects, height, width) bool: a pixel belongs to the object that covers more
            than half of it. And the class name of each.
        """
        step = SUPERSAMPLING
        owners = np.asarray(self._owner).reshape(self.height, step, self.width, step)
        seen: list[tuple[str, slice, slice, np.ndarray]] = []
        for owner, (name, box) in enumerate(zip(self.class_names, self._boxes, strict=True), 1):
            rows, columns = _span(box[1], box[3], self.height), _span(box[0], box[2], self.width)
            covered = owners[rows, :, columns] == owner
            visible = covered.sum(axis=(1, 3)) > step * step / 2
            if visible.sum() >= smallest:
                seen.append((name, rows, columns, visible))
        masks = np.zeros((len(seen), self.height, self.width), dtype=bool)
        for mask, (_, rows, columns, visible) in zip(masks, seen, strict=True):
            mask[rows, columns] = visible
        return masks, [name for name, *_ in seen]


def _span(low: float, high: float, size: int) -> slice:
    """The pixels between two supersampled coordinates, with one to spare on either side."""
    first = math.floor(low / SUPERSAMPLING) - 1
    last = math.ceil(high / SUPERSAMPLING) + 2
    return slice(min(max(first, 0), size), min(max(last, 0), size))
