import torch
from torch import nn

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.low_precision import lower_products
from tests.tiny import make_inputs, tiny_config


def test_products_are_rounded_and_the_stream_between_them_is_not():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 8))
    inputs = torch.randn(4, 64)
    expected = network(inputs)
    seen = []
    network[1].register_forward_pre_hook(lambda _module, given: seen.append(given[0].dtype))
    lower_products(network)
    assert network[0].weight.dtype == network[2].bias.dtype == torch.bfloat16
    assert network[1].weight.dtype == torch.float32
    found = network(inputs)
    assert found.dtype == torch.float32 and seen == [torch.float32]
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


@torch.no_grad()
def test_lowered_trunks_are_nearer_to_float32_than_a_model_in_bfloat16():
    def build():
        torch.manual_seed(0)
        return ScoreForInstanceSegmentation(tiny_config()).eval()

    def features(model):
        pixels = make_inputs(model.config, 2)["pixel_values"]
        stages = model.general_trunk(pixels)
        return torch.cat([stages[-1].float().flatten(), model.context_trunk(pixels).cls.flatten()])

    expected = features(build())
    lowered, rounded = build(), build().bfloat16()
    lowered.lower_trunk_precision()
    error = (features(lowered) - expected).norm()
    assert 0 < error < 0.7 * (features(rounded) - expected).norm()
    assert lowered.dtype == lowered.text_tower.dtype == torch.float32
    assert lowered(**make_inputs(lowered.config, 1)).class_queries_logits.isfinite().all()
