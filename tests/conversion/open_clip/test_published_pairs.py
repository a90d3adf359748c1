"""Models of open_clip's own list, at their real size, with random weights."""

import gc
import subprocess
import sys
import time

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

    # Not what wait4 tells: a process begins with the peak of the one that started it.
    code = (
        "from pathlib import Path; from score_hf.cli import app; app(standalone_mode=False); "
        "lines = Path('/proc/self/status').read_text().splitlines(); "
        "print(*[line for line in lines if line.startswith('VmHWM')])"
    )
    command = [
        *(sys.executable, "-c", code, "convert"),
        *("--output", str(tmp_path / "model")),
        *("--general-weights", str(tmp_path / "convnext_large_d_320.pt")),
        *("--context-weights", str(tmp_path / "ViT-L-14.pt")),
    ]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started

    written = sum(file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors"))
    label, peak, unit = done.stdout.splitlines()[-1].split()
    assert (label, unit) == ("VmHWM:", "kB")
    assert int(peak) * 1024 < 2.2 * written
    assert seconds < 180
    print(f"peak {int(peak) * 1024 / written:.2f} x, {seconds:.0f} s")
