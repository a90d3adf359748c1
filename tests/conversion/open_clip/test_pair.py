import copy
import zipfile

import open_clip
import pytest
import torch

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.conversion.clip_tokenizer import END_ID, START_ID, VOCABULARY_SIZE, clip_tokenizer
from score_hf.conversion.initialization import parts_of
from score_hf.conversion.open_clip.pair import convert_pair
from score_hf.conversion.open_clip.source import find_source
from tests.conversion.open_clip.comparison import assert_same_towers
from tests.conversion.open_clip.models import (
    convnext_config,
    make_jit_archive,
    make_model,
    vit_config,
    write_folder,
)

# A small decoder around the towers, which are what is tested.
SMALL = {
    "hidden_size": 32,
    "num_queries": 8,
    "num_hidden_layers": 1,
    "intermediate_size": 32,
    "pixel_decoder_layers": 1,
    "pixel_decoder_intermediate_size": 32,
    "region_layers": 1,
    "region_intermediate_size": 32,
}


def convert_folders(tmp_path, general, context, mean=None, **options):
    """Converts two folders of random weights; returns the pair and open_clip's own models."""
    models = [make_model(general), make_model(context, seed=1)]
    preprocessing = {"preprocess_cfg": {"mean": mean, "std": [0.5, 0.4, 0.3]}} if mean else {}
    sources = [
        find_source("general", write_folder(tmp_path / "general", general, models[0])),
        find_source(
            "context", write_folder(tmp_path / "context", context, models[1], **preprocessing)
        ),
    ]
    return convert_pair(*sources, **SMALL, **options), *models


@pytest.mark.parametrize(
    ("general", "context", "options"),
    [
        (convnext_config(), vit_config(), {}),
        (convnext_config(timm_proj="linear"), {**vit_config(), "quick_gelu": True}, {}),
        (
            convnext_config(40, timm_proj="linear", timm_proj_bias=True, timm_pool="avg"),
            vit_config(24, patch_size=16, image_size=80),
            {"out_of_vocabulary": "context"},
        ),
        (
            convnext_config(timm_proj_bias=True, timm_drop=0.3, timm_drop_path=0.5),
            vit_config(image_size=[48, 48], patch_dropout=0.5, mlp_ratio=4.3637, head_width=16),
            {},
        ),
        (
            {**convnext_config(text={"mlp_ratio": 2.5, "norm_kwargs": {"eps": 1e-3}})},
            vit_config(
                act_kwargs={"approximate": "tanh"}, norm_kwargs={"eps": 1e-3}, image_size=36
            ),
            {},
        ),
        (
            {**convnext_config(), "quick_gelu": True},
            vit_config(pos_embed_type="sin_cos_2d", text={"hf_model_name": "a/b"}),
            {},
        ),
    ],
    ids=["plain", "linear", "context", "dropouts", "epsilons", "quick"],
)
def test_towers_compute_what_open_clip_computes(tmp_path, general, context, options):
    built = copy.deepcopy(context)
    # The text tower of the remote-sensing CLIP may be anything where it is not needed.
    built["text_cfg"].pop("hf_model_name", None)
    models = [make_model(general), make_model(built, seed=1)]
    sources = [
        find_source("general", write_folder(tmp_path / "general", general, models[0])),
        find_source("context", write_folder(tmp_path / "context", context, models[1])),
    ]

    pair = convert_pair(*sources, **SMALL, **options)

    assert_same_towers(pair.model, pair.processor, *models)
    assert max(one.relative for one in pair.differences) < 1e-5
    inputs = pair.processor(
        images=torch.zeros(3, 64, 64, dtype=torch.uint8), classes=["ship", "pier, quay"]
    )
    with torch.no_grad():
        outputs = pair.model(**inputs.convert_to_tensors("pt"))
    assert outputs.class_queries_logits.shape == (1, 8, 3)
    assert outputs.class_queries_logits.isfinite().all()


def test_other_normalisation_becomes_part_of_the_context_trunk(tmp_path):
    mean = [0.2, 0.5, 0.7]

    pair, general, context = convert_folders(tmp_path, convnext_config(), vit_config(), mean)

    assert_same_towers(pair.model, pair.processor, general, context, mean)
    assert any("another normalisation" in note for note in pair.card.notes)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_an_archive_of_openai_is_quick_and_becomes_float32(tmp_path):
    general = make_model(convnext_config())
    # OpenAI's own class reads the sizes from the weights: heads are 64 wide.
    config = vit_config(width=64, head_width=64, text={"width": 64, "heads": 1})
    context = make_model({**config, "quick_gelu": True}, seed=1)
    write_folder(tmp_path / "context", config, context)
    make_jit_archive(tmp_path / "ViT-B-32.pt", context)

    source = find_source(
        "context", f"local-dir:{tmp_path / 'context'}", str(tmp_path / "ViT-B-32.pt")
    )
    pair = convert_pair(
        find_source("general", write_folder(tmp_path / "general", convnext_config(), general)),
        source,
        out_of_vocabulary="context",
        **SMALL,
    )

    assert source.activation == "quick_gelu"
    read_by_open_clip = open_clip.load_openai_model(
        str(tmp_path / "ViT-B-32.pt"), precision="fp32", device="cpu"
    )
    assert_same_towers(pair.model, pair.processor, general, read_by_open_clip)
    assert {tensor.dtype for tensor in pair.model.parameters()} == {torch.float32}


