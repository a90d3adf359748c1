import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, CLIPTextConfig, CLIPVisionConfig, ConvNextConfig

from score_hf import ScoreConfig
from tests.tiny import TINY_CLASSES, tiny_config


def test_the_default_is_the_model_of_the_paper():
    config = ScoreConfig()
    assert config.general_config.hidden_sizes == [192, 384, 768, 1536]
    assert (config.context_config.num_hidden_layers, config.context_config.patch_size) == (24, 14)
    assert config.text_config.hidden_act == "gelu", "OpenCLIP's, not OpenAI's"
    assert config.context_config.hidden_act == "quick_gelu"
    assert (config.num_queries, config.num_hidden_layers) == (300, 9)
    assert config.context_text_config is None and config.stored_synonyms == 0


def test_it_comes_back_from_a_folder_as_it_was(tmp_path):
    config = tiny_config(alpha=0, region_kernel_sizes=[3, 9], out_of_vocabulary="context")
    config.save_pretrained(tmp_path)
    assert ScoreConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
    assert isinstance(AutoConfig.from_pretrained(tmp_path), ScoreConfig)
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_score.ScoreConfig"
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (CLIPTextConfig, "text_config"),
        (ConvNextConfig, "general_config"),
        (CLIPVisionConfig, "context_config"),
    ],
)
def test_parts_load_from_the_folder_of_the_whole(tmp_path, kind, name):
    config = tiny_config()
    config.save_pretrained(tmp_path)
    if name == "text_config":
        assert kind.from_pretrained(tmp_path).hidden_size == config.text_config.hidden_size
    else:
        part = getattr(ScoreConfig.from_pretrained(tmp_path), name)
        assert type(part) is kind and part.to_dict() == getattr(config, name).to_dict()


def test_parts_can_be_changed_while_loading(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    config = ScoreConfig.from_pretrained(tmp_path, text_config={"vocab_size": 20}, alpha=1)
    assert (config.text_config.vocab_size, config.text_config.hidden_size) == (20, 32)
    assert config.alpha == 1


def test_changes_while_loading_are_checked_and_completed(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    config = ScoreConfig.from_pretrained(tmp_path, num_queries=5, unknown=1)
    assert config.num_queries == 5 and not hasattr(config, "unknown")
    with pytest.raises(StrictDataclassError, match="`alpha` must be between 0 and 1, got 2"):
        ScoreConfig.from_pretrained(tmp_path, alpha=2)
    with pytest.raises(StrictDataclassError, match=r"`context_text_config\.projection_dim`"):
        ScoreConfig.from_pretrained(tmp_path, out_of_vocabulary="context")


def test_labels_stay_inverse_to_each_other(tmp_path):
    config = tiny_config()
    assert config.label2id == {name: index for index, name in enumerate(TINY_CLASSES)}
    config.save_pretrained(tmp_path)
    changed = ScoreConfig.from_pretrained(tmp_path, id2label={0: "a", 1: "b", 2: "c"})
    assert changed.id2label == {0: "a", 1: "b", 2: "c"}
    assert changed.label2id == {"a": 0, "b": 1, "c": 2}
    loaded = ScoreConfig.from_pretrained(tmp_path)
    assert loaded.id2label == config.id2label and loaded.label2id == config.label2id


@pytest.mark.parametrize(
    "field",
    [
        "alpha",
        "beta",
        "class_weight",
        "kernel_temperature",
        "mask_weight",
        "no_object_weight",
        "oversample_ratio",
        "region_dropout",
        "region_weight",
    ],
)
def test_numbers_may_be_whole(field):
    assert getattr(tiny_config(**{field: 1}), field) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"global_context": "both"}, "global_context.*both"),
        ({"region_context": "patches"}, "region_context.*patches"),
        ({"region_kernel": "gumbel"}, "region_kernel.*gumbel"),
        ({"out_of_vocabulary": "clip"}, "out_of_vocabulary.*clip"),
        ({"batch_padding": "none"}, "batch_padding.*none"),
        ({"num_queries": 2.5}, "num_queries.*float"),
        ({"alpha": 1.5}, "`alpha` must be between 0 and 1, got 1.5"),
        ({"beta": -1}, "`beta` must be between 0 and 1, got -1"),
        ({"region_kernel_sizes": [3, 4]}, r"must be odd and positive, got \(3, 4\) and 3"),
        ({"region_kernel_sizes": []}, "must be odd and positive"),
        ({"region_kernel_size": 0}, "must be odd and positive"),
        (
            {"region_context": "intermediate", "intermediate_layer": 3},
            "`intermediate_layer` must be between 1 and the context trunk's 2 layers, got 3",
        ),
        (
            {"region_context": "joint", "projection_dim": 34, "context_num_heads": 2},
            "`projection_dim` must be a multiple of 4 with `region_context='joint'` .* got 34",
        ),
        ({"num_queries": -1}, "`num_queries` must be positive, got -1"),
        ({"num_attention_heads": 0}, "`num_attention_heads` must be positive, got 0"),
        ({"context_num_heads": 0}, "`context_num_heads` must be positive, got 0"),
        ({"stored_synonyms": -1}, "`stored_synonyms` must be 0 or more, got -1"),
        ({"hidden_size": 48}, "`hidden_size` must be a multiple of 32 .* got 48"),
        ({"num_attention_heads": 5}, "`hidden_size` must be a multiple of 5"),
        ({"context_num_heads": 3}, "`projection_dim` must be a multiple of 3"),
        ({"projection_dim": 64}, "`text_config.projection_dim` must be 64.* got 32"),
        (
            {"general_config": {"depths": [1, 1], "hidden_sizes": [16, 32], "num_stages": 2}},
            "`general_config.hidden_sizes` must have four stages",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change, message):
    with pytest.raises((StrictDataclassError, ValueError), match=f"(?s){message}"):
        tiny_config(**change)


def test_texts_and_images_of_the_context_trunk_must_have_one_width():
    text = {**tiny_config().text_config.to_dict(), "projection_dim": 16}
    message = r"`context_text_config\.projection_dim` must be 32"
    with pytest.raises(StrictDataclassError, match=message):
        ScoreConfig(
            **{
                **tiny_config().to_dict(),
                "context_text_config": text,
                "out_of_vocabulary": "context",
            }
        )


def test_a_misspelt_field_is_refused(tmp_path):
    with pytest.raises(TypeError, match="no field `num_querys`; did you mean `num_queries`"):
        ScoreConfig(num_querys=5)
    tiny_config().save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="no field `region_contxt`; did you mean `region_context`"):
        ScoreConfig.from_pretrained(tmp_path, region_contxt="cls")


def test_a_saved_field_that_is_not_known_does_not_stop_loading(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    later = {"num_querys": 5, "wholly_new": 1}
    (tmp_path / "config.json").write_text(json.dumps({**saved, **later}))
    with pytest.warns(UserWarning, match="`num_querys`; did you mean `num_queries`") as told:
        config = ScoreConfig.from_pretrained(tmp_path)
    assert config.num_queries == 8 and config.wholly_new == 1 and len(told) == 1


def test_what_transformers_passes_is_accepted():
    common = {"num_labels": 3, "output_attentions": False, "name_or_path": "x", "auto_map": {}}
    config = tiny_config(torch_dtype="bfloat16", attn_implementation="eager", extra=2, **common)
    assert config.dtype == torch.bfloat16 and config.extra == 2
