"""`docs/fine_tuning.md`, command by command, on a small set of one's own."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from score_hf.drawn_scenes import draw_scene
from score_hf.training.recipe import load_recipe
from tests.conversion.hub_stand_in import OWNER, TOKEN, hub_stand_in
from tests.data.drawn_coco import annotation, encode, image, write_coco

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs" / "fine_tuning.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)
    for line in block.splitlines()
    if not line.startswith("pip")
]
(RECIPE,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
# What is drawn, and what it is called in the set: words that the start does not know so.
NAMES = {"tennis court": "playing field", "vehicle": "lorry", "ship": "ferry"}
SMALL = (
    *("--init-from", "score-tiny", "--steps", "40", "--mixed-precision", "no", "--workers", "0"),
    *("--set", "batch_size=2", "--set", "evaluation.every=40"),
    *("--set", "optimizer.learning_rate=5e-4", "--set", "data.augmentation=null"),
)


def test_recipe_and_the_fields_that_are_explained(tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE)
    fields = load_recipe(tmp_path / "mine.yaml").as_dict()
    assert fields["steps"] == 5000 and fields["data"]["dataset"] == "prepared"
    for names in re.findall(r"^\| (`.*?`) \|", DOCUMENT, re.MULTILINE):
        for name in re.findall(r"`(.*?)`", names):
            inner = fields
            for part in name.split("."):
                assert part in inner, name
                inner = inner[part]


def draw_own_set(folder: Path) -> None:
    (folder / "photos").mkdir()
    categories = dict(enumerate(NAMES.values(), 1))
    numbers = {drawn: number for number, drawn in enumerate(NAMES, 1)}
    for split, seeds in (("train", range(8)), ("val", range(8, 12))):
        images, annotations = [], []
        for seed in seeds:
            scene = draw_scene(500 + seed, 256)
            scene.image.save(folder / "photos" / f"{seed}.png")
            images.append(image(seed + 1, f"{seed}.png", 256, 256))
            for name, mask in zip(scene.class_names, scene.masks, strict=True):
                if name in numbers:
                    number = len(annotations) + 1
                    annotations.append(
                        annotation(number, seed + 1, numbers[name], encode(mask), iscrowd=0)
                    )
        write_coco(folder / f"{split}.json", images, annotations, categories)


@pytest.mark.slow
def test_from_pictures_to_the_hub(tmp_path):
    draw_own_set(tmp_path)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    with hub_stand_in() as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_CACHE": str(tmp_path / "cache"),
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "1",
            "PYTHONPATH": str(REPOSITORY),
        }

        def run(words):
            starts = {
                "score-hf": ["-c", "from score_hf.cli import app; app()"],
                "accelerate": ["-m", "accelerate.commands.accelerate_cli"],
            }
            done = subprocess.run(
                [sys.executable, *starts[words[0]], *words[1:]],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=3600,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        for command in COMMANDS:
            words = shlex.split(command.replace("owner/", f"{OWNER}/"))
            run([*words, *SMALL] if words[0] == "accelerate" else words)
        before = shlex.split(
            "score-hf evaluate --model score-tiny --dataset prepared --split val -o before.json"
        )
        run(before)
        assert "config.json" in hub.files(f"{OWNER}/name")
    figures = {
        name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("before", "metrics")
    }
    ap50 = {name: one["AP50"] for name, one in figures.items()}
    assert ap50["metrics"] > ap50["before"] + 0.2
    assert figures["metrics"]["settings"]["seen_classes"] == [True] * 3
    assert (tmp_path / "report.html").stat().st_size > 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["name"] for one in results["categories"]] == list(NAMES.values())
