import math

import pytest
import torch
from torch import nn

from score_hf.modeling.layers import ScoreAttention, pool_in_masks, sine_position_embedding
from tests.tiny import tiny_config


def twins(implementation):
    """Our attention and PyTorch's, with the same weights."""
    config = tiny_config()
    config._attn_implementation = implementation
    ours = ScoreAttention(config, width=32, num_heads=4).eval()
    theirs = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    with torch.no_grad():
        nn.init.normal_(theirs.in_proj_bias)
        projections = (ours.q_proj, ours.k_proj, ours.v_proj)
        weights, biases = theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3)
        for projection, weight, bias in zip(projections, weights, biases, strict=True):
            projection.weight.copy_(weight)
            projection.bias.copy_(bias)
        ours.out_proj.load_state_dict(theirs.out_proj.state_dict())
    return ours, theirs


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("keys", [5, 1])
@pytest.mark.parametrize("training", [True, False])
def test_attention_is_multi_head_attention(implementation, keys, training):
    torch.manual_seed(0)
    ours, theirs = twins(implementation)
    ours.train(training)
    query, key, value = torch.randn(2, 3, 32), torch.randn(2, keys, 32), torch.randn(2, keys, 32)
    expected, _ = theirs(query, key, value)
    torch.testing.assert_close(ours(query, key, value)[0], expected)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_attends_only_where_the_mask_is_true(implementation):
    torch.manual_seed(0)
    ours, theirs = twins(implementation)
    query, key = torch.randn(2, 3, 32), torch.randn(2, 5, 32)
    attend = torch.rand(2, 1, 3, 5) > 0.5
    attend[..., 0] = True
    blocked = ~attend.expand(-1, 4, -1, -1).flatten(0, 1)
    expected, _ = theirs(query, key, key, attn_mask=blocked)
    torch.testing.assert_close(ours(query, key, key, attend)[0], expected)


def test_eager_attention_gives_its_weights():
    ours, _ = twins("eager")
    _, weights = ours(torch.randn(2, 3, 32), torch.randn(2, 5, 32), torch.randn(2, 5, 32))
    assert weights.shape == (2, 4, 3, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 3))


def test_over_one_key_query_and_key_get_a_gradient_of_exactly_zero():
    ours, _ = twins("sdpa")
    ours.train()
    ours(torch.randn(2, 3, 32), torch.randn(2, 1, 32), torch.randn(2, 1, 32))[0].sum().backward()
    for projection in (ours.q_proj, ours.k_proj):
        assert projection.weight.grad.abs().max() == 0
    assert ours.v_proj.weight.grad.abs().max() > 0


def test_positions_are_sines_of_row_and_column():
    height, width, channels = 3, 5, 8
    half = channels // 2
    positions = sine_position_embedding(height, width, channels, torch.device("cpu"))
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                place, length = (row, height) if channel < half else (column, width)
                index = channel % half
                phase = (place + 1) / (length + 1e-6) * 2 * math.pi
                phase /= 10000 ** (2 * (index // 2) / half)
                expected = math.cos(phase) if index % 2 else math.sin(phase)
                found = positions[row * width + column, channel].item()
                assert found == pytest.approx(expected, abs=1e-5)


def test_pooling_averages_inside_each_mask():
    torch.manual_seed(0)
    features, masks = torch.randn(2, 4, 3, 3), torch.rand(2, 5, 3, 3) > 0.5
    masks[0, 0] = False
    pooled = pool_in_masks(features, masks)
    for image in range(2):
        for query in range(5):
            inside = features[image][:, masks[image, query]]
            expected = inside.mean(dim=1) if inside.numel() else torch.zeros(4)
            torch.testing.assert_close(pooled[image, query], expected)


def test_pooling_stays_precise_under_autocast():
    features, masks = torch.randn(1, 4, 100, 100), torch.rand(1, 2, 100, 100) > 0.5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = pool_in_masks(features, masks)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pool_in_masks(features, masks))
