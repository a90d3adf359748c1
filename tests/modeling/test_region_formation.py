import pytest
import torch
from torch import nn

from score_hf.modeling.region_formation import ScoreRegionFormation, dilate, dilate_to_grid
from tests.tiny import tiny_config


def formation(**changes):
    torch.manual_seed(0)
    made = ScoreRegionFormation(tiny_config(**changes))
    made.init_own_weights()
    return made


@pytest.mark.parametrize("size", [1, 3, 13])
def test_dilation_takes_the_maximum_of_the_neighbourhood(size):
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 6, 7)
    dilated = dilate(logits, size)
    reach = size // 2
    for row in range(6):
        for column in range(7):
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            expected = logits[..., rows, columns].flatten(2).amax(2)
            assert torch.equal(dilated[..., row, column], expected)


@pytest.mark.parametrize("shape", [(16, 16), (13, 40), (128, 96), (1, 9), (5, 1)])
@pytest.mark.parametrize("grid", [(16, 16), (7, 7), (1, 3), (50, 37)])
def test_dilating_where_the_grid_reads_equals_dilating_everywhere(shape, grid):
    torch.manual_seed(0)
    sizes, shares = (3, 7, 13), torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).requires_grad_()
    logits = torch.randn(2, 3, *shape, dtype=torch.float64, requires_grad=True)
    mixed = sum(s * dilate(logits, k) for s, k in zip(shares, sizes, strict=True))
    expected = nn.functional.interpolate(mixed, grid, mode="bilinear", align_corners=False)
    found = dilate_to_grid(logits, sizes, shares, grid)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((weights * one).sum(), (logits, shares)) for one in (found, expected)
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("size", [3, 7, 13])
def test_the_size_may_be_a_tensor(size):
    logits = torch.randn(1, 2, 20, 30)
    arguments = torch.ones(1), (7, 5)
    expected = dilate_to_grid(logits, (size,), *arguments)
    assert torch.equal(dilate_to_grid(logits, (torch.tensor(size),), *arguments), expected)


def test_evaluation_forms_hard_regions_and_ends_nothing():
    made = formation().eval()
    region = made(torch.randn(1, 2, 16, 16), (4, 4))
    assert region.dtype == torch.bool and region.shape == (1, 2, 4, 4)
    assert int(made.calls) == 0 and int(made.chosen) == -1


def test_learning_ends_after_its_calls_with_the_best_kernel():
    made = formation(kernel_learning_calls=2).train()
    logits = torch.randn(1, 2, 16, 16, requires_grad=True)
    for call in (1, 2):
        region = made(logits, (4, 4))
        assert region.is_floating_point() and int(made.calls) == call
    region.sum().backward()
    assert logits.grad.abs().max() > 0 and made.kernel_logits.grad.abs().max() > 0

    region = made(logits, (4, 4))
    assert region.dtype == torch.bool
    assert int(made.calls) == 2 and int(made.chosen) == int(made.kernel_logits.argmax())
    with torch.no_grad():
        made.kernel_logits.copy_(made.kernel_logits.flip(0))
    kept = made(logits, (4, 4))
    assert torch.equal(kept, region), "the kernel is chosen once"


def test_the_soft_region_mixes_dilations_by_gumbel_shares(monkeypatch):
    made = formation(region_kernel_sizes=[3, 5]).train()
    noise = torch.tensor([0.3, -0.2])
    monkeypatch.setattr(made, "draw_gumbel", lambda: noise)
    logits = torch.randn(1, 2, 8, 8)
    shares = ((made.kernel_logits + noise) / 2.0).softmax(0)
    mixed = shares[0] * dilate(logits, 3) + shares[1] * dilate(logits, 5)
    expected = torch.sigmoid(10 * (mixed - 0.5))
    torch.testing.assert_close(made(logits, (8, 8)), expected)


def test_gumbel_noise_has_its_mean_and_is_drawn_anew():
    made = formation(region_kernel_sizes=[3] * 20000)
    noise = made.draw_gumbel()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.05)
    assert not torch.equal(noise, made.draw_gumbel())


@pytest.mark.parametrize(("delta", "size"), [(0.0, 3), (2.0, 5), (10.0, 13), (-4.0, 3), (99.0, 13)])
def test_clamp_dilates_by_three_plus_delta(delta, size):
    made = formation(region_kernel="clamp").eval()
    with torch.no_grad():
        made.delta.fill_(delta)
    logits = torch.randn(1, 2, 16, 16)
    assert torch.equal(made(logits, (16, 16)), dilate(logits, size) > 0)


def test_clamp_between_two_sizes_mixes_them_and_teaches_delta():
    made = formation(region_kernel="clamp").train()
    logits = torch.randn(1, 2, 16, 16)
    region = made(logits, (16, 16))
    mixed = (dilate(logits, 3) + dilate(logits, 5)) / 2
    torch.testing.assert_close(region, torch.sigmoid(10 * (mixed - 0.5)))
    region.sum().backward()
    assert made.delta.grad.abs() > 0


def test_a_fixed_kernel_learns_nothing():
    made = formation(region_kernel="fixed", region_kernel_size=5).train()
    assert not list(made.parameters())
    logits = torch.randn(1, 2, 16, 16)
    assert torch.equal(made(logits, (16, 16)), dilate(logits, 5) > 0)
