import pytest
import torch

from score_hf.conversion.open_clip.config import describe_vit
from score_hf.conversion.open_clip.source import find_source
from score_hf.conversion.open_clip.trunks import convert_context, convert_general
from tests.conversion.open_clip.models import convnext_config, make_model, vit_config, write_folder


@pytest.fixture
def empty_file(tmp_path):
    torch.save({"visual.proj": torch.zeros(2, 2)}, tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-L-14", "must be a ConvNeXt .* got ViT-L-14, a vision transformer"),
        ("RN50", "got RN50, a ResNet"),
        ("coca_ViT-B-32", "got coca_ViT-B-32, a CoCa"),
        ("ViT-B-16-SigLIP", "whose image tower is timm's vit_base_patch16_siglip_224"),
        ("swin_base_patch4_window7_224", "whose image tower is timm's swin"),
    ],
)
def test_other_models_cannot_be_the_general_trunk(empty_file, name, said):
    with pytest.raises(ValueError, match=said):
        convert_general(find_source("general", name, empty_file))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RN50", "must be a vision transformer of CLIP .* got RN50, a ResNet"),
        ("convnext_base", "whose image tower is timm's convnext_base"),
        ("EVA02-B-16", "whose image tower is timm's eva02_base_patch16_clip_224"),
        ("ViT-B-16-SigLIP2", "whose image tower is timm's vit_base_patch16_siglip_224"),
        ("coca_ViT-L-14", "a CoCa"),
        ("ViT-L-14-CLIPA", r"no \[CLS\] token that it pools \(pool_type='avg'\)"),
        ("ViT-M-16-alt", r"layer scale in its blocks \(ls_init_value=0.0001\)"),
        ("ViTamin-B", "timm's vitamin"),
        ("MobileCLIP-B", "timm's vit_base_mci"),
    ],
)
def test_other_models_cannot_be_the_context_trunk(empty_file, name, said):
    with pytest.raises(ValueError, match=said):
        convert_context(find_source("context", name, empty_file))


@pytest.mark.parametrize("name", ["ViT-H-14-worldwide", "roberta-ViT-B-32"])
def test_texts_of_another_tokenizer_are_no_obstacle_until_they_are_needed(empty_file, name):
    source = find_source("context", name, empty_file)

    with pytest.raises(ValueError, match=r"do not fit|hold none"):
        convert_context(source)
    with pytest.raises(
        ValueError, match=r"another tokenizer than CLIP's|text tower of Transformers"
    ):
        convert_context(source, with_text=True)


@pytest.mark.parametrize(
    ("vision", "text", "said"),
    [
        ({"timm_proj": "none"}, {}, "visual head of one or two layers, .* timm_proj='none'"),
        ({"timm_pool": "max"}, {}, "must pool by the mean, .* timm_pool='max'"),
        ({"timm_pool": "abs_attn", "timm_proj": ""}, {}, "visual head of one or two layers"),
        ({"timm_model_name": "convnext_atto"}, {}, "has 1x1 convolutions as MLPs in timm"),
        ({"timm_model_name": "convnextv2_tiny"}, {}, "has no layer scale in timm"),
        ({"timm_model_name": "convnext_atto_ols"}, {}, "has another stem in timm"),
        ({"timm_model_name": "convnext_large_mlp"}, {}, "a hidden layer in timm's head"),
        ({"timm_model_name": "convnext_nonsense"}, {}, "open_clip cannot build"),
        ({"image_size": [224, 320]}, {}, r"must take square pictures, .* takes \(224, 320\)"),
        ({}, {"vocab_size": 32000}, "CLIP's vocabulary of 49408 tokens, .* has 32000"),
        ({}, {"pool_type": "last"}, r"another way to pool texts \(pool_type='last'\)"),
        ({}, {"no_causal_mask": True}, "a text tower without causal mask"),
        ({}, {"proj_bias": True}, "a bias in its projection of texts"),
        ({}, {"qk_norm": True}, "norms within its attention"),
        ({}, {"act_kwargs": {"approximate": "none"}}, "must have GELU or QuickGELU"),
        ({}, {"norm_kwargs": {"bias": False}}, "must have plain layer norms"),
    ],
)
def test_variants_that_compute_something_else_are_refused(empty_file, tmp_path, vision, text, said):
    config = convnext_config(text=text, **vision)
    name = write_folder(tmp_path / "clip", config, torch.nn.Module())

    with pytest.raises(ValueError, match=said) as error:
        convert_general(find_source("general", name, empty_file))
    assert "\n" not in str(error.value)


