import numpy as np
import pytest
import torch
from PIL import Image
from transformers.image_utils import SizeDict

from score_hf.processing.image_sizes import (
    SizeLimit,
    fitted_size,
    height_and_width,
    padded_size,
    resized_size,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 300), (683, 512)),
        ((1999, 1001), (800, 401)),
        ((512, 801), (511, 800)),
        ((1, 5000), (1, 800)),
        ((5000, 1), (800, 1)),
        ((1, 1), (512, 512)),
    ],
)
def test_resized_sizes(size, expected):
    assert resized_size(*size, shortest_edge=512, longest_edge=800) == expected


def test_a_long_side_without_limit():
    assert resized_size(10, 1000, shortest_edge=20, longest_edge=None) == (20, 2000)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"shortest_edge": 20}, (20, 25)),
        ({"height": 33, "width": 20}, (33, 20)),
        ({"max_height": 20, "max_width": 20}, (16, 20)),
    ],
)
def test_rules_of_resizing(size, expected):
    assert fitted_size(40, 50, SizeDict(**size)) == expected


def test_a_rule_that_is_not_known():
    with pytest.raises(ValueError, match=r"`size` must have .*'longest_edge': 50"):
        fitted_size(40, 50, SizeDict(longest_edge=50))


@pytest.mark.parametrize("size", [{"shortest_edge": -5}, {"height": 0, "width": 5}])
def test_lengths_must_be_positive(size):
    with pytest.raises(ValueError, match="`size` must hold positive numbers of pixels, but got"):
        fitted_size(40, 50, SizeDict(**size))


def test_padding_to_multiples():
    assert padded_size(33, 64, 32) == (64, 64)
    assert padded_size(33, 64, 1) == (33, 64)


@pytest.mark.parametrize(
    "image, size",
    [
        (Image.new("L", (5, 3)), (3, 5)),
        (torch.zeros(3, 5), (3, 5)),
        (torch.zeros(3, 7, 5), (7, 5)),
        (torch.zeros(7, 5, 3), (7, 5)),
        (torch.zeros(1, 5, 3), (5, 3)),
    ],
)
def test_height_and_width(image, size):
    assert height_and_width(image) == size


def test_the_padded_input_must_fit_the_limit():
    limit = SizeLimit(max_pixels=64 * 96, size=None, divisor=32)
    limit.check(64, 96, "`images[0]`")
    limit.check(33, 65, "`images[0]`")
    with pytest.raises(ValueError, match=r"`images\[0\]` is 97 .* 64 high, .* 128 x 64 .*tiles"):
        limit.check(64, 97, "`images[0]`")


def test_a_line_of_pixels_is_counted_with_its_padding():
    with pytest.raises(ValueError, match="5024 x 32"):
        SizeLimit(max_pixels=6000, size=None, divisor=32).check(1, 5000, "`images[0]`")


def test_what_is_resized_is_measured_afterwards():
    size = {"shortest_edge": 64, "longest_edge": 96}
    SizeLimit(64 * 96, SizeDict(**size), 32).check(10_000, 12_000, "`images[0]`")
    del size["longest_edge"]
    with pytest.raises(ValueError, match="320000 x 64"):
        SizeLimit(64 * 96, SizeDict(**size), 32).check(1, 5000, "`images[0]`")


@pytest.mark.parametrize(
    "image", [Image.new("L", (97, 64)), np.zeros((64, 97)), torch.zeros(3, 64, 97)]
)
def test_images_in_memory(image):
    with pytest.raises(ValueError, match="`x` is 97 pixels wide and 64 high"):
        SizeLimit(64 * 96, None, 32).check_image(image, "`x`")


@pytest.mark.parametrize("image", [None, "text", np.zeros(4), np.zeros((0, 4)), torch.zeros(())])
def test_what_is_no_image_is_left_to_others(image):
    SizeLimit(32 * 32, None, 32).check_image(image, "`x`")
