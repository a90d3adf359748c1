import numpy as np
import pytest
from PIL import Image

from score_hf.visualize import PALETTE, class_color, draw_instances

GREY = np.full((80, 120, 3), 128, dtype=np.uint8)


def square(top: int, left: int, side: int = 20, size: tuple[int, int] = (80, 120)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_instance_is_tinted_and_outlined_in_its_color():
    drawn = np.asarray(draw_instances(GREY, [square(30, 40)], [1], ["ship", "plane"], legend=False))
    assert tuple(drawn[30, 50]) == class_color(1)
    expected = np.round(128 * 0.65 + np.array(class_color(1)) * 0.35)
    assert np.array_equal(drawn[40, 50], expected)
    assert np.array_equal(drawn[:28], GREY[:28])


@pytest.mark.parametrize("ground", [0, 255])
def test_every_outline_differs_from_its_ground(ground):
    picture = np.full_like(GREY, ground)
    for label in range(len(PALETTE)):
        drawn = np.asarray(
            draw_instances(picture, [square(30, 40)], [label], "x" * len(PALETTE), legend=False)
        )
        edge = drawn[29:31, 50].astype(int)
        assert np.abs(edge - ground).max() >= 100


def test_small_instance_lies_on_a_large_one():
    masks = [square(30, 40, 6), square(20, 30, 40)]
    drawn = np.asarray(draw_instances(GREY, masks, [0, 1], ["a", "b"], legend=False))
    assert tuple(drawn[30, 43]) == class_color(0)
    reordered = draw_instances(GREY, masks[::-1], [1, 0], ["a", "b"], legend=False)
    assert np.array_equal(drawn, np.asarray(reordered))


def test_mask_at_the_border_and_empty_mask():
    masks = [square(0, 0), square(60, 100), np.zeros((80, 120), dtype=bool)]
    drawn = np.asarray(draw_instances(GREY, masks, [0, 0, 0], ["a"], legend=False))
    assert tuple(drawn[0, 0]) == tuple(drawn[79, 119]) == class_color(0)


def test_legend_is_beside_the_picture_and_shows_only_classes_found():
    plain = draw_instances(GREY, [square(30, 40)], [1], ["ship", "plane"], legend=False)
    drawn = draw_instances(GREY, [square(30, 40)], [1], ["ship", "plane"])
    assert drawn.height == plain.height and drawn.width > plain.width
    assert np.array_equal(np.asarray(drawn)[:, : plain.width], np.asarray(plain))
    legend = {tuple(pixel) for pixel in np.asarray(drawn)[:, plain.width :].reshape(-1, 3)}
    assert class_color(1) in legend and class_color(0) not in legend


@pytest.mark.parametrize("count", [0, 300])
@pytest.mark.parametrize("size", [(1, 1), (24, 24), (900, 1400)])
def test_any_number_on_any_size(count, size):
    rng = np.random.default_rng(0)
    masks = [square(*rng.integers(0, size), 5, size) for _ in range(count)]
    names = [
        f"class number {index} with a name that is longer than the rest" for index in range(18)
    ]
    drawn = draw_instances(Image.new("L", size[::-1]), masks, [i % 18 for i in range(count)], names)
    assert drawn.mode == "RGB"
    assert drawn.width > size[1] and size[0] <= drawn.height <= max(size[0], 200)


def test_masks_must_fit():
    with pytest.raises(ValueError, match=r"`masks` .* \(80, 120\), got \(3, 4\)"):
        draw_instances(GREY, [np.ones((3, 4), dtype=bool)], [0], ["a"])
    with pytest.raises(ValueError, match=r"`labels` .* 1 masks, got 2"):
        draw_instances(GREY, [square(0, 0)], [0, 0], ["a"])
