import math

import pytest
import torch
from torch import nn
from transformers import (
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedModel,
)
from transformers import initialization as init

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.layers import ScoreAttention, ScoreMLP
from tests.tiny import tiny_config

NARROW = {**tiny_config().context_config.to_dict(), "projection_dim": 16}
VARIANTS = (
    {},
    {"global_context": "concat", "region_kernel": "clamp", "out_of_vocabulary": "context"},
    {"global_context": "equation", "region_context": "cls", "context_config": NARROW},
    {"global_context": "tokens", "region_context": "joint", "context_config": NARROW},
)


@pytest.fixture
def reproducible(monkeypatch):
    """Initialises every module from the same seed, in whatever order they come."""
    original = PreTrainedModel._initialize_weights

    def seeded(self, module, is_custom_code=False):
        torch.manual_seed(0)
        original(self, module, is_custom_code)

    monkeypatch.setattr(PreTrainedModel, "_initialize_weights", seeded)


@pytest.mark.parametrize("changes", VARIANTS)
def test_missing_weights_start_as_in_the_constructor(reproducible, changes):
    config = tiny_config(**changes)
    constructed = ScoreForInstanceSegmentation(config).state_dict()
    loaded = ScoreForInstanceSegmentation.from_pretrained(None, config=config, state_dict={})
    assert set(constructed) == set(loaded.state_dict())
    different = [
        name for name, tensor in loaded.state_dict().items() if not tensor.equal(constructed[name])
    ]
    assert not different


@pytest.mark.parametrize("path", ["constructor", "meta", "missing"])
def test_parts_start_as_the_original_does(path):
    config = tiny_config()
    if path == "constructor":
        model = ScoreForInstanceSegmentation(config)
    elif path == "meta":
        with torch.device("meta"):
            model = ScoreForInstanceSegmentation(config)
        model.to_empty(device="cpu")
        model.init_weights()
    else:
        model = ScoreForInstanceSegmentation.from_pretrained(None, config=config, state_dict={})
    for layer in model.pixel_decoder.layers:
        attention = layer.self_attn
        assert attention.sampling_offsets.weight.abs().max() == 0
        offsets = attention.sampling_offsets.bias.view(4, 3, 2, 2)
        torch.testing.assert_close(offsets[0, 1], torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
        assert attention.attention_weights.weight.abs().max() == 0
    bound = math.sqrt(6 / (32 + 3 * 32))
    for module in model.modules():
        if isinstance(module, ScoreAttention):
            for projection in (module.q_proj, module.k_proj, module.v_proj):
                assert 0.9 * bound < projection.weight.abs().max() <= bound
                assert projection.bias.abs().max() == 0
        if isinstance(module, ScoreMLP):
            for layer in module.layers:
                assert 0.9 / math.sqrt(32) < layer.weight.abs().max() <= 1 / math.sqrt(32)
                assert layer.bias.abs().max() > 0
    decoder = model.mask_decoder
    for embedding in (decoder.query_features, decoder.query_positions, model.void_embedding):
        assert 0.7 < embedding.weight.std() < 1.3
    assert model.region_integration.weight.item() == pytest.approx(0.1)
    kernel_logits = model.region_integration.formation.kernel_logits
    assert 0 < kernel_logits.abs().max() <= 0.5
    for scale in (model.class_head.logit_scale, model.general_trunk.logit_scale):
        assert scale.item() == pytest.approx(math.log(1 / 0.07), abs=1e-4)
    # CLIP's own ranges, set by modules that hold no tensor themselves.
    clip = CLIPVisionModelWithProjection(config.context_config)
    ours, theirs = model.context_trunk.visual_projection, clip.visual_projection
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.15)
    clip = CLIPTextModelWithProjection(config.text_config)
    ours, theirs = (m.text_model.encoder.layers[1].mlp.fc2 for m in (model.text_tower, clip))
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.15)


def test_one_missing_weight_leaves_its_neighbours_as_loaded():
    model = ScoreForInstanceSegmentation(tiny_config())
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.25)
    state = model.state_dict()
    missing = [
        "pixel_decoder.layers.0.self_attn.sampling_offsets.weight",
        "mask_decoder.layers.0.cross_attn.q_proj.bias",
        "region_integration.layers.1.fc1.weight",
        "class_head.logit_scale",
        "general_trunk.stages.0.layers.0.layer_scale_parameter",
    ]
    for name in missing:
        del state[name]
    loaded, report = ScoreForInstanceSegmentation.from_pretrained(
        None, config=model.config, state_dict=state, output_loading_info=True
    )
    assert sorted(report["missing_keys"]) == sorted(missing)
    for name, parameter in loaded.named_parameters():
        if name not in missing:
            assert (parameter == 0.25).all(), name
    fresh = loaded.state_dict()
    assert fresh[missing[0]].abs().max() == fresh[missing[1]].abs().max() == 0
    # All layers of this stack start as copies of the first, which was loaded.
    assert (fresh[missing[2]] == 0.25).all()


def test_nothing_writes_past_the_guard_of_loaded_weights(monkeypatch):
    """Every tensor of a constructed model is written through Transformers' functions."""
    written = set()
    names = ("normal_", "uniform_", "constant_", "zeros_", "ones_", "copy_")
    for name in (*names, "kaiming_uniform_", "xavier_uniform_"):
        original = getattr(init, name)

        def record(tensor, *arguments, original=original, **named):
            written.add(tensor.data_ptr())
            return original(tensor, *arguments, **named)

        monkeypatch.setattr(init, name, record)
    model = ScoreForInstanceSegmentation(tiny_config())
    unwritten = [
        name
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if tensor.data_ptr() not in written
    ]
    assert not unwritten
