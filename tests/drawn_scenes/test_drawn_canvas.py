"""The canvas: masks follow the geometry and what hides it."""

import math

import numpy as np
import pytest

from score_hf.drawn_scenes.canvas import Canvas, Frame, Material, ellipse, rectangle

GROUND = Material((90, 110, 60))
RED = Material((200, 30, 30))


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(60, 40, GROUND, shadow=(1.0, 0.5))


def test_mask_of_a_rectangle_covers_its_pixels(canvas: Canvas) -> None:
    owner = canvas.new_object("block")
    canvas.paint(Frame(30, 20), rectangle(20, 10), RED, owner)
    masks, names = canvas.masks(smallest=1)
    expected = np.zeros((40, 60), dtype=bool)
    expected[15:25, 20:40] = True
    assert names == ["block"]
    assert np.array_equal(masks[0], expected)
    assert np.array_equal(np.all(canvas.colour() == RED.colour, axis=-1), expected)


def test_mask_of_a_disc_has_its_area(canvas: Canvas) -> None:
    owner = canvas.new_object("disc")
    canvas.paint(Frame(30.3, 19.6), ellipse(14, sides=60), RED, owner)
    masks, _ = canvas.masks(smallest=1)
    assert masks.sum() == pytest.approx(math.pi * 14**2, rel=0.03)


def test_later_things_hide_earlier_ones_and_marks_and_shadows_do_not(canvas: Canvas) -> None:
    below, above = canvas.new_object("below"), canvas.new_object("above")
    canvas.paint(Frame(30, 20), rectangle(20, 10), RED, below)
    canvas.paint(Frame(40, 20), rectangle(10, 10), GROUND, above)
    canvas.paint(Frame(20, 20), rectangle(10, 10), GROUND)
    canvas.mark(Frame(30, 20), rectangle(4, 4), (0, 0, 0))
    canvas.shade(Frame(30, 20), rectangle(4, 4), height=1)
    masks, names = canvas.masks(smallest=1)
    assert names == ["below", "above"]
    assert masks.sum(axis=(1, 2)).tolist() == [100, 100]
    assert masks[0, 15:25, 25:35].all()


def test_hidden_cut_and_absent_objects(canvas: Canvas) -> None:
    hidden, outside, cut, tiny = (
        canvas.new_object(name) for name in ("hidden", "outside", "cut", "tiny")
    )
    canvas.new_object("never painted")
    canvas.paint(Frame(30, 20), rectangle(6, 6), RED, hidden)
    canvas.paint(Frame(30, 20), rectangle(8, 8), GROUND)
    canvas.paint(Frame(-50, 20), rectangle(6, 6), RED, outside)
    canvas.paint(Frame(60, 40), rectangle(20, 10), RED, cut)
    canvas.paint(Frame(10, 10), rectangle(2, 2), RED, tiny)
    masks, names = canvas.masks(smallest=12)
    assert names == ["cut"]
    assert masks.sum() == 50
    assert masks[0, 35:, 50:].all()


def test_frames_turn_clockwise_on_the_screen() -> None:
    frame = Frame(10, 20, math.pi / 2).at(3, 0, turn=-math.pi / 2)
    assert (frame.x, frame.y) == pytest.approx((10, 23))
    assert frame.points([(1, 0)])[0] == pytest.approx((11, 23))
