import torch

from score_hf.modeling.pixel_decoder import ScoreDeformableAttention, ScorePixelDecoder
from tests.tiny import tiny_config


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
