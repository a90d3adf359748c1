"""`docs/export.md`: its commands and snippets are run, the latter without PyTorch and us."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import exported
from score_hf import Segmenter
from score_hf.cli import app
from score_hf.drawn_scenes import draw_scene
from score_hf.export import model_folder, onnx_graph
from score_hf.export.image_half import trace_image_half
from score_hf.export.onnx_graph import write_onnx

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here"),
]
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("score-hf")
]
ONNX_SNIPPET, TORCH_SNIPPET = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
# Where the snippet says that no more is needed, no more is there.
ALONE = """
import sys
for name in ("score_hf", "torch", "torchvision", "transformers"):
    sys.modules[name] = None
"""
SAVING = """
names, scores = [one[0] for one in found], [one[1] for one in found]
np.savez("found.npz", names=names, scores=scores, masks=[one[2] for one in found])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a picture, in which all commands of the page were run."""
    folder = tmp_path_factory.mktemp("page")
    # Neither side is a multiple of 32.
    draw_scene(2000019, (150, 210)).image.save(folder / "a.png")
    programs: dict = {}

    def trace_once(half, size):
        if size not in programs:
            programs[size] = trace_image_half(half, size)
        return programs[size]

    def write_once(program, path):
        if id(program) not in programs:
            write_onnx(program, path)
            programs[id(program)] = path.read_bytes()
        path.write_bytes(programs[id(program)])

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # All commands export the same model, which PyTorch takes most of their time for.
        patch.setattr(model_folder, "trace_image_half", trace_once)
        patch.setattr(onnx_graph, "write_onnx", write_once)
        for command in COMMANDS:
            words = shlex.split(command.replace("--images 60", "--images 2"))[1:]
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.output
    return folder


def run_alone(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threshold", [0.3, 0.02])
def test_onnxruntime_alone_finds_what_we_find(folder, threshold):
    snippet = ONNX_SNIPPET.replace("score >= 0.3", f"score >= {threshold}")
    run_alone(ALONE + snippet + SAVING, folder)
    segmenter = Segmenter("score-tiny", ["ship", "vehicle, car", "tennis court"], device="cpu")
    (expected,) = segmenter.segment(folder / "a.png", threshold=threshold)
    found = np.load(folder / "found.npz")
    order = np.argsort(-found["scores"], kind="stable")
    assert len(order) > 0
    assert found["names"][order].tolist() == expected.instances["names"]
    np.testing.assert_allclose(
        found["scores"][order], expected.instances["scores"].numpy(), atol=1e-3
    )
    differing = (found["masks"][order] != expected.instances["masks"].numpy()).mean()
    assert differing < 1e-4


def test_other_classes_go_into_the_same_graph(folder):
    snippet = ONNX_SNIPPET.replace('"exported/classes.npz"', '"other.npz"').replace("0.3", "0.005")
    run_alone(ALONE + snippet + SAVING, folder)
    names = np.load(folder / "found.npz")["names"].tolist()
    assert names and set(names) <= {"plane", "roundabout"}


def test_the_benchmark_measures_them(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (command,) = re.findall(r"^python -m benchmarks\.exported (.+)$", TEXT, re.MULTILINE)
    exported.main(shlex.split(command))
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]}
    assert list(rows) == ["PyTorch", "exported", "small"]
    assert rows["exported"][:2] == rows["PyTorch"][:2]
    assert float(rows["small"][3]) < 0.8 * float(rows["exported"][3])


def test_8_bit_integers_find_nearly_the_same(folder):
    found = []
    for path in ("exported/model.onnx", "small/model.onnx"):
        run_alone(ALONE + ONNX_SNIPPET.replace("exported/model.onnx", path) + SAVING, folder)
        found.append(dict(np.load(folder / "found.npz")))
    expected, nearly = found
    assert len(expected["names"]) > 0
    # The best instance is found again, with nearly its score and its mask.
    best = expected["scores"].argmax()
    again = nearly["scores"].argmax()
    assert nearly["names"][again] == expected["names"][best]
    assert abs(nearly["scores"][again] - expected["scores"][best]) < 0.1
    both = (nearly["masks"][again] & expected["masks"][best]).sum()
    assert both > 0.8 * (nearly["masks"][again] | expected["masks"][best]).sum()


def test_torch_snippet(folder):
    checks = "assert class_logits.shape == (1, 100, 4) and mask_logits.shape == (1, 100, 32, 48)"
    run_alone("import sys; sys.modules['score_hf'] = None\n" + TORCH_SNIPPET + checks, folder)


def test_the_table_names_what_is_there(folder):
    named = set(re.findall(r"`([a-z]+\.[a-z0-9]+)`", TEXT.partition("|---|---|")[2]))
    there = {path.name for path in folder.glob("exported*/*")}
    assert there <= named
    settings = json.loads((folder / "exported" / "settings.json").read_text())
    assert settings["resize"] is None and settings["max_detections"] == 100
