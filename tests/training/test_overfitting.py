"""Real tiles learned by heart: the whole way from a COCO file to mask AP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from score_hf.cli import app
from tests.training.prepared_set import encode

REPOSITORY = Path(__file__).parents[2]
TILES = REPOSITORY.parent / "shared" / "data" / "isaid_tiles512"
SIDE = 256


def write_tiles(folder: Path) -> None:
    """Eight tiles at half their size, so that minutes suffice, without objects lost by that."""
    source = json.loads((TILES / "instances.json").read_text())
    objects: dict[int, list[dict]] = {}
    for one in source["annotations"]:
        objects.setdefault(one["image_id"], []).append(one)
    chosen = [
        image
        for image in sorted(source["images"], key=lambda image: image["id"])
        if 2 <= len(objects.get(image["id"], ())) <= 12
        and all(one["area"] >= 400 for one in objects[image["id"]])
    ][:8]
    annotations = []
    for image in chosen:
        picture = Image.open(TILES / image["file_name"]).convert("RGB")
        image["file_name"] = f"{image['id']}.png"
        image["width"] = image["height"] = SIDE
        picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(folder / image["file_name"])
        for one in objects[image["id"]]:
            whole = Image.fromarray(coco_mask.decode(one["segmentation"]) * 255)
            mask = np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) >= 128
            rle = encode(mask)
            box = coco_mask.toBbox(rle).tolist()
            area = int(mask.sum())
            annotations.append({**one, "segmentation": rle, "bbox": box, "area": area})
    content = {**source, "images": chosen, "annotations": annotations}
    (folder / "instances.json").write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.skipif(not TILES.is_dir(), reason="the real tiles are not at hand")
def test_eight_tiles_are_learned_by_heart(tmp_path):
    write_tiles(tmp_path)
    prepared = tmp_path / "prepared"
    options = ["--images", tmp_path, "--annotations", tmp_path / "instances.json"]
    done = CliRunner().invoke(app, ["prepare", "coco", *map(str, options), "-o", str(prepared)])
    assert done.exit_code == 0, done.output
    recipe = {
        "base": "drawn",
        "steps": 120,
        "batch_size": 8,
        "trackers": [],
        "data": {
            "dataset": str(prepared),
            "augmentation": {"crop_size": SIDE, "scale": [1, 1], "flip": 0},
        },
        "prompts": {"one_synonym": False},
        "optimizer": {"learning_rate": 1.0e-3},
        "schedule": {"warmup_steps": 30},
        "evaluation": {"dataset": str(prepared), "split": "train", "metric": "AP50"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", "-m", "score_hf.training.train"]
    done = subprocess.run(
        [*command, str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "run")],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (figure,) = [row["evaluation/AP50"] for row in rows if "evaluation/AP50" in row]
    assert figure >= 0.9
