import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.training.recipe import ModelRecipe
from score_hf.training.starting import name_classes, start_model, start_vocabulary


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
    model, _ = start_model(ModelRecipe("tiny", {"region_layers": 1}), print)
    assert not model.config.frozen_trunks and model.config.region_layers == 1


@pytest.mark.parametrize(
    ("start", "message"),
    [(None, "`recipe.model.init_from` must name the model"), ("no/model", "`model` 'no/model'")],
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