def test_a_zip_of_skyclip(tmp_path):
    general, context = make_model(convnext_config()), make_model(vit_config(), seed=1)
    name = write_folder(tmp_path / "context", vit_config(), context)
    checkpoint = {
        "epoch": 20,
        "name": "SkyCLIP",
        "state_dict": {f"module.{key}": value for key, value in context.state_dict().items()},
        "optimizer": {"state": {0: {"step": torch.tensor(9.0)}}, "param_groups": []},
    }
    torch.save(checkpoint, tmp_path / "epoch_20.pt")
    packed = tmp_path / "SkyCLIP_ViT_B32_top50pct.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "epoch_20.pt", "SkyCLIP_ViT_B32_top50pct/epoch_20.pt")

    pair = convert_pair(
        find_source("general", write_folder(tmp_path / "general", convnext_config(), general)),
        find_source("context", name, str(packed)),
        **SMALL,
    )

    assert_same_towers(pair.model, pair.processor, general, context)


def test_what_no_weights_are_published_for_is_named_and_repeatable(tmp_path):
    torch.manual_seed(0)
    first, *_ = convert_folders(tmp_path, convnext_config(), vit_config(24), verify=False)
    torch.manual_seed(1)
    again, *_ = convert_folders(tmp_path, convnext_config(), vit_config(24), verify=False)
    other, *_ = convert_folders(tmp_path, convnext_config(), vit_config(24), verify=False, seed=1)

    state = first.model.state_dict()
    assert first.differences == ()
    assert all(torch.equal(state[key], value) for key, value in again.model.state_dict().items())
    changed = {
        key for key, value in other.model.state_dict().items() if not torch.equal(state[key], value)
    }
    # Norms, biases and scales start at fixed values.
    untrained = first.model.config.untrained_parts
    assert set(parts_of(changed)) <= set(untrained)
    assert "mask_decoder.query_features.weight" in changed
    assert "region_integration.projection.weight" in changed
    assert not {"general_trunk", "text_tower", "context_trunk"} & set(untrained)


def test_the_pair_survives_saving(tmp_path):
    pair, general, context = convert_folders(tmp_path, convnext_config(), vit_config())
    pair.model.save_pretrained(tmp_path / "saved")
    pair.processor.save_pretrained(tmp_path / "saved")

    model = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "saved").eval()
    processor = ScoreProcessor.from_pretrained(tmp_path / "saved")

    assert_same_towers(model, processor, general, context)
    state = pair.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_a_difference_to_open_clip_is_an_error(tmp_path, monkeypatch):
    from score_hf.modeling.context_trunk import ScoreContextTrunk

    wrong = ScoreContextTrunk._last_block
    monkeypatch.setattr(
        ScoreContextTrunk,
        "_last_block",
        staticmethod(lambda block, tokens: wrong(block, tokens) + 0.01 * tokens),
    )

    with pytest.raises(ValueError, match=r"nothing is written: global context by .*, allowed are"):
        convert_folders(tmp_path, convnext_config(), vit_config(image_size=32, width=32))


def test_outputs_that_are_no_numbers_are_an_error(tmp_path):
    context = make_model(vit_config(), seed=1)
    context.visual.proj.fill_(3e38)
    sources = [
        find_source(
            "general",
            write_folder(tmp_path / "general", convnext_config(), make_model(convnext_config())),
        ),
        find_source("context", write_folder(tmp_path / "context", vit_config(), context)),
    ]

    with pytest.raises(ValueError, match="global context by nan, dense context by nan"):
        convert_pair(*sources, **SMALL)


def test_texts_of_two_lengths_do_not_go_together(tmp_path):
    short = vit_config(text={"context_length": 32})

    with pytest.raises(ValueError, match="`context` must take texts of 77 tokens"):
        convert_folders(tmp_path, convnext_config(), short, out_of_vocabulary="context")


def test_tokens_are_those_of_open_clip():
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == VOCABULARY_SIZE
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (START_ID, END_ID)
    assert tokenizer.pad_token_id == END_ID
    texts = ["aerial photo of the café's T-shaped roof,  3rd floor (1950)!", "x" * 400, "東京 ΑΩ"]
    theirs = open_clip.SimpleTokenizer()(texts)
    ours = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    for mine, mask, their in zip(ours["input_ids"], ours["attention_mask"], theirs, strict=True):
        length = int(mask.sum())
        assert mine[:length].tolist() == their[:length].tolist()
        assert not their[length:].any()
