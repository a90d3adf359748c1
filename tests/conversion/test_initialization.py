import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.initialization import init_from, parts_of
from score_hf.conversion.original_keys import to_original
from tests.tiny import tiny_config, tiny_processor

BASELINE = {"region_context": "none", "global_context": "none", "stored_synonyms": 0}


def make_model(seed: int, **changes) -> ScoreForInstanceSegmentation:
    torch.manual_seed(seed)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


def test_a_baseline_fills_all_but_the_context_parts():
    source, model = make_model(1, **BASELINE), make_model(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    report = init_from(model, source.state_dict())

    after = model.state_dict()
    assert set(report.filled) == set(source.state_dict())
    assert all(torch.equal(after[name], value) for name, value in source.state_dict().items())
    assert {name.partition(".")[0] for name in report.random} == {
        "region_integration",
        "global_adaptation",
        "context_trunk",
    }
    assert all(torch.equal(after[name], before[name]) for name in report.random)
    assert report.without_place == () and report.other_shape == {}
    assert {name.partition(".")[0] for name in report.frozen} == {"context_trunk"}
    lines = "\n".join(report.lines())
    assert "stays random: region_integration" in lines
    assert "random and frozen: context_trunk" in lines

    unfrozen = init_from(make_model(2, frozen_trunks=False), source.state_dict())
    assert unfrozen.frozen == () and "frozen" not in "\n".join(unfrozen.lines())


def test_queries_are_taken_over_as_far_as_they_go():
    fewer = make_model(1, **BASELINE, num_queries=5).state_dict()
    model = make_model(2)
    rows = model.mask_decoder.query_features.weight.detach().clone()

    report = init_from(model, fewer)

    name = "mask_decoder.query_features.weight"
    filled = model.mask_decoder.query_features.weight.detach()
    assert torch.equal(filled[:5], fewer[name]) and torch.equal(filled[5:], rows[5:])
    assert report.partly_filled[name] == "the first 5 of 8 queries"
    assert name not in report.random

    more = make_model(3, **BASELINE, num_queries=20).state_dict()
    assert init_from(model, more).partly_filled[name] == "the first 8 of 8 queries"
    assert torch.equal(model.mask_decoder.query_features.weight.detach(), more[name][:8])


def test_of_several_sources_the_first_that_was_trained_fills():
    pair = make_model(1)
    pair.config.untrained_parts = ["mask_decoder", "class_head", "region_integration"]
    fc_clip = make_model(2, **BASELINE, num_queries=5)
    model = make_model(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    report = init_from(model, pair, fc_clip.state_dict())

    after, first, second = (one.state_dict() for one in (model, pair, fc_clip))
    for name, value in after.items():
        part = name.partition(".")[0]
        if part == "region_integration" or name.startswith("stored_"):
            assert torch.equal(value, before[name])
        elif part not in pair.config.untrained_parts:
            assert torch.equal(value, first[name])
        elif name.startswith("mask_decoder.query_"):
            assert torch.equal(value[:5], second[name]) and torch.equal(value[5:], before[name][5:])
        else:
            assert torch.equal(value, second[name])
    assert parts_of(report.random) == ["region_integration"]
    assert report.frozen == () and len(report.partly_filled) == 2

    reversed_report = init_from(make_model(4), fc_clip, pair)
    assert reversed_report.partly_filled == report.partly_filled
    assert parts_of(reversed_report.random) == ["region_integration"]


def test_other_shapes_and_surplus_are_listed():
    model = make_model(1, **BASELINE)
    state = make_model(2, region_layers=1).state_dict()
    state["class_head.pool_norm.weight"] = torch.zeros(7)
    before = model.class_head.pool_norm.weight.detach().clone()

    report = init_from(model, state)

    assert report.other_shape == {"class_head.pool_norm.weight": ((32,), (7,))}
    assert report.random == ("class_head.pool_norm.weight",)
    assert torch.equal(model.class_head.pool_norm.weight.detach(), before)
    assert {name.partition(".")[0] for name in report.without_place} == {
        "region_integration",
        "global_adaptation",
        "context_trunk",
    }
    lines = report.lines()
    assert any(
        "class_head.pool_norm.weight: (32,) here, (7,) in the source" in one for one in lines
    )
    assert lines[-1].startswith("not needed: ")


def test_the_stored_vocabulary_stays():
    model, source = make_model(1), make_model(2)
    source.stored_embeddings.fill_(7.0)
    before = model.stored_embeddings.clone()

    report = init_from(model, source.state_dict())

    assert torch.equal(model.stored_embeddings, before)
    assert report.random == () and report.without_place == ()


def test_folders_originals_and_other_types(tmp_path):
    source, model = make_model(1), make_model(2).to(torch.bfloat16)
    source.save_pretrained(tmp_path)
    tiny_processor().save_pretrained(tmp_path)
    expected = source.void_embedding.weight.detach().to(torch.bfloat16)

    report = init_from(model, tmp_path)
    assert report.random == ()
    assert model.void_embedding.weight.dtype == torch.bfloat16
    assert torch.equal(model.void_embedding.weight.detach(), expected)

    fresh = make_model(3)
    theirs = {**to_original(source.state_dict()), "criterion.empty_weight": torch.ones(4)}
    report = init_from(fresh, theirs)
    assert report.random == () and report.without_place == ("criterion.empty_weight",)
    assert torch.equal(fresh.void_embedding.weight, source.void_embedding.weight)


def test_what_is_no_source_is_refused(tmp_path):
    model = make_model(1, **BASELINE)
    with pytest.raises(ValueError, match=r"none of its 1 tensors fits .* first are fc\.weight"):
        init_from(model, {"fc.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"no config\.json"):
        init_from(model, tmp_path)
