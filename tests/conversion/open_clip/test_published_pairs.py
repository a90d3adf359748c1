"""Models of open_clip's own list, at their real size, with random weights."""

import gc
import os
import sys

import open_clip
import pytest
import torch
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.cli import app
from tests.conversion.open_clip.comparison import assert_same_towers


def write_weights(name, file):
    torch.manual_seed(len(name))
    model = open_clip.create_model(name).eval().requires_grad_(False)
    for key, tensor in model.named_parameters():
        # Layer scale starts so small that the blocks of a ConvNeXt would not count.
        if key.endswith("gamma"):
            tensor.uniform_(0.1, 0.3)
    torch.save(model.state_dict(), file)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("general", "context"),
    [
        ("convnext_base_w_320", "ViT-L-14-336"),
        ("convnext_base", "ViT-B-32-quickgelu"),
        ("convnext_base_w", "ViT-B-16"),
        ("convnext_large", "ViT-B-32-256"),
        ("convnext_large_d", "ViT-B-16-plus-240"),
        ("convnext_large_d_320", "ViT-L-14-quickgelu"),
        ("convnext_tiny", "ViT-L-16-320"),
    ],
)
def test_a_pair_of_open_clip(tmp_path, general, context):
    models = [write_weights(name, tmp_path / f"{name}.pt") for name in (general, context)]

    done = CliRunner().invoke(
        app,
        [
            *("convert", "--output", str(tmp_path / "model")),
            *("--general", general, "--general-weights", str(tmp_path / f"{general}.pt")),
            *("--context", context, "--context-weights", str(tmp_path / f"{context}.pt")),
        ],
    )

    assert done.exit_code == 0, done.stderr
    model = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "model").eval()
    assert_same_towers(model, ScoreProcessor.from_pretrained(tmp_path / "model"), *models)
    del model, models
    gc.collect()


@pytest.mark.slow
def test_the_paper_s_pair_needs_little_more_memory_than_its_weights(tmp_path):
    for name in ("convnext_large_d_320", "ViT-L-14"):
        write_weights(name, tmp_path / f"{name}.pt")
        gc.collect()

    command = [
        *(sys.executable, "-c", "from score_hf.cli import app; app()", "convert"),
        *("--output", str(tmp_path / "model")),
        *("--general-weights", str(tmp_path / "convnext_large_d_320.pt")),
        *("--context-weights", str(tmp_path / "ViT-L-14.pt")),
    ]
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(process, 0)

    assert status == 0
    written = sum(file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors"))
    # Linux counts in kilobytes.
    assert usage.ru_maxrss * 1024 < 2.2 * written
    assert usage.ru_utime + usage.ru_stime < 180
