"""NWPU VHR-10 as it was published: from its files to figures, beside plain pycocotools."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.evaluation.instance_task import InstanceTask
from tests.evaluation.made_sets import encode
from tests.evaluation.test_coco_metrics import plain_pycocotools

ROOT = Path(__file__).parents[2]
NWPU = ROOT.parent / "shared" / "data" / "nwpu_vhr10"
TWO = "-m torch.distributed.run --standalone --nproc_per_node 2 -m score_hf.training.evaluate"

pytestmark = pytest.mark.skipif(not NWPU.is_dir(), reason="needs the images of NWPU VHR-10")


@pytest.fixture(scope="module")
def annotations(tmp_path_factory) -> Path:
    """Every fifth image, in the published form: polygons, annotations numbered from 0."""
    content = json.loads((NWPU / "instances.json").read_text())
    content["images"] = content["images"][::5]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [
        entry for entry in content["annotations"] if entry["image_id"] in kept
    ]
    path = tmp_path_factory.mktemp("nwpu") / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def prepared(annotations) -> Path:
    folder = annotations.parent / "prepared"
    source = ["--images", str(NWPU), "--annotations", str(annotations)]
    done = CliRunner().invoke(
        app, ["prepare", "coco", *source, "--output", str(folder), "--split", "val"]
    )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def truth(annotations) -> dict:
    content = json.loads(annotations.read_text())
    for entry in content["annotations"]:
        # Numbered from 0, pycocotools would take the first object for one that is never found.
        entry["id"] += 1
    return content


def noisy_masks(truth: dict) -> dict[int, list[dict]]:
    """The true masks, moved; a quarter with the name of another class."""
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    random = np.random.default_rng(0)
    found: dict[int, list[dict]] = {image["id"]: [] for image in truth["images"]}
    for entry in truth["annotations"]:
        mask = coco_mask.decode(coco.annToRLE(entry))
        category = entry["category_id"] if random.random() < 0.75 else int(random.integers(1, 11))
        found[entry["image_id"]].append(
            {
                "category_id": category,
                "segmentation": encode(np.roll(mask, random.integers(-4, 5, 2), axis=(0, 1))),
                "score": float(random.random()),
            }
        )
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_figures_are_those_of_a_plain_script(
    tiny_folder, prepared, truth, tmp_path, monkeypatch, processes
):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(prepared.parent / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", prepared.parent / "cache")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    files = {name: tmp_path / f"{name}.json" for name in ("output", "predictions")}
    arguments = ["--model", tiny_folder, "--dataset", prepared, "--split", "val", "--device", "cpu"]
    arguments += [part for name, path in files.items() for part in (f"--{name}", path)]
    arguments = [str(part) for part in arguments]

    # An evaluation that is stopped at its first image; the other predictions take its place.
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(InstanceTask, "read", stop)
        CliRunner().invoke(app, ["evaluate", *arguments])
    lines = [
        json.dumps({"image_id": number, "predictions": found})
        for number, found in noisy_masks(truth).items()
    ]
    part = tmp_path / "output-predictions" / "part-00000.jsonl"
    part.write_text("".join(f"{line}\n" for line in lines))
    if processes == 2:
        subprocess.run([sys.executable, *TWO.split(), *arguments], cwd=ROOT, check=True)
    else:
        assert CliRunner().invoke(app, ["evaluate", *arguments]).exit_code == 0

    figures, predictions = (json.loads(path.read_text()) for path in files.values())
    assert figures["num_images"] == len(truth["images"])
    precision = plain_pycocotools(truth, predictions).eval["precision"][..., 2]

    def mean(values):
        return values[values > -1].mean()

    assert figures["AP"] == mean(precision[..., 0]) > 0.1
    assert figures["AP50"] == mean(precision[0, :, :, 0])
    assert figures["AP75"] == mean(precision[5, :, :, 0])
    for name, area in (("APs", 1), ("APm", 2), ("APl", 3)):
        assert figures[name] == mean(precision[..., area])
    for place, value in enumerate(figures["per_class"].values()):
        assert value == mean(precision[:, :, place, 0])
