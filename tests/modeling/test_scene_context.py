import pytest
import torch
from torch import nn

from score_hf.modeling.context_trunk import SceneContext
from score_hf.modeling.layers import pool_in_masks, sine_position_embedding
from score_hf.modeling.region_formation import dilate
from score_hf.modeling.scene_context import (
    ScoreGlobalContextAdaptation,
    ScoreRegionAwareIntegration,
    _mean_positions,
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


def scenes(cls, patches=None):
    return SceneContext(cls=cls, patches=patches)


def multi_head(attention, query, key, value=None):
    theirs = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        theirs.out_proj.load_state_dict(attention.out_proj.state_dict())
    return theirs(query, key, key if value is None else value)[0]


@torch.no_grad()
def test_adding_adds_the_scene():
    rows, cls = classes(), torch.randn(2, 32)
    adapted = build(ScoreGlobalContextAdaptation, global_context="add")(rows, scenes(cls))
    scene = nn.functional.normalize(cls, dim=-1)
    torch.testing.assert_close(adapted, rows[None] + scene[:, None])


@torch.no_grad()
def test_concatenation_starts_without_effect_and_then_reads_the_scene():
    module = build(ScoreGlobalContextAdaptation, global_context="concat")
    rows, cls = classes(), torch.randn(2, 32)
    torch.testing.assert_close(module(rows, scenes(cls)), rows.expand(2, -1, -1))
    nn.init.normal_(module.concat_projection.weight)
    assert not torch.allclose(*module(rows, scenes(cls)))


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_attention_asks_the_scene_for_each_class(training):
    module = build(ScoreGlobalContextAdaptation, global_context="attention").train(training)
    rows, cls = classes(), torch.randn(2, 32)
    scene = nn.functional.normalize(cls, dim=-1)[:, None]
    expected = rows + multi_head(module.attention, rows.expand(2, -1, -1), scene)
    adapted = module(rows, scenes(cls))
    torch.testing.assert_close(adapted, expected)
    moved = adapted - rows
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), msg="all by one vector")


@torch.no_grad()
def test_equation_7_asks_the_classes_for_the_scene():
    module = build(ScoreGlobalContextAdaptation, global_context="equation")
    rows, cls = classes(), torch.randn(2, 32)
    scene = nn.functional.normalize(cls, dim=-1)[:, None]
    expected = rows + multi_head(module.attention, scene, rows.expand(2, -1, -1))
    torch.testing.assert_close(module(rows, scenes(cls)), expected)


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_tokens_ask_all_of_the_scene_for_each_class(training):
    module = build(ScoreGlobalContextAdaptation, global_context="tokens").train(training)
    rows, scene = classes(), context()
    patches = scene.patches.permute(0, 2, 3, 1).flatten(1, 2)
    tokens = nn.functional.normalize(torch.cat((scene.cls[:, None], patches), dim=1), dim=-1)
    query, key = 32**0.5 * rows.expand(2, -1, -1), 32**0.5 * tokens
    expected = rows + multi_head(module.attention, query, key, tokens)
    torch.testing.assert_close(module(rows, scene), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["add", "concat", "attention", "equation", "tokens"])
def test_only_tokens_let_a_scene_change_the_order_of_classes(kind):
    module = build(ScoreGlobalContextAdaptation, global_context=kind)
    if kind == "concat":
        nn.init.normal_(module.concat_projection.weight)
    if kind == "equation":
        # Unit vectors hardly tell its keys apart at the start: weights as if it had learned to.
        module.attention.q_proj.weight.mul_(20)
        module.attention.k_proj.weight.mul_(20)
    torch.manual_seed(1)
    # 40 scenes, 7 classes, 50 embeddings of objects: what each scene makes of the same objects.
    rows = nn.functional.normalize(torch.randn(7, 32), dim=-1)
    scene = scenes(torch.randn(40, 32), torch.randn(40, 32, 4, 4))
    embeddings = nn.functional.normalize(torch.randn(50, 32), dim=-1)
    similarities = embeddings @ module(rows, scene).mT  # (scenes, objects, classes)
    moved = similarities - similarities[:1]
    by_one_amount = (moved - moved[..., :1]).abs().max()
    assert moved.abs().max() > 0.05, "the scene counts, if only against no object"
    best = similarities.argmax(dim=-1)
    if kind == "tokens":
        assert by_one_amount > 0.05 and (best != best[:1]).any()
    else:
        assert by_one_amount < 2e-5 and (best == best[:1]).all()


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
    torch.testing.assert_close(module(embeddings, [masks], scene), expected)
    alone = module(embeddings[:, 1:2], [masks[:, 1:2]], scene)
    torch.testing.assert_close(alone, expected[:, 1:2])
    several = module(embeddings, list(masks.split(1, dim=1)), scene)
    torch.testing.assert_close(several, expected)


