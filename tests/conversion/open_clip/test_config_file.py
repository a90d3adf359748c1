import json

import pytest

from score_hf.conversion.open_clip.config_file import read_open_clip_config

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": [64, 64], "layers": [3, 4, 6, 3], "width": 32},
    "text_cfg": {"width": 16, "hf_model_name": None},
}


def test_both_layouts_of_the_file(tmp_path):
    file = tmp_path / "open_clip_config.json"
    file.write_text(json.dumps(MODEL))
    assert read_open_clip_config("context", file) == (MODEL, {})
    preprocessing = {"mean": [0.5, 0.5, 0.5], "std": None, "size": 64}
    file.write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": preprocessing}))
    assert read_open_clip_config("context", file) == (MODEL, preprocessing)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"model_cfg": null}',
        '{"vision_cfg": {}}',
        "\xff",
        "[" * 9999,
    ],
)
def test_what_is_no_configuration(tmp_path, content):
    file = tmp_path / "open_clip_config.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"^`context`: .* (is damaged|with embed_dim, vision_cfg)"):
        read_open_clip_config("context", file)


@pytest.mark.parametrize(
    ("part", "field", "value", "said"),
    [
        ("vision_cfg", "width", "32", r"vision_cfg.width .* from 1 to 100000, got '32'"),
        # Would be built for hours.
        ("vision_cfg", "layers", 10**9, r"vision_cfg.layers .* from 1 to 1000, got 1000000000"),
        ("vision_cfg", "patch_size", [8, 8], r"patch_size .* got \[8, 8\]"),
        ("vision_cfg", "image_size", [0, 64], r"image_size .* got 0"),
        ("vision_cfg", "timm_model_name", 3, "must be a name, got 3"),
        ("text_cfg", "heads", 0, r"text_cfg.heads .* got 0"),
    ],
)
def test_impossible_sizes(tmp_path, part, field, value, said):
    file = tmp_path / "open_clip_config.json"
    file.write_text(json.dumps({**MODEL, part: {**MODEL[part], field: value}}))
    with pytest.raises(ValueError, match=rf"^`general`: .*{said}"):
        read_open_clip_config("general", file)


@pytest.mark.parametrize(
    ("field", "value"),
    [("mean", [1, 2]), ("mean", "x"), ("std", [0, 1, 1]), ("std", [1, 1, 1e999])],
)
def test_impossible_normalizations(tmp_path, field, value):
    file = tmp_path / "open_clip_config.json"
    file.write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": {field: value}}))
    with pytest.raises(ValueError, match=rf"{field} in preprocess_cfg .* must be three numbers"):
        read_open_clip_config("general", file)
