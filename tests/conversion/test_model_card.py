import re

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, constants
from PIL import Image

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.model_card import (
    PLACEHOLDER,
    MeasuredResult,
    ModelCardFacts,
    build_model_card,
    inherit_sources,
)
from score_hf.conversion.model_folder import store_classes, write_model_folder
from score_hf.conversion.published_weights import WeightSource
from tests.tiny import tiny_config, tiny_processor

SOUP = WeightSource(
    "convnext_large_d_320",
    "laion2b_s29b_b131k_ft_soup",
    "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup/",
)
REMOTE = WeightSource("ViT-L-14", "RemoteCLIP-ViT-L-14.pt")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config()).eval()


def card_of(model, **facts) -> str:
    return str(build_model_card(ModelCardFacts("A title", **facts), model, tiny_processor()))


def metadata_of(card: str) -> dict:
    return yaml.safe_load(card.split("---")[1])


def test_the_metadata_are_what_the_hub_looks_for(model):
    metadata = metadata_of(card_of(model, general=SOUP, context=REMOTE, datasets=["me/isaid"]))
    assert metadata.pop("tags")[:2] == ["score", "instance-segmentation"]
    assert [one["part"] for one in metadata.pop("weight_sources")] == [
        "general CLIP",
        "remote-sensing CLIP",
    ]
    assert metadata == {
        "library_name": "transformers",
        "pipeline_tag": "image-segmentation",
        "license": "apache-2.0",
        "base_model": [
            "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
            "chendelong/RemoteCLIP",
        ],
        "datasets": ["me/isaid"],
    }


def test_random_parts_stand_at_the_top(model, monkeypatch):
    assert "RANDOM" not in card_of(model, general=SOUP)
    monkeypatch.setattr(model.config, "untrained_parts", ["mask_decoder", "pixel_decoder"])
    warning = card_of(model, general=SOUP).split("\n## ")[0]
    assert "[!WARNING]" in warning
    assert "RANDOM numbers:** mask decoder, pixel decoder." in warning


@pytest.mark.parametrize(
    "weights, hub_id, license, base_model",
    [
        (
            "laion2b_s34b_b79k",
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K/",
            "apache-2.0",
            "laion/CLIP-",
        ),
        ("openai", "timm/vit_large_patch14_clip_224.openai/", "apache-2.0", "timm/vit_large"),
        ("RemoteCLIP-ViT-B-32.pt", None, "apache-2.0", "chendelong/RemoteCLIP"),
        ("SkyCLIP_ViT_L14_top30pct.zip", None, "apache-2.0", None),
        ("fcclip_cocopan.pth", None, "apache-2.0", None),
        ("RS5M_ViT-H-14.pt", None, "other", "Zilun/GeoRSCLIP"),
        (
            "metaclip_400m",
            "timm/vit_base_patch32_clip_224.metaclip_400m/",
            "other",
            "timm/vit_base",
        ),
        ("dfn2b", "apple/DFN2B-CLIP-ViT-L-14/", "other", "apple/DFN2B"),
        ("mine.pt", None, "other", None),
        ("my_openai_laion_fcclip.pt", None, "other", None),
        ("mine.pt", "me/clip", "other", "me/clip"),
    ],
)
def test_licences_of_the_sources_are_told(model, weights, hub_id, license, base_model):
    card = card_of(model, context=WeightSource("ViT", weights, hub_id))
    metadata = metadata_of(card)
    assert metadata["license"] == license
    assert ("license_name" in metadata) is (license == "other")
    assert str(metadata.get("base_model", [None])[0]).startswith(str(base_model))
    licences = card.split("## Licences")[1]
    assert ("not known" in licences) is (base_model is None and license == "other")
    assert ("[its page]" in licences) is (hub_id == "me/clip")
    assert f"`{weights}`" in card


def test_without_sources_no_licence_is_claimed(model):
    card = card_of(model)
    assert "license" not in metadata_of(card)
    assert "weights: what those say who trained them" in card