def joint(**changes):
    return build(
        ScoreRegionAwareIntegration, region_context="joint", region_kernel="fixed", **changes
    )


def context_of_one():
    return scenes(torch.randn(1, 32), torch.randn(1, 32, 4, 4))


def squares():
    """Masks of three objects: top left, bottom right, nowhere."""
    masks = torch.full((1, 3, 16, 16), -1.0)
    masks[:, 0, :6, :6] = masks[:, 1, 10:, 10:] = 1.0
    return masks


@torch.no_grad()
def test_jointly_every_query_hears_of_the_others_and_of_their_regions():
    module = joint(region_weight=1.0)
    embeddings, scene = torch.randn(1, 3, 32), context_of_one()
    before = module(embeddings, [squares()], scene)
    assert before.shape == (1, 3, 32)

    other = embeddings.clone()
    other[:, 1] += 1.0
    assert (module(other, [squares()], scene) - before)[:, 0].abs().max() > 1e-3
    elsewhere = SceneContext(cls=scene.cls, patches=scene.patches.clone())
    elsewhere.patches[..., 3:, 3:] += 1.0
    assert (module(embeddings, [squares()], elsewhere) - before)[:, 0].abs().max() > 1e-3


@torch.no_grad()
def test_predictions_side_by_side_hear_nothing_of_one_another():
    module = joint(region_weight=1.0)
    embeddings, scene = torch.randn(2, 6, 32), context()
    masks = [torch.randn(2, 3, 16, 16) for _ in range(2)]
    alone = [
        module(part, [mask], scene)
        for part, mask in zip(embeddings.split(3, dim=1), masks, strict=True)
    ]
    torch.testing.assert_close(module(embeddings, masks, scene), torch.cat(alone, dim=1))


@torch.no_grad()
def test_jointly_the_order_of_queries_means_nothing_and_their_place_does():
    module = joint(region_weight=0.0)
    embeddings, masks, scene = torch.randn(1, 3, 32), squares(), context_of_one()
    order = torch.tensor([2, 0, 1])
    expected = module(embeddings, [masks], scene)
    found = module(embeddings[:, order], [masks[:, order]], scene)
    torch.testing.assert_close(found, expected[:, order])
    # Without a region's content only its place is left to tell.
    moved = module(embeddings, [masks.flip(-1)], scene)
    assert (moved - expected).abs().max() > 1e-4


def test_positions_teach_masks_nothing():
    module = joint(region_weight=0.0).train()
    masks = squares().requires_grad_()
    module(torch.randn(1, 3, 32, requires_grad=True), [masks], context_of_one()).sum().backward()
    assert masks.grad is None


@torch.no_grad()
def test_a_position_is_the_mean_over_the_region():
    regions = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    regions[:, 0, 1, 2] = True
    regions[:, 1, 1:3, 2] = True
    single, pair, nowhere = _mean_positions(regions, torch.zeros(1, 3, 32))[0]
    grid = sine_position_embedding(4, 4, 32, torch.device("cpu"))
    torch.testing.assert_close(single, grid[6])
    torch.testing.assert_close(pair, (grid[6] + grid[10]) / 2)
    assert nowhere.abs().max() == 0


def test_all_layers_start_as_copies_of_the_first():
    first, second = build(ScoreRegionAwareIntegration).layers
    assert first.fc1.weight.abs().max() > 0
    for mine, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, other) and mine is not other


@torch.no_grad()
def test_a_context_of_another_width_is_projected():
    narrow = {**tiny_config().context_config.to_dict(), "projection_dim": 16}
    region = build(ScoreRegionAwareIntegration, context_config=narrow)
    masks = [torch.randn(2, 3, 16, 16)]
    assert region(torch.randn(2, 3, 32), masks, context(16)).shape == (2, 3, 32)
    scene = build(ScoreGlobalContextAdaptation, context_config=narrow)
    assert scene(classes(), context(16)).shape == (2, 5, 32)
    assert scene.projection.weight.abs().max() > 0
    tokens = build(ScoreGlobalContextAdaptation, context_config=narrow, global_context="tokens")
    assert tokens(classes(), context(16)).shape == (2, 5, 32)
