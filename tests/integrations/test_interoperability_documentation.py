"""The snippets of `docs/interoperability.md` are run, and do what stands around them."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation, bundled_model
from score_hf.cli import app
from score_hf.drawn_scenes import draw_scene

PAGE = Path(__file__).parents[2] / "docs" / "interoperability.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
SNIPPETS = dict(re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE))
SCENE = draw_scene(2000019, 128)
NAMES = ("vehicle", "ship")


@pytest.fixture(autouse=True)
def with_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SCENE.image.save("a.png")


def run(section: str, **given) -> dict:
    names = dict(given)
    exec(compile(SNIPPETS[section], f"{PAGE} ({section})", "exec"), names)
    return names


def test_every_section_has_one_snippet():
    assert len(SNIPPETS) == TEXT.count("```python") == TEXT.count("\n## ")


def test_supervision():
    pytest.importorskip("supervision")
    names = run("supervision")
    found, visible, whole = names["found"], names["visible"], names["whole"]
    assert len(whole) == len(found["scores"]) > len(visible) > 0
    assert whole.data["class_name"].tolist() == found["names"]
    drawn = np.array([info["id"] for info in found["segments_info"]])
    np.testing.assert_allclose(visible.confidence, whole.confidence[drawn], atol=1e-6)
    np.testing.assert_array_equal(visible.class_id, whole.class_id[drawn])
    assert visible.data["class_name"].tolist() == [found["names"][index] for index in drawn]
    assert (visible.mask <= whole.mask[drawn]).all()
    uncovered = (visible.mask == whole.mask[drawn]).all((1, 2))
    expected = whole.xyxy[drawn][uncovered] - np.array([0, 0, 1, 1])
    assert uncovered.any()
    np.testing.assert_array_equal(visible.xyxy[uncovered], expected)


def test_supervision_where_nothing_is_found():
    pytest.importorskip("supervision")
    snippet = SNIPPETS["supervision"].replace("threshold=0.2", "threshold=1.0")
    names: dict = {}
    exec(compile(snippet, str(PAGE), "exec"), names)
    assert len(names["whole"]) == len(names["visible"]) == 0
    assert names["whole"].mask.shape == names["visible"].mask.shape == (0, 128, 128)


def test_fiftyone(monkeypatch):
    fiftyone = pytest.importorskip("fiftyone")
    pictures = Path("pictures").absolute()
    pictures.mkdir()
    SCENE.image.save(pictures / "a.png")
    words = ["segment", str(pictures), "--classes", "vehicle | car, tennis court"]
    done = CliRunner().invoke(app, [*words, "--threshold", "0.2", "-o", "out"])
    assert done.exit_code == 0, done.output

    def read(dataset_type, **options):
        with dataset_type().get_dataset_importer_cls()(**options) as importer:
            return list(importer)

    # What is read goes into MongoDB, which need not be here.
    monkeypatch.setattr(fiftyone.Dataset, "from_dir", staticmethod(read))
    ((path, _, labels),) = run("FiftyOne")["dataset"]
    written = json.loads(Path("out/results.json").read_text())["annotations"]
    assert Path(path) == pictures / "a.png" and written
    assert sorted(one.confidence for one in labels.detections) == pytest.approx(
        sorted(one["score"] for one in written)
    )
    assert {one.label for one in labels.detections} <= {"vehicle", "tennis court"}
    areas = sorted(int(one.mask.sum()) for one in labels.detections)
    assert areas == sorted(int(one["area"]) for one in written)


def test_trainer():
    pytest.importorskip("accelerate")
    kept = [index for index, name in enumerate(SCENE.class_names) if name in NAMES]
    row = {
        "file": "a.png",
        "masks": SCENE.masks[kept],
        "class_labels": [NAMES.index(SCENE.class_names[index]) for index in kept],
    }
    assert kept
    names = run("Trainer of Transformers", rows=[row] * 4)
    history = names["trainer"].state.log_history
    assert names["trainer"].state.global_step == 2
    assert np.isfinite(history[-1]["train_loss"])
    start = ScoreForInstanceSegmentation.from_pretrained(bundled_model(), dtype="float32")
    moved = {
        name.split(".")[0]
        for (name, before), after in zip(
            start.named_parameters(), names["model"].parameters(), strict=True
        )
        if not torch.equal(before, after.cpu())
    }
    assert {"mask_decoder", "pixel_decoder", "class_head", "region_integration"} <= moved


def test_peft():
    pytest.importorskip("peft")
    names = run("PEFT")
    adapted, merged = names["adapted"], names["merged"]
    trained = {name for name, one in adapted.named_parameters() if one.requires_grad}
    parts = {name.removeprefix("base_model.model.").split(".")[0] for name in trained}
    assert parts == {
        *("mask_decoder", "region_integration", "global_adaptation"),
        *("class_head", "void_embedding"),
    }
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain = ScoreForInstanceSegmentation.from_pretrained(bundled_model(), dtype="float32")
    with torch.no_grad():
        # An adapter begins as nothing; one that was trained goes along into the merged model.
        expected = plain(pixel_values=pixels).class_queries_logits
        torch.testing.assert_close(merged(pixel_values=pixels).class_queries_logits, expected)
    labels = {
        "mask_labels": [torch.ones(1, 64, 64)],
        "class_labels": [torch.zeros(1, dtype=torch.int64)],
    }
    adapted.train()
    optimizer = torch.optim.AdamW((one for one in adapted.parameters() if one.requires_grad), 0.01)
    for _ in range(2):
        adapted(pixel_values=pixels, **labels).loss.backward()
        optimizer.step()
    adapted.eval().save_pretrained("trained")
    again = names["PeftModel"].from_pretrained(plain, "trained").merge_and_unload()
    with torch.no_grad():
        found = again(pixel_values=pixels).class_queries_logits
        torch.testing.assert_close(
            found, adapted(pixel_values=pixels).class_queries_logits, rtol=1e-3, atol=1e-3
        )
    assert not torch.allclose(found, expected, atol=1e-2)


@pytest.mark.slow
def test_compiled_model(monkeypatch):
    # Traced as always; what makes kernels of it is PyTorch's own.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    names = run("torch.compile")
    with torch.no_grad():
        expected = names["model"](pixel_values=torch.zeros(1, 3, 128, 128))
    torch.testing.assert_close(names["outputs"].class_queries_logits, expected.class_queries_logits)
