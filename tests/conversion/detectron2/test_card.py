from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from score_hf import ScoreConfig
from score_hf.conversion.detectron2.card import describe_checkpoint
from score_hf.conversion.detectron2.recipe import Detectron2Recipe
from score_hf.conversion.detectron2.settings import ModelSettings
from tests.tiny import tiny_config


def converted(kind: str, config: ScoreConfig) -> Any:
    return SimpleNamespace(kind=kind, model=SimpleNamespace(config=config), notes=("A note.",))


def recipe_of(**own: str) -> Detectron2Recipe:
    return Detectron2Recipe(Path("recipe.yaml"), {"MODEL": {"SCORE": own}})


def test_published_trunks_are_known_by_their_sizes():
    facts = describe_checkpoint(converted("SCORE", ScoreConfig()), [Path("a/model_final.pth")])

    assert facts.title == "SCORE (model_final)"
    assert facts.general.architecture == "convnext_large_d_320"
    assert facts.general.base_model.startswith("laion/CLIP-convnext_large_d_320")
    assert facts.context.base_model == "chendelong/RemoteCLIP"
    assert facts.checkpoint.weights == "model_final.pth"
    assert "A note." in facts.notes


@pytest.mark.parametrize(
    ("untrained", "listed", "checkpoint"),
    [
        (["mask_decoder"], "general CLIP", None),
        ([], "general CLIP", "model_final.pth"),
        ([], "trained checkpoint", "fcclip_cocopan.pth"),
    ],
)
def test_sources_that_were_exported_come_back(untrained, listed, checkpoint):
    config = tiny_config(untrained_parts=untrained)
    source = {"part": listed, "architecture": "FC-CLIP", "weights": "fcclip_cocopan.pth"}
    settings = ModelSettings({}, {}, {}, "", [source])

    files = [Path("model_final.pth")]
    facts = describe_checkpoint(converted("SCORE", config), files, settings=settings)

    assert (facts.checkpoint and facts.checkpoint.weights) == checkpoint
    assert (facts.general is not None) == (listed == "general CLIP")


def test_fc_clip_has_no_context_and_says_what_it_is_for():
    config = ScoreConfig(region_context="none", global_context="none")

    facts = describe_checkpoint(converted("FC-CLIP", config), [Path("fcclip_cocopan.pth")])

    assert facts.context is None
    assert facts.checkpoint.publisher.name == "FC-CLIP"
    assert any("For aerial images it is a start" in note for note in facts.notes)


@pytest.mark.parametrize(
    ("own", "general"),
    [
        ({}, None),
        ({"CLIP_MODEL_NAME": "convnext_base"}, None),
        (
            {"CLIP_MODEL_NAME": "convnext_base", "CLIP_PRETRAINED_WEIGHTS": "laion400m_s13b_b51k"},
            "convnext_base",
        ),
    ],
)
def test_other_trunks_are_named_by_the_yaml_file(own, general):
    files = [Path("model_final.pth")]

    facts = describe_checkpoint(converted("SCORE", tiny_config()), files, recipe_of(**own))

    assert (facts.general and facts.general.architecture) == general
    assert facts.context is None


def test_the_published_pair_keeps_its_place_on_the_hub():
    own = {
        "CLIP_MODEL_NAME": "convnext_large_d_320",
        "CLIP_PRETRAINED_WEIGHTS": "laion2b_s29b_b131k_ft_soup",
        "RSCLIP_MODEL_NAME": "ViT-L/14",
        "RSCLIP_PRETRAINED_WEIGHTS": "RemoteCLIP-ViT-L-14",
    }
    files = [Path("model_final.pth")]

    facts = describe_checkpoint(converted("SCORE", ScoreConfig()), files, recipe_of(**own))

    assert facts.general.hub_id is not None and facts.context.architecture == "ViT-L-14"
