from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.original_keys import from_original, to_original
from tests.tiny import tiny_config

WEIGHTS = Path(__file__).parents[1] / "fixtures" / "parity" / "seed202" / "weights.safetensors"
# What the original's checkpoint does not hold.
OURS_ALONE = (
    "stored_",
    "region_integration.formation.calls",
    "region_integration.formation.chosen",
)


@pytest.mark.parametrize("out_of_vocabulary", ["general", "context"])
def test_model_survives_the_way_there_and_back(out_of_vocabulary):
    config = tiny_config(out_of_vocabulary=out_of_vocabulary)
    state = ScoreForInstanceSegmentation(config).state_dict()

    theirs = to_original(state)
    back, unused = from_original(theirs)

    assert unused == []
    shared = {name for name in state if not name.startswith(OURS_ALONE)}
    assert set(back) == shared
    assert all(torch.equal(back[name], state[name]) for name in shared)
    roots = {name.partition(".")[0] for name in theirs}
    assert roots == {"backbone", "clip_rs", "sem_seg_head", "gca", "void_embedding"}


def test_checkpoint_survives_the_way_here_and_back():
    theirs = load_file(WEIGHTS)

    ours, unused = from_original(theirs)
    back = to_original(ours)

    assert unused == ["criterion.empty_weight"]
    assert set(back) == set(theirs) - set(unused)
    assert all(torch.equal(back[name], theirs[name]) for name in back)


def test_attention_is_unpacked_and_projections_are_turned():
    theirs = {
        "gca.multiattn.0.in_proj_bias": torch.arange(6.0),
        "clip_rs.clip_model.visual.proj": torch.arange(6.0).view(3, 2),
        "sem_seg_head.pixel_decoder.adapter_1.weight": torch.zeros(1),
        "sem_seg_head.pixel_decoder.adapter_1.norm.weight": torch.ones(1),
    }

    ours, _ = from_original(theirs)

    attention = "global_adaptation.attention"
    assert ours[f"{attention}.q_proj.bias"].tolist() == [0, 1]
    assert ours[f"{attention}.k_proj.bias"].tolist() == [2, 3]
    assert ours[f"{attention}.v_proj.bias"].tolist() == [4, 5]
    assert ours["context_trunk.visual_projection.weight"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert ours["pixel_decoder.lateral.conv.weight"].item() == 0
    assert ours["pixel_decoder.lateral.norm.weight"].item() == 1


@pytest.mark.parametrize("packed", [torch.tensor(1.0), torch.zeros(4, 2)])
def test_what_is_not_three_projections_is_refused(packed):
    with pytest.raises(ValueError, match=r"gca\.multiattn\.0\.in_proj_weight must hold query, key"):
        from_original({"gca.multiattn.0.in_proj_weight": packed})


def test_strange_names_are_given_back():
    strange = {
        "backbone.clip_model.logit_scale_of_another": torch.zeros(1),
        "sem_seg_head.predictor.transformer.layers.first.norm1.weight": torch.zeros(1),
        "optimizer.step": torch.zeros(1),
    }

    assert from_original(strange) == ({}, list(strange))
    assert to_original({"text_tower.nothing": torch.zeros(1)}) == {}
