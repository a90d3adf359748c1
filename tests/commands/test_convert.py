import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation
from score_hf.cli import app
from tests.conversion.open_clip.models import convnext_config, make_model, vit_config, write_folder
from tests.isolated import run_isolated


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    general, context = convnext_config(), vit_config(24)
    return [
        *("--general", write_folder(folder / "general", general, make_model(general))),
        *("--context", write_folder(folder / "context", context, make_model(context, seed=1))),
    ]


FILES = {"folder": "no.pt", "file": "weights.pt", "text": "x.txt"}


def run(*arguments):
    # Wide, so that no table folds.
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def converted(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "model"
    done = run(*clips, "-o", folder, "--classes", "ship, storage tank|oil tank")
    assert done.exit_code == 0, done.stderr
    return folder, done


def test_it_says_what_it_read_compared_and_left_random(converted):
    folder, done = converted
    for said in (
        "local-dir:",
        "GELU (its configuration)",
        "stage 4 of the general trunk",
        "visual head",
        "tokens of the general CLIP",
        "dense context",
        f"written to {folder}",
    ):
        assert said in done.stdout
    assert "To be trained, as no weights are published: class_head, glob" in done.stderr
    assert "RANDOM" in (folder / "README.md").read_text()


ISOLATED = """
import torch
from PIL import Image
from transformers import AutoModelForInstanceSegmentation, AutoProcessor

folder, picture = sys.argv[1:]
model = AutoModelForInstanceSegmentation.from_pretrained(folder, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
inputs = processor(images=Image.open(picture), return_tensors="pt")
with torch.no_grad():
    print(model(**inputs).class_queries_logits.double().sum().item())
    print(model(**inputs, classifier=torch.eye(4, 32)).class_queries_logits.shape[-1])
"""


def test_the_folder_loads_where_neither_score_hf_nor_open_clip_is(converted, tmp_path):
    folder, _ = converted
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")

    printed = run_isolated(ISOLATED, tmp_path, folder, tmp_path / "picture.png").split()

    assert torch.tensor(float(printed[0])).isfinite()
    assert printed[1] == "5"


def test_dtype_and_without_text_tower(clips, converted, tmp_path):
    whole, _ = converted
    done = run(
        *(*clips, "-o", tmp_path / "small", "--dtype", "bfloat16"),
        *("--classes", "ship; storage tank|oil tank", "--without-text-tower", "--no-verify"),
    )

    assert done.exit_code == 0, done.stderr
    assert "was not compared with open_clip" in done.stderr
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert config["id2label"] == {"0": "ship", "1": "storage tank"}
    assert config["stored_synonyms"] == 3
    with safe_open(tmp_path / "small" / "model.safetensors", "pt") as file:
        names = list(file.keys())
        types = {file.get_tensor(name).dtype for name in names if "pixel_decoder" not in name}
    assert types == {torch.bfloat16, torch.int64, torch.bool}
    assert not any(name.startswith("text_tower") for name in names)
    sizes = [
        (folder / "model.safetensors").stat().st_size for folder in (whole, tmp_path / "small")
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_the_context_may_score_out_of_vocabulary(clips, tmp_path):
    done = run(*clips, "-o", tmp_path / "model", "--out-of-vocabulary", "context")

    assert done.exit_code == 0, done.stderr
    assert "embeddings of the remote-sensing CLIP" in done.stdout
    model = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "model")
    assert model.context_text_tower.config.projection_dim == 24


def test_activation_can_be_overridden(clips, tmp_path):
    done = run(*clips, "-o", tmp_path / "model", "--context-activation", "quick_gelu")

    assert "QuickGELU (asked for)" in done.stdout
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["context_config"]["hidden_act"] == "quick_gelu"
    assert config["text_config"]["hidden_act"] == "gelu"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--without-text-tower"], "`--without-text-tower` needs `--classes`"),
        (["--out-of-vocabulary", "both"], "must be general or context, got 'both'"),
        (["--dtype", "int8"], "`--dtype` must be one of float32, bfloat16, float16, got 'int8'"),
        (
            ["--context", "ViT-B-32", "--context-weights", "{folder}"],
            "there is no file|no file is at",
        ),
        (["--context", "RN50", "--context-weights", "{file}"], "got RN50, a ResNet"),
        (["--general-weights", "{file}"], "hold none of the tensors of general"),
        (
            ["--context-activation", "relu"],
            "`--context-activation` must be 'gelu' or 'quick_gelu', got 'relu'",
        ),
        (["--classes", "ship, ship"], "`--classes` holds 'ship' twice"),
        (["--classes", ""], "`--classes` must name at least one class"),
        (["-o", "{text}"], "must name a folder, not a file that ends in .txt"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(clips, tmp_path, options, said):
    torch.save({"visual.layer1.0.conv1": torch.zeros(1)}, tmp_path / "weights.pt")
    places = {name: tmp_path / file for name, file in FILES.items()}
    output = tmp_path / "out" / "model"

    done = run(*clips, "-o", output, *(option.format(**places) for option in options))

    assert done.exit_code == 2
    assert done.stderr.startswith("score-hf: ")
    assert done.stderr.count("\n") == 1
    assert any(part in done.stderr for part in said.split("|"))
    assert not output.parent.exists()


def test_a_wrong_conversion_writes_nothing(clips, tmp_path, monkeypatch):
    from score_hf.modeling.general_trunk import ScoreVisualHead

    forward = ScoreVisualHead.forward
    monkeypatch.setattr(ScoreVisualHead, "forward", lambda self, x: 1.01 * forward(self, x))

    done = run(*clips, "-o", tmp_path / "model")

    assert done.exit_code == 2
    assert "nothing is written: visual head by 1.0e-02" in done.stderr
    assert not (tmp_path / "model").exists()


def test_what_is_there_is_only_replaced_when_asked(clips, tmp_path):
    (tmp_path / "model").mkdir()
    config = '{"model_type": "score"}'
    (tmp_path / "model" / "config.json").write_text(config)

    refused = run(*clips, "-o", tmp_path / "model")
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    assert (tmp_path / "model" / "config.json").read_text() == config

    done = run(*clips, "-o", tmp_path / "model", "--overwrite", "--no-verify")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--general", "RN50", "--general-weights", "openai"], "`--general` must be a ConvNeXt"),
        (
            ["--context", "RN50", "--context-weights", "openai"],
            "`--context` must be a vision trans",
        ),
        (
            [
                *("--context", "roberta-ViT-B-32", "--context-weights", "laion2b_s12b_b32k"),
                *("--out-of-vocabulary", "context"),
            ],
            "a text tower of Transformers",
        ),
    ],
)
def test_what_cannot_be_converted_is_not_downloaded(clips, tmp_path, monkeypatch, arguments, said):
    import open_clip

    monkeypatch.setattr(open_clip, "download_pretrained", None)

    done = run(*clips, *arguments, "-o", tmp_path / "model")

    assert done.exit_code == 2
    assert said in done.stderr


def test_without_open_clip_it_says_how_to_install_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "open_clip", None)

    done = run("-o", tmp_path / "model")

    assert done.exit_code == 1
    assert "pip install 'score-hf[convert]'" in done.stderr
