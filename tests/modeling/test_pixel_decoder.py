import numpy as np
import pytest
import torch

from score_hf.modeling.pixel_decoder import (
    ScoreDeformableAttention,
    ScorePixelDecoder,
    gather_deformable,
    sample_deformable,
)
from tests.tiny import tiny_config


def read(image, x, y):
    """Bilinear value (channels,) at (x, y) in pixels, pixel centres at whole numbers; 0 outside."""
    total = torch.zeros(image.shape[0])
    left, top = int(torch.tensor(x).floor()), int(torch.tensor(y).floor())
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
                share = (1 - abs(x - column)) * (1 - abs(y - row))
                total = total + share * image[:, row, column]
    return total


def places(shapes, batch=2, queries=3, heads=2, points=2, width=4):
    """Random arguments of the sampling; some locations lie outside."""
    positions = sum(height * columns for height, columns in shapes)
    return (
        torch.randn(batch, positions, heads, width),
        shapes,
        torch.rand(batch, queries, heads, len(shapes), points, 2) * 1.4 - 0.2,
        torch.rand(batch, queries, heads, len(shapes), points),
    )


def test_sampling_sums_bilinear_values_of_all_levels():
    torch.manual_seed(0)
    shapes = [(2, 3), (4, 5)]
    values, _, locations, weights = places(shapes)
    maps = [
        level.unflatten(1, shape)
        for level, shape in zip(values.split([6, 20], 1), shapes, strict=True)
    ]
    expected = torch.zeros(2, 3, 2, 4)
    for b, q, h, level, p in np.ndindex(*weights.shape):
        height, columns = shapes[level]
        x, y = locations[b, q, h, level, p].tolist()
        image = maps[level][b, :, :, h].permute(2, 0, 1)
        value = read(image, x * columns - 0.5, y * height - 0.5)
        expected[b, q, h] += weights[b, q, h, level, p] * value
    found = sample_deformable(values, shapes, locations, weights)
    torch.testing.assert_close(found, expected.flatten(2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shapes", [[(1, 1)], [(1, 7), (5, 2)], [(3, 3), (6, 5), (11, 9)]])
@pytest.mark.parametrize(("batch", "queries", "heads", "points"), [(1, 1, 1, 1), (3, 17, 4, 3)])
def test_gathering_equals_sampling(shapes, batch, queries, heads, points):
    torch.manual_seed(1)
    arguments = places(shapes, batch, queries, heads, points)
    # Far outside, on the border and exactly on pixel centres.
    arguments[2].flatten(0, -2)[::5] = torch.tensor([-40.0, 1e9])
    arguments[2].flatten(0, -2)[1::7] = torch.tensor([0.0, 1.0])
    arguments[2].flatten(0, -2)[2::7] = torch.tensor([0.5, 0.5])
    expected = sample_deformable(*arguments)
    torch.testing.assert_close(gather_deformable(*arguments), expected, atol=1e-5, rtol=1e-5)


def test_heads_start_by_looking_around_in_a_star():
    attention = ScoreDeformableAttention(tiny_config(num_attention_heads=8), levels=3)
    attention.init_own_weights()
    assert attention.sampling_offsets.weight.abs().max() == 0
    # (heads, levels, points, 2)
    offsets = attention.sampling_offsets.bias.detach().view(8, 3, 2, 2)
    torch.testing.assert_close(offsets[0, 0], torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    torch.testing.assert_close(offsets[1, 2], torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    torch.testing.assert_close(offsets[4], -offsets[0])


def stages(batch=1, size=64):
    widths = tiny_config().general_config.hidden_sizes
    return [
        torch.randn(batch, width, size // stride, size // stride)
        for width, stride in zip(widths, (4, 8, 16, 32), strict=True)
    ]


def decoder():
    torch.manual_seed(0)
    made = ScorePixelDecoder(tiny_config()).eval()
    for module in made.modules():
        if hasattr(module, "init_own_weights"):
            module.init_own_weights()
    return made


@torch.no_grad()
def test_maps_come_coarsest_first():
    mask_features, maps = decoder()(stages(batch=2))
    assert mask_features.shape == (2, 32, 16, 16)
    assert [level.shape for level in maps] == [(2, 32, 2, 2), (2, 32, 4, 4), (2, 32, 8, 8)]


@torch.no_grad()
def test_it_stays_in_single_precision_under_autocast_and_for_half_inputs():
    made, inputs = decoder(), stages()
    expected, _ = made(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = made(inputs)
    assert torch.equal(found, expected)
    half, _ = made([stage.bfloat16() for stage in inputs])
    assert half.dtype == torch.float32
