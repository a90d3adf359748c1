import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.training.recipe import ModelRecipe
from score_hf.training.starting import (
    name_classes,
    source_models,
    start_model,
    start_vocabulary,
)
from tests.tiny import tiny_config, tiny_processor


def test_weights_are_taken_over_and_the_configuration_changed(tiny_folder):
    told = []
    config = {"num_queries": 12, "global_context": "none", "alpha": 0.1}
    model, processor = start_model(ModelRecipe(str(tiny_folder), config), told.append)

    source = ScoreForInstanceSegmentation.from_pretrained(tiny_folder)
    assert model.training and model.config.alpha == 0.1 and model.config.stored_synonyms == 0
    assert not hasattr(model, "global_adaptation")
    queries = "mask_decoder.query_features.weight"
    ours, theirs = model.state_dict(), source.state_dict()
    assert ours[queries].shape[0] == 12 and torch.equal(ours[queries][:8], theirs[queries])
    trunk = "general_trunk.stages.0.layers.0.dwconv.weight"
    assert torch.equal(ours[trunk], theirs[trunk])
    assert any("the first 8 of 12 queries" in line for line in told)
    assert not any(parameter.requires_grad for parameter in model.general_trunk.parameters())

    start_vocabulary(model, processor, ["Small_Vehicle", "oil tank, storage tank"])
    assert model.config.id2label == {0: "small vehicle", 1: "oil tank"}
    assert model.stored_seen_classes.tolist() == [True, True]
    assert model.stored_class_ids.tolist() == [0, 1, 1]
    assert processor.seen_classes == ["Small_Vehicle", "oil tank, storage tank"]


def test_the_tiny_architecture_starts_at_random():
    recipe = ModelRecipe("tiny", {"region_layers": 1})
    model, _ = start_model(recipe, print)
    assert not model.config.frozen_trunks and model.config.region_layers == 1
    assert source_models(recipe) == []


def test_another_source_fills_what_is_random_still(tmp_path):
    untrained = ["mask_decoder", "class_head", "region_integration"]
    changes = {"pair": {"untrained_parts": untrained}, "fcclip": {"region_context": "none"}}
    for seed, (name, change) in enumerate(changes.items()):
        torch.manual_seed(seed)
        ScoreForInstanceSegmentation(tiny_config(**change)).save_pretrained(tmp_path / name)
        tiny_processor().save_pretrained(tmp_path / name)
    told, recipe = [], ModelRecipe((str(tmp_path / "pair"), str(tmp_path / "fcclip")))

    model, _ = start_model(recipe, told.append)

    state = model.state_dict()
    pair, other = (
        ScoreForInstanceSegmentation.from_pretrained(tmp_path / name).state_dict()
        for name in changes
    )
    decoder = "mask_decoder.query_features.weight"
    trunk = "context_trunk.vision_model.embeddings.patch_embedding.weight"
    assert torch.equal(state[decoder], other[decoder])
    assert not torch.equal(state[decoder], pair[decoder])
    assert torch.equal(state[trunk], pair[trunk])
    assert told[-1].startswith("stays random: region_integration (")
    assert model.config.region_context == "region" and model.config.untrained_parts == []
    assert source_models(recipe) == list(recipe.sources)


def test_what_is_random_and_frozen_stays_told(tmp_path):
    torch.manual_seed(0)
    config = tiny_config(region_context="none", global_context="none")
    ScoreForInstanceSegmentation(config).save_pretrained(tmp_path)
    tiny_processor().save_pretrained(tmp_path)

    recipe = ModelRecipe(str(tmp_path), {"global_context": "attention"})
    model, _ = start_model(recipe, lambda line: None)

    assert model.config.untrained_parts == ["context_trunk"]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (None, "`recipe.model.init_from` must name the model"),
        ((), "`recipe.model.init_from` must name the model"),
        ("no/model", "`recipe.model.init_from` 'no/model'"),
        (("score-tiny", "no/model"), "`recipe.model.init_from` 'no/model'"),
    ],
)
def test_a_start_that_is_not_there_is_told(monkeypatch, start, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=message):
        start_model(ModelRecipe(start), print)


def test_classes_are_named_by_the_set_unless_the_recipe_says_otherwise():
    names = name_classes(["ship", "tank"], {"tank": "storage tank, oil tank"}, "names")
    assert names == ["ship", "storage tank, oil tank"]
    with pytest.raises(ValueError, match="`names` has 'boat', but the classes are ship, tank"):
        name_classes(["ship", "tank"], {"boat": "ship"}, "names")
    with pytest.raises(ValueError, match="holds 'ship' twice"):
        name_classes(["ship", "tank"], {"tank": "ship"}, "names")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_queries": "many"}, "`recipe.model.config`: .*'num_queries'.*int"),
        ({"num_queries": -3}, "`recipe.model.config`: .*num_queries"),
        ({"global_context": "all"}, "`recipe.model.config`: .*'global_context'"),
    ],
)
def test_values_that_a_configuration_does_not_take_are_told(tiny_folder, config, message):
    with pytest.raises(ValueError, match=message) as raised:
        start_model(ModelRecipe(str(tiny_folder), config), print)
    assert "\n" not in str(raised.value)
