import yaml
from accelerate import Accelerator

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.model_card import ModelCardFacts
from score_hf.conversion.model_folder import write_model_folder
from score_hf.conversion.published_weights import WeightSource
from score_hf.training.model_folders import LAST, ModelFolders
from tests.tiny import tiny_config, tiny_processor


def test_the_card_carries_on_where_the_weights_came_from(tmp_path):
    model, processor = ScoreForInstanceSegmentation(tiny_config()), tiny_processor()
    sources = {
        "pair": ModelCardFacts("Pair", context=WeightSource("ViT-H-14", "RS5M_ViT-H-14.pt")),
        "fcclip": ModelCardFacts("Other", checkpoint=WeightSource("FC-CLIP", "fcclip_cocopan.pth")),
    }
    for name, facts in sources.items():
        write_model_folder(tmp_path / name, model, processor, facts)
    starts = [str(tmp_path / name) for name in sources]
    folders = ModelFolders(tmp_path / "run", ["ship"], "mine", starts)

    folders.write(Accelerator(cpu=True), model, processor, 7, [], is_best=False)

    card = (tmp_path / "run" / LAST / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---")[1])
    assert (metadata["license"], metadata["base_model"]) == ("other", ["Zilun/GeoRSCLIP"])
    assert "# SCORE trained on mine" in card and "State after 7 optimiser steps." in card
    assert "Creative Commons" in card and "FC-CLIP" in card
