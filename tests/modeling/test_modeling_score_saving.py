import json

import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoModel,
    AutoModelForImageSegmentation,
    AutoModelForInstanceSegmentation,
    AutoModelForUniversalSegmentation,
)

from score_hf import ScoreConfig, ScoreForInstanceSegmentation
from tests.tiny import make_inputs, make_labels, tiny_config

PRECISIONS = [torch.float32, torch.bfloat16, torch.float16]


def build(**changes):
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


@torch.no_grad()
def logits(model):
    inputs = make_inputs(model.config, 1)
    outputs = model(**inputs)
    return torch.cat(
        (outputs.class_queries_logits.flatten(), outputs.masks_queries_logits.flatten())
    )


def assert_same(found, expected):
    """The same tensors under the same names, and the same outputs, bit for bit."""
    states = found.state_dict(), expected.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert tensor.dtype == states[1][name].dtype and torch.equal(tensor, states[1][name]), name
    assert torch.equal(logits(found), logits(expected))


@pytest.fixture
def model():
    """A model with state of a training in progress."""
    model = build()
    formation = model.region_integration.formation
    formation.calls.fill_(17)
    formation.chosen.fill_(3)
    model.stored_seen_classes[1] = True
    return model


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_was_saved_is_loaded_exactly(tmp_path, model, precision):
    model.to(precision)
    model.pixel_decoder.float()
    model.save_pretrained(tmp_path)
    loaded, report = ScoreForInstanceSegmentation.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(report.values())
    assert not loaded.training
    assert_same(loaded, model)
    assert int(loaded.region_integration.formation.calls) == 17
    assert int(loaded.region_integration.formation.chosen) == 3


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_our_own_contexts_are_loaded_exactly(tmp_path, precision):
    model = build(global_context="tokens", region_context="joint").to(precision)
    model.pixel_decoder.float()
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path)
    assert (loaded.config.global_context, loaded.config.region_context) == ("tokens", "joint")
    assert_same(loaded, model)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_pixel_decoder_stays_in_single_precision(tmp_path, model, precision):
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path, dtype=precision)
    made = ScoreForInstanceSegmentation._from_config(tiny_config(), dtype=precision).eval()
    for half in (loaded, made):
        for name, tensor in half.state_dict().items():
            if tensor.is_floating_point():
                single = name.startswith("pixel_decoder.")
                assert tensor.dtype == (torch.float32 if single else precision), name
        assert half.dtype == precision
        assert half.stored_class_ids.dtype == torch.int64
        assert half.stored_seen_classes.dtype == torch.bool
        assert logits(half).isfinite().all()
    inputs, labels = make_inputs(model.config, 1), make_labels(model.config, 1)
    inputs["pixel_values"] = inputs["pixel_values"].to(precision)
    loss = loaded.train()(**inputs, **labels).loss
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()


def test_a_config_of_a_half_precision_model_makes_a_model_of_one_type(tmp_path):
    made = ScoreForInstanceSegmentation._from_config(tiny_config(), dtype=torch.bfloat16)
    made.save_pretrained(tmp_path)
    model = ScoreForInstanceSegmentation(ScoreConfig.from_pretrained(tmp_path)).eval()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert logits(model).isfinite().all()
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path, dtype=torch.float32)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_shards_hold_the_whole(tmp_path, model):
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert_same(ScoreForInstanceSegmentation.from_pretrained(tmp_path), model)


@pytest.mark.parametrize("device_map", ["auto", "cpu", {"": "cpu"}])
def test_a_device_map_changes_nothing(tmp_path, model, device_map):
    pytest.importorskip("accelerate")
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path, device_map=device_map)
    assert_same(loaded, model)


def test_a_model_made_on_the_meta_device_takes_the_weights(model):
    with torch.device("meta"):
        empty = ScoreForInstanceSegmentation(tiny_config()).eval()
    assert {tensor.device.type for tensor in empty.state_dict().values()} == {"meta"}
    empty.to_empty(device="cpu").init_weights()
    empty.load_state_dict(model.state_dict())
    assert_same(empty, model)


def test_saving_a_loaded_model_again_changes_nothing(tmp_path, model):
    model.save_pretrained(tmp_path / "0")
    for index in range(2):
        loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path / str(index))
        loaded.save_pretrained(tmp_path / str(index + 1))
    weights, configs = (
        [(tmp_path / str(index) / name).read_bytes() for index in range(3)]
        for name in ("model.safetensors", "config.json")
    )
    assert weights[0] == weights[1] == weights[2]
    # Loading adds the types of the parts, once.
    assert configs[1] == configs[2]


