import pytest
import torch
from transformers import CLIPVisionModelWithProjection

from score_hf.modeling.context_trunk import ScoreContextTrunk
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(0)
    config = tiny_config().context_config
    config.num_hidden_layers = 3
    return ScoreContextTrunk(config).eval()


def project(trunk, tokens):
    return trunk.visual_projection(trunk.vision_model.post_layernorm(tokens))


@torch.no_grad()
def test_the_last_block_lets_each_token_alone_over_the_class_token(trunk):
    pixels = torch.randn(2, 3, 32, 32)
    hidden = trunk.vision_model(pixels, output_hidden_states=True).hidden_states
    x, block = hidden[2], trunk.vision_model.encoder.layers[-1]
    out = torch.empty_like(x)
    for token in range(x.shape[1]):
        update = block.self_attn.out_proj(block.self_attn.v_proj(block.layer_norm1(x[:, token])))
        y = update + x[:, 0]
        out[:, token] = y + block.mlp(block.layer_norm2(y))
    expected = project(trunk, out)

    context = trunk(pixels)
    torch.testing.assert_close(context.cls, expected[:, 0])
    assert context.patches.shape == (2, 32, 4, 4) and context.intermediate is None
    for patch in range(16):
        found = context.patches[:, :, patch // 4, patch % 4]
        torch.testing.assert_close(found, expected[:, 1 + patch])


@torch.no_grad()
@pytest.mark.parametrize("layer", [1, 2])
def test_inner_blocks_are_those_of_clip(trunk, layer):
    pixels = torch.randn(1, 3, 32, 32)
    hidden = trunk.vision_model(pixels, output_hidden_states=True).hidden_states[layer]
    expected = project(trunk, hidden[:, 1:]).transpose(1, 2).view(1, 32, 4, 4)
    torch.testing.assert_close(trunk(pixels, layer).intermediate, expected)


@torch.no_grad()
def test_the_last_block_may_be_the_intermediate_one(trunk):
    context = trunk(torch.randn(1, 3, 32, 32), 3)
    assert torch.equal(context.intermediate, context.patches)


@torch.no_grad()
def test_any_picture_is_squeezed_into_the_square(trunk):
    pixels = torch.randn(1, 3, 64, 96)
    squeezed = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear")
    torch.testing.assert_close(trunk(pixels).cls, trunk(squeezed).cls)


def test_it_loads_what_clip_saved(tmp_path, trunk):
    CLIPVisionModelWithProjection(trunk.config).save_pretrained(tmp_path)
    _, report = ScoreContextTrunk.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
