"""Tables from data to numbers, on drawn sets with a tiny model."""

import csv
import json
import shutil
import sys

import pytest
import torch
from accelerate.state import AcceleratorState
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation
from score_hf.cli import app
from score_hf.data.readers.drawn import read_drawn
from score_hf.data.writing import write_split
from score_hf.tables import run as running
from score_hf.tables.sources import DATA_FOLDERS
from score_hf.training import evaluate, train
from tests.evaluation.made_sets import semantic_set, write_set
from tests.tiny import tiny_config, tiny_processor

CHANGES = (
    "steps=2",
    "mixed_precision=no",
    "trackers=[]",
    "data.workers=0",
    "data.augmentation.crop_size=96",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("tables")
    for name in ("isaid", "sior", "nwpu", "sota", "fast"):
        for split in ("train", "val") if name in ("isaid", "sior") else ("val",):
            write_split(read_drawn(split, 3, 128), base / "data" / name)
    for name, data in DATA_FOLDERS.items():
        if data.kind == "semantic":
            split = data.test_split or data.train_split
            write_set(base / "data" / name, semantic_set(2), str(split))
    torch.manual_seed(0)
    for name in ("remoteclip", "skyclip"):
        model = ScoreForInstanceSegmentation(tiny_config(out_of_vocabulary="context"))
        model.save_pretrained(base / "weights" / name)
        tiny_processor().save_pretrained(base / "weights" / name)
    return base


@pytest.fixture(autouse=True)
def environment(monkeypatch, folders):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folders / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")


def table(folders, number, *arguments):
    given = (
        *("table", number, "--root", folders / "data", "--weights", folders / "weights"),
        *("--output", folders / "runs", *arguments),
        *(part for change in CHANGES for part in ("--set", change)),
    )
    return CliRunner().invoke(app, list(map(str, given)))


@pytest.fixture
def here(monkeypatch):
    """Runs trainings and evaluations in this process: importing takes longer than they do."""
    commands = []

    def launch(command, launch_options):
        module, *arguments = command
        commands.append(module.rpartition(".")[2])
        AcceleratorState._reset_state(reset_partial_state=True)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        try:
            (train if module.endswith("train") else evaluate).main()
        except SystemExit as error:
            assert error.code in (None, 0), error.code
        return 0

    monkeypatch.setattr(running, "_launch", launch)
    return commands


def rows_of(folders, number):
    text = (folders / "runs" / f"table-{number}.csv").read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))


def test_whole_table(folders, here):
    done = table(folders, "5")
    assert done.exit_code == 0, done.output
    assert here.count("train") == 4 and here.count("evaluate") == 16
    own = {row[0]: row[2:] for row in rows_of(folders, "5") if row[1] == "score_hf"}
    assert list(own) == ["w/o injection", "add", "concat", "MHA"]
    for recipe, numbers in zip(("_rai", "_add", "_concat", ""), own.values(), strict=True):
        for name, number in zip(("nwpu", "sota", "fast", "sior"), numbers, strict=True):
            run = folders / "runs" / f"isaid{recipe}-remoteclip"
            figures = json.loads((run / "evaluations" / f"{name}.json").read_text())
            assert number == f"{100 * figures['AP']:.2f}"
            assert figures["num_images"] == 3
        config = json.loads((run / "last" / "config.json").read_text())
        assert config["out_of_vocabulary"] == "general"
    # The same training with its remote-sensing CLIP out of vocabulary.
    here.clear()
    done = table(folders, "6", "--only", "isaid-remoteclip")
    assert done.exit_code == 0, done.output
    assert here == ["evaluate"] * 4
    settings = json.loads((run / "evaluations" / "nwpu-context.json").read_text())["settings"]
    assert settings["out_of_vocabulary"] == "context"


def test_labels(folders, here):
    done = table(folders, "A")
    assert done.exit_code == 0, done.output
    assert here == ["train"] + ["evaluate"] * 4
    (*_, average) = numbers = [float(one) for one in rows_of(folders, "A")[-1][2:]]
    assert average == pytest.approx(sum(numbers[:4]) / 4, abs=0.01) and len(numbers) == 5
    evaluations = folders / "runs" / "landdiscover-remoteclip" / "evaluations"
    settings = json.loads((evaluations / "floodnet.json").read_text())["settings"]
    assert settings["task"] == "semantic" and settings["extra_names"] == ["Background"]


def test_launched(folders):
    """One run and one cell as users get them; tested again without training again."""
    done = table(folders, "6", "--only", "isaid-skyclip/nwpu-context")
    assert done.exit_code == 0, done.output
    rows = rows_of(folders, "6")
    assert rows[2][:3] == ["SkyCLIP", "SkyCLIP", "score_hf"]
    assert rows[2][3] != "" and rows[2][4:] == ["", "", ""]
    log = folders / "runs" / "isaid-skyclip" / "log.jsonl"
    before = log.read_text()
    shutil.rmtree(folders / "runs" / "isaid-skyclip" / "evaluations")
    done = table(folders, "6", "--only", "isaid-skyclip/nwpu-context")
    assert done.exit_code == 0 and rows_of(folders, "6") == rows
    assert log.read_text() == before
