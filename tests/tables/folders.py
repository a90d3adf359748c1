"""Folders that look prepared, converted, trained and tested, as far as a table looks at them."""

import json
from pathlib import Path

import yaml

from score_hf.tables.plan import Cell, Run
from score_hf.tables.sources import DATA_FOLDERS, WEIGHT_FOLDERS
from score_hf.tables.workspace import Workspace


def prepare(root: Path, *names: str) -> None:
    for name in names or DATA_FOLDERS:
        data = DATA_FOLDERS[name]
        (root / name / "data").mkdir(parents=True)
        for split in filter(None, (data.train_split, data.test_split)):
            (root / name / "data" / f"{split}-00000-of-00001.parquet").touch()
            (root / name / f"summary-{split}.json").write_text(json.dumps({"kind": data.kind}))


def convert(weights: Path, out_of_vocabulary: str = "context") -> None:
    for name in WEIGHT_FOLDERS:
        (weights / name).mkdir(parents=True)
        config = {"out_of_vocabulary": out_of_vocabulary}
        (weights / name / "config.json").write_text(json.dumps(config))


def begin(workspace: Workspace, run: Run) -> None:
    folder = workspace.output / run.name
    (folder / "checkpoints" / "step-00000001").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(workspace.recipe(run).as_dict()))


def train(workspace: Workspace, run: Run) -> None:
    begin(workspace, run)
    workspace.model(run).mkdir(parents=True)
    (workspace.model(run) / "config.json").write_text("{}")


def measure(workspace: Workspace, cell: Cell, value: float | None, **settings) -> None:
    alpha, beta = cell.ensemble
    measured = {
        "model": str(workspace.model(cell.run)),
        "alpha": alpha,
        "beta": beta,
        "out_of_vocabulary": cell.out_of_vocabulary,
        **settings,
    }
    path = workspace.metrics(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({cell.metric: value, "settings": measured}))