def test_loaded_weights_lie_where_products_are_exact(tmp_path, model):
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path)
    assert not any(tensor.data_ptr() % 64 for tensor in loaded.state_dict().values())


def test_keys_in_the_file_are_those_of_the_model(tmp_path, model):
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(model.state_dict())


@pytest.mark.parametrize("out_of_vocabulary", ["general", "context"])
def test_a_vocabulary_is_saved_without_its_text_tower(tmp_path, out_of_vocabulary):
    model = build(stored_synonyms=0, id2label=None, out_of_vocabulary=out_of_vocabulary)
    ids = torch.randint(0, 590, (3, 6))
    ids[:, -1] = 599
    classifier = model.build_classifier(
        ids, class_ids=torch.tensor([0, 1, 0]), seen_classes=torch.tensor([True, False])
    )
    expected = model(**make_inputs(model.config, 1), classifier=classifier)
    model.store_vocabulary(classifier, ["ship", "tank"], keep_text_tower=False)
    model.save_pretrained(tmp_path)
    loaded, report = ScoreForInstanceSegmentation.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(report.values())
    assert not any("text_tower" in name for name in loaded.state_dict())
    assert loaded.config.id2label == {0: "ship", 1: "tank"}
    assert_same(loaded, model)
    found = loaded(**make_inputs(model.config, 1))
    assert torch.equal(found.class_queries_logits, expected.class_queries_logits)
    assert found.seen_classes.tolist() == [[1, 0]]


def test_frozen_trunks_are_frozen_after_loading(tmp_path, model):
    model.save_pretrained(tmp_path)
    for extra in ({}, {"output_loading_info": True}):
        loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path, **extra)
        loaded = loaded[0] if extra else loaded
        free = {name for name, p in loaded.named_parameters() if p.requires_grad}
        assert free == {name for name, p in model.named_parameters() if p.requires_grad}
        assert not any(name.startswith(("general_trunk.", "context_trunk.")) for name in free)
        loaded.train()
        assert loaded.mask_decoder.training and not loaded.general_trunk.training
    unfrozen = ScoreForInstanceSegmentation.from_pretrained(tmp_path, frozen_trunks=False)
    assert all(parameter.requires_grad for parameter in unfrozen.parameters())


@pytest.mark.parametrize("kind", ["eager", "sdpa", None])
def test_any_kind_of_attention_can_be_asked_for(tmp_path, model, kind):
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(tmp_path, attn_implementation=kind)
    kinds = {
        part.config._attn_implementation for part in loaded.modules() if hasattr(part, "config")
    }
    assert kinds == {kind or "sdpa"}
    torch.testing.assert_close(logits(loaded), logits(model))


def test_fields_and_labels_can_be_changed_while_loading(tmp_path, model):
    model.save_pretrained(tmp_path)
    loaded = ScoreForInstanceSegmentation.from_pretrained(
        tmp_path, alpha=0, beta=0, id2label={0: "a", 1: "b", 2: "c"}
    )
    assert loaded.config.label2id == {"a": 0, "b": 1, "c": 2}
    outputs = loaded(**make_inputs(loaded.config, 1))
    expected = outputs.in_vocabulary_logits.softmax(-1)
    torch.testing.assert_close(outputs.class_queries_logits.exp(), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "auto",
    [
        AutoModel,
        AutoModelForImageSegmentation,
        AutoModelForInstanceSegmentation,
        AutoModelForUniversalSegmentation,
    ],
)
def test_auto_classes_load_it(tmp_path, model, auto):
    model.save_pretrained(tmp_path)
    loaded = auto.from_pretrained(tmp_path)
    assert type(loaded) is ScoreForInstanceSegmentation
    assert_same(loaded, model)


@pytest.mark.parametrize("name", ["no/such/folder", "nowhere"])
def test_an_unknown_folder_is_named(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = f"`pretrained_model_name_or_path` is '{name}', which is no folder here"
    with pytest.raises(OSError, match=message) as told:
        ScoreForInstanceSegmentation.from_pretrained(name)
    assert "\n" not in str(told.value)


def test_a_folder_without_weights_is_told_as_by_transformers(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    with pytest.raises(OSError, match=r"no file named model\.safetensors"):
        ScoreForInstanceSegmentation.from_pretrained(tmp_path)