def test_sizes_of_published_models_come_from_their_configuration(empty_file):
    seen = {}
    for name in ("ViT-B-32", "ViT-L-14-336", "ViT-H-14", "ViT-bigG-14"):
        config = describe_vit(find_source("context", name, empty_file))
        seen[name] = [
            config[key]
            for key in ("hidden_size", "num_attention_heads", "intermediate_size", "image_size")
        ]
    assert seen == {
        "ViT-B-32": [768, 12, 3072, 224],
        "ViT-L-14-336": [1024, 16, 4096, 336],
        "ViT-H-14": [1280, 16, 5120, 224],
        "ViT-bigG-14": [1664, 16, 8192, 224],
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: [
                state.pop(f"visual.transformer.resblocks.{i}.ln_1.bias") for i in (0, 1)
            ],
            r"of its 44 tensors 2 missing \(visual.transformer.resblocks.0.ln_1.bias, visual.tr",
        ),
        (
            lambda state: state.update({f"visual.extra{i}": torch.zeros(1) for i in range(9)}),
            r"9 surplus \(visual.extra0, .*, visual.extra4, ...\)",
        ),
        (
            lambda state: state.update({"visual.proj": torch.zeros(32, 31)}),
            r"1 of another shape \(visual.proj \(32, 31\) instead of \(32, 32\)\)",
        ),
        (
            lambda state: state.update({"visual.layer1.0.conv1.weight": torch.zeros(1)}),
            "are of a ResNet, which SCORE has no trunk for",
        ),
        (
            lambda state: [state.pop(name) for name in list(state) if name.startswith("visual.")],
            "hold none of the tensors of clip, such as visual.class_embedding",
        ),
        (
            lambda state: state.update({"visual.proj": torch.ones(32, 32, dtype=torch.int8)}),
            r"must be floating-point weights .* \(visual.proj int8\)",
        ),
        (
            lambda state: state["visual.proj"].fill_(float("nan")),
            r"must hold finite numbers, but 1 of its tensors .* \(visual.proj\)",
        ),
        (
            lambda state: state.update({"text.text_projection": torch.zeros(16, 32)}),
            r"hold a text tower twice, once under 'text\.'",
        ),
    ],
    ids=["missing", "surplus", "shape", "resnet", "none", "type", "nan", "twice"],
)
def test_weights_that_do_not_fit_are_told_in_one_sentence(tmp_path, change, said):
    name = write_folder(tmp_path / "clip", vit_config(), make_model(vit_config()))
    file = tmp_path / "clip" / "open_clip_pytorch_model.bin"
    state = torch.load(file)
    change(state)
    torch.save(state, file)

    with pytest.raises(ValueError, match=said) as error:
        convert_context(find_source("context", name))
    assert "\n" not in str(error.value)


def test_weights_that_share_memory_are_written_each(tmp_path):
    name = write_folder(tmp_path / "clip", vit_config(), make_model(vit_config()))
    file = tmp_path / "clip" / "open_clip_pytorch_model.bin"
    state = torch.load(file)
    blocks = "visual.transformer.resblocks"
    state[f"{blocks}.1.ln_1.bias"] = state[f"{blocks}.0.ln_1.bias"]
    torch.save(state, file)

    ours = convert_context(find_source("context", name)).state

    layers = "context_trunk.vision_model.encoder.layers"
    first, second = (ours[f"{layers}.{i}.layer_norm1.bias"] for i in (0, 1))
    assert torch.equal(first, second) and first.data_ptr() != second.data_ptr()


def test_nothing_is_copied_that_need_not_be(tmp_path):
    towers = convert_context(
        find_source("context", write_folder(tmp_path, vit_config(), make_model(vit_config())))
    )

    block = towers.reference.visual.transformer.resblocks[0]
    key = towers.state["context_trunk.vision_model.encoder.layers.0.self_attn.k_proj.weight"]
    packed = block.attn.in_proj_weight
    assert key.untyped_storage().data_ptr() == packed.untyped_storage().data_ptr()
    # The text tower was not wanted.
    assert towers.reference.token_embedding.weight.is_meta
