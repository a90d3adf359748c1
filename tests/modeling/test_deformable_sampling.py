import numpy as np
import pytest
import torch

from benchmarks.straightforward import sample_deformable
from score_hf.modeling.deformable_sampling import gather_deformable


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
    for sample in (sample_deformable, gather_deformable):
        found = sample(values, shapes, locations, weights)
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


@pytest.mark.parametrize("shapes", [[(1, 1)], [(1, 7), (5, 2)], [(3, 3), (6, 5), (11, 9)]])
@pytest.mark.parametrize(("batch", "queries", "heads", "points"), [(1, 1, 1, 1), (3, 17, 4, 3)])
def test_gradients_are_those_of_sampling(shapes, batch, queries, heads, points):
    torch.manual_seed(1)
    values, _, locations, weights = places(shapes, batch, queries, heads, points)
    locations.flatten(0, -2)[::5] = torch.tensor([-40.0, 1e6])
    leaves = [one.double().requires_grad_() for one in (values, locations, weights)]
    found, expected = (
        sample(leaves[0], shapes, *leaves[1:]) for sample in (gather_deformable, sample_deformable)
    )
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )


def test_what_is_no_place_reads_no_other_pixel():
    """A diverged network gives no number, and ends nothing."""
    values, shapes, locations, weights = places([(2, 3), (4, 5)])
    locations[0, 0, 0, 0, 0] = float("nan")
    found = gather_deformable(values, shapes, locations, weights).view(2, 3, 2, 4)
    assert found[0, 0, 0].isnan().all()
    assert found.isnan().sum() == 4
