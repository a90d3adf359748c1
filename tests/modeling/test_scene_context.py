import pytest
import torch
from torch import nn

from score_hf.modeling.context_trunk import SceneContext
from score_hf.modeling.layers import pool_in_masks
from score_hf.modeling.region_formation import dilate
from score_hf.modeling.scene_context import (
    ScoreGlobalContextAdaptation,
    ScoreRegionAwareIntegration,
)
from tests.tiny import tiny_config


def build(kind, **changes):
    torch.manual_seed(0)
    module = kind(tiny_config(**changes)).eval()
    # Children before their parents, as Transformers does.
    for part in reversed(list(module.modules())):
        if hasattr(part, "init_own_weights"):
            part.init_own_weights()
    return module


def classes():
    return nn.functional.normalize(torch.randn(5, 32), dim=-1)


def multi_head(attention, query, key):
    theirs = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        theirs.out_proj.load_state_dict(attention.out_proj.state_dict())
    return theirs(query, key, key)[0]


@torch.no_grad()
def test_adding_adds_the_scene():
    rows, cls = classes(), torch.randn(2, 32)
    adapted = build(ScoreGlobalContextAdaptation, global_context="add")(rows, cls)
    scene = nn.functional.normalize(cls, dim=-1)
    torch.testing.assert_close(adapted, rows[None] + scene[:, None])


@torch.no_grad()
def test_concatenation_starts_without_effect_and_then_reads_the_scene():
    module = build(ScoreGlobalContextAdaptation, global_context="concat")
    rows, cls = classes(), torch.randn(2, 32)
    torch.testing.assert_close(module(rows, cls), rows.expand(2, -1, -1))
    nn.init.normal_(module.concat_projection.weight)
    assert not torch.allclose(*module(rows, cls))


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_attention_asks_the_scene_for_each_class(training):
    module = build(ScoreGlobalContextAdaptation, global_context="attention").train(training)
    rows, cls = classes(), torch.randn(2, 32)
    scene = nn.functional.normalize(cls, dim=-1)[:, None]
    expected = rows + multi_head(module.attention, rows.expand(2, -1, -1), scene)
    adapted = module(rows, cls)
    torch.testing.assert_close(adapted, expected)
    moved = adapted - rows
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), msg="all by one vector")


@torch.no_grad()
def test_equation_7_asks_the_classes_for_the_scene():
    module = build(ScoreGlobalContextAdaptation, global_context="equation")
    rows, cls = classes(), torch.randn(2, 32)
    scene = nn.functional.normalize(cls, dim=-1)[:, None]
    expected = rows + multi_head(module.attention, scene, rows.expand(2, -1, -1))
    torch.testing.assert_close(module(rows, cls), expected)


def context(width=32):
    return SceneContext(
        cls=torch.randn(2, width),
        patches=torch.randn(2, width, 4, 4),
        intermediate=torch.randn(2, width, 4, 4),
    )


def reference(module, embeddings, region):
    """The layers as PyTorch's encoder, each query a sequence of its own."""
    x = (embeddings + module.weight * region).flatten(0, 1)[:, None]
    for ours in module.layers:
        theirs = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
        projections = (ours.self_attn.q_proj, ours.self_attn.k_proj, ours.self_attn.v_proj)
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat([p.weight for p in projections]),
                "self_attn.in_proj_bias": torch.cat([p.bias for p in projections]),
                "self_attn.out_proj.weight": ours.self_attn.out_proj.weight,
                "self_attn.out_proj.bias": ours.self_attn.out_proj.bias,
                "linear1.weight": ours.fc1.weight,
                "linear1.bias": ours.fc1.bias,
                "linear2.weight": ours.fc2.weight,
                "linear2.bias": ours.fc2.bias,
                "norm1.weight": ours.self_attn_norm.weight,
                "norm1.bias": ours.self_attn_norm.bias,
                "norm2.weight": ours.final_norm.weight,
                "norm2.bias": ours.final_norm.bias,
            }
        )
        x = theirs(x)
    return x.view_as(embeddings)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["region", "cls", "intermediate"])
def test_integration_adds_the_region_and_runs_each_query_alone(kind):
    module = build(
        ScoreRegionAwareIntegration, region_context=kind, region_kernel="fixed", region_weight=0.7
    )
    embeddings, masks, scene = torch.randn(2, 3, 32), torch.randn(2, 3, 16, 16), context()
    grown = nn.functional.interpolate(dilate(masks, 3), (4, 4), mode="bilinear") > 0
    region = {
        "cls": scene.cls[:, None],
        "region": pool_in_masks(scene.patches, grown),
        "intermediate": pool_in_masks(scene.intermediate, grown),
    }[kind]
    expected = reference(module, embeddings, region)
    torch.testing.assert_close(module(embeddings, masks, scene), expected)
    alone = module(embeddings[:, 1:2], masks[:, 1:2], scene)
    torch.testing.assert_close(alone, expected[:, 1:2])


def test_all_layers_start_as_copies_of_the_first():
    first, second = build(ScoreRegionAwareIntegration).layers
    assert first.fc1.weight.abs().max() > 0
    for mine, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, other) and mine is not other


@torch.no_grad()
def test_a_context_of_another_width_is_projected():
    narrow = {**tiny_config().context_config.to_dict(), "projection_dim": 16}
    region = build(ScoreRegionAwareIntegration, context_config=narrow)
    assert region(torch.randn(2, 3, 32), torch.randn(2, 3, 16, 16), context(16)).shape == (2, 3, 32)
    scene = build(ScoreGlobalContextAdaptation, context_config=narrow)
    assert scene(classes(), torch.randn(2, 16)).shape == (2, 5, 32)
    assert scene.projection.weight.abs().max() > 0