def test_a_model_trained_from_another_keeps_its_sources(model, tmp_path):
    facts = ModelCardFacts("First", general=SOUP, context=REMOTE)
    build_model_card(facts, model, tiny_processor()).save(tmp_path / "README.md")
    kept = inherit_sources(ModelCardFacts("Second", notes=["Trained."]), tmp_path)
    assert kept == ModelCardFacts("Second", general=SOUP, context=REMOTE, notes=["Trained."])
    for content in ("# A card of someone else", "---\nweight_sources: [1, {part: no}]\n---\n"):
        (tmp_path / "README.md").write_text(content)
        assert inherit_sources(ModelCardFacts("Second"), tmp_path) == ModelCardFacts("Second")
    nowhere = tmp_path / "nowhere"
    assert inherit_sources(ModelCardFacts("Second"), nowhere, "score-tiny").sources == {}


def test_of_several_models_the_first_gives_a_source(model, tmp_path):
    fc_clip = WeightSource("FC-CLIP", "fcclip_cocopan.pth")
    for name, facts in (
        ("pair", ModelCardFacts("Pair", general=SOUP, context=REMOTE)),
        ("fcclip", ModelCardFacts("FC-CLIP", general=REMOTE, checkpoint=fc_clip)),
    ):
        (tmp_path / name).mkdir()
        build_model_card(facts, model, tiny_processor()).save(tmp_path / name / "README.md")

    folders = (tmp_path / "pair", tmp_path / "fcclip")
    kept = inherit_sources(ModelCardFacts("Trained"), *folders)

    assert (kept.general, kept.context, kept.checkpoint) == (SOUP, REMOTE, fc_clip)
    assert metadata_of(str(build_model_card(kept, model, tiny_processor())))["license"] == (
        "apache-2.0"
    )


def test_a_repository_whose_card_tells_nothing_is_itself_the_source(model, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    kept = inherit_sources(ModelCardFacts("Trained"), "me/no-such-model")
    metadata = metadata_of(str(build_model_card(kept, model, tiny_processor())))
    assert (metadata["base_model"], metadata["license"]) == (["me/no-such-model"], "other")


def test_results_become_a_model_index(model, tmp_path):
    result = MeasuredResult("NWPU VHR-10", "test", "mask AP", 0.41, "me/nwpu")
    build_model_card(ModelCardFacts("A title", results=[result]), model, tiny_processor()).save(
        tmp_path / "README.md"
    )
    card = ModelCard.load(tmp_path / "README.md")
    (read,) = card.data.eval_results
    assert (read.dataset_name, read.dataset_split, read.metric_type, read.metric_value) == (
        "NWPU VHR-10", "test", "mask AP", 0.41,
    )  # fmt: skip
    assert card.data.model_name == "A title"
    assert "| NWPU VHR-10 | test | mask AP | 0.41 |" in card.text


def test_sizes_classes_and_notes_are_told(model):
    card = card_of(model, notes=["Of the second run."])
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert f"{count:.1f} million weights, stored as float32." in card
    assert "Classes that the model stores: ship, storage tank, harbor." in card
    assert "seen in training: ship; storage tank, oil tank." in card
    assert "Of the second run." in card


@pytest.mark.parametrize("text_tower, vocabulary", [(True, True), (True, False), (False, True)])
def test_every_snippet_runs(tmp_path, monkeypatch, text_tower, vocabulary):
    torch.manual_seed(0)
    processor = tiny_processor()
    model = ScoreForInstanceSegmentation(tiny_config(stored_synonyms=0, id2label=None)).eval()
    if vocabulary:
        store_classes(model, processor, ["ship", "harbor"], keep_text_tower=text_tower)
    write_model_folder(tmp_path / "model", model, processor, ModelCardFacts("Tiny"))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.jpg")
    monkeypatch.chdir(tmp_path)

    card = (tmp_path / "model" / "README.md").read_text()
    assert PLACEHOLDER in card
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 1 + vocabulary
    assert ("score-hf segment" in card) is text_tower
    for snippet in snippets:
        names: dict = {}
        exec(snippet.replace(PLACEHOLDER, str(tmp_path / "model")), names)
        if "instances" in names:
            assert set(names["instances"]["names"]) <= {"ship", "storage tank", "harbor", "LABEL_2"}
