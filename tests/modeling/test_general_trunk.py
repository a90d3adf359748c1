import pytest
import torch
from transformers import ConvNextConfig, ConvNextModel

from score_hf.modeling.general_trunk import ScoreGeneralTrunk
from tests.tiny import tiny_config

CONFIG = tiny_config().general_config


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(0)
    return ScoreGeneralTrunk(CONFIG, projection_dim=32).eval()


@torch.no_grad()
def test_stages_are_those_of_convnext(trunk):
    theirs = ConvNextModel(tiny_config().general_config).eval()
    names = {"embeddings": theirs.embeddings, "stages": theirs.encoder.stages}
    for name, module in names.items():
        module.load_state_dict(getattr(trunk, name).state_dict())
    pixels = torch.randn(2, 3, 64, 96)
    expected = theirs(pixels, output_hidden_states=True).hidden_states[1:]
    for ours, their in zip(trunk(pixels), expected, strict=True):
        torch.testing.assert_close(ours, their)
        assert ours.is_contiguous()


@torch.no_grad()
def test_the_head_is_norm_and_two_layers(trunk):
    pooled = torch.randn(2, 5, 64)
    x = torch.nn.functional.layer_norm(
        pooled, (64,), trunk.head.norm.weight, trunk.head.norm.bias, eps=1e-6
    )
    x = torch.nn.functional.gelu(x @ trunk.head.fc1.weight.T + trunk.head.fc1.bias)
    torch.testing.assert_close(trunk.head(pooled), x @ trunk.head.fc2.weight.T)
    assert trunk.head.fc2.bias is None


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
def test_the_head_may_be_one_layer(bias):
    head = ScoreGeneralTrunk(CONFIG, 32, head="linear", head_bias=bias).head
    pooled = torch.randn(2, 5, 64)

    x = torch.nn.functional.layer_norm(pooled, (64,), head.norm.weight, head.norm.bias, eps=1e-6)

    torch.testing.assert_close(
        head(pooled), torch.nn.functional.linear(x, head.projection.weight, head.projection.bias)
    )
    assert {name for name, _ in head.named_parameters()} == {
        *("norm.weight", "norm.bias", "projection.weight"),
        *(["projection.bias"] if bias else []),
    }


def test_the_last_layer_of_two_may_have_a_bias():
    head = ScoreGeneralTrunk(CONFIG, 32, head_bias=True).head
    assert head.fc2.bias.shape == (32,)


def test_all_norms_have_the_epsilon_of_the_config():
    trunk = ScoreGeneralTrunk(ConvNextConfig(**{**CONFIG.to_dict(), "layer_norm_eps": 1e-3}), 32)
    norms = [module for module in trunk.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert len(norms) == 1 + 3 + 5 + 1
    assert {norm.eps for norm in norms} == {1e-3}


@torch.no_grad()
def test_pixels_are_taken_in_any_type(trunk):
    half = ScoreGeneralTrunk._from_config(CONFIG, projection_dim=32, dtype=torch.bfloat16)
    assert half(torch.randn(1, 3, 32, 32))[-1].dtype == torch.bfloat16


def test_it_takes_any_kind_of_attention_as_it_has_none():
    config = tiny_config().general_config
    config._attn_implementation = "sdpa"
    assert ScoreGeneralTrunk(config, projection_dim=32).config._attn_implementation == "sdpa"
