"""Where data, weights and runs lie, what of them is there, and the commands that make the rest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..training.recipe import Recipe, load_recipe
from .plan import Cell, Run
from .sources import DATA_FOLDERS, WEIGHT_FOLDERS

State = Literal["done", "begun", "to do"]

# Fields of a recipe that may change while a run goes on: they change how it is computed, not what.
_FREE = {
    "accumulation",
    "gradient_checkpointing",
    "compile",
    "cached_contexts",
    "log_every",
    "checkpoint_every",
    "trackers",
    "data.dataset",
    "data.workers",
    "model.init_from",
}


@dataclass(frozen=True)
class Workspace:
    """The folders of a table.

    Args:
        root: Holds the prepared sets, each in the folder of its name.
        weights: Holds the folders of `score-hf convert`.
        output: Holds the runs.
        changes: What differs from the recipes, such as "steps=1000".
    """

    root: Path
    weights: Path
    output: Path
    changes: tuple[str, ...] = ()

    def recipe(self, run: Run) -> Recipe:
        """Reads the recipe of a run, changes included."""
        return load_recipe(run.recipe, self.changes)

    def model(self, run: Run) -> Path:
        """Says where the trained model will lie."""
        return self.output / run.name / "models" / f"step-{self.recipe(run).steps:08d}"

    def metrics(self, cell: Cell) -> Path:
        """Says where an evaluation's figures will lie."""
        return self.output / cell.run.name / "evaluations" / f"{cell.evaluation}.json"

    def train_command(self, run: Run) -> list[str]:
        """Returns the module and options that train, or go on training."""
        return [
            "score_hf.training.train",
            run.recipe,
            *("--dataset", str(self.root / run.trained_on)),
            *("--split", str(DATA_FOLDERS[run.trained_on].train_split)),
            *("--init-from", str(self.weights / run.weights)),
            *("--output", str(self.output / run.name)),
            "--resume",
            *(part for change in self.changes for part in ("--set", change)),
        ]

    def evaluate_command(self, cell: Cell) -> list[str]:
        """Returns the module and options that test."""
        data = DATA_FOLDERS[cell.tested_on]
        alpha, beta = cell.ensemble
        command = [
            "score_hf.training.evaluate",
            *("--model", str(self.model(cell.run))),
            *("--dataset", str(self.root / cell.tested_on)),
            *("--split", str(data.test_split)),
            *("--alpha", str(alpha)),
            *("--beta", str(beta)),
            *("--out-of-vocabulary", cell.out_of_vocabulary),
            *("--output", str(self.metrics(cell))),
        ]
        if cell.out_of_vocabulary == "context":
            command += ["--context-text-from", str(self.weights / cell.run.weights)]
        if data.extra_names:
            command += ["--extra-names", ", ".join(data.extra_names)]
        return command

    def run_state(self, run: Run) -> State:
        """Says how far a training is."""
        if (self.model(run) / "config.json").is_file():
            return "done"
        begun = any((self.output / run.name / "checkpoints").glob("step-*"))
        return "begun" if begun else "to do"

    def cell_state(self, cell: Cell) -> State:
        """Says how far an evaluation is."""
        if self._figures(cell) is not None:
            return "done"
        metrics = self.metrics(cell)
        return "begun" if metrics.with_name(f"{metrics.stem}-predictions").is_dir() else "to do"

    def percent(self, cell: Cell) -> float | None:
        """Returns the number of a cell; None if it is not there yet, or nothing could be tested."""
        value = (self._figures(cell) or {}).get(cell.metric)
        return 100 * value if isinstance(value, int | float) else None

    def _figures(self, cell: Cell) -> dict[str, Any] | None:
        """Figures that were measured as the cell wants it, of the model at the end of its run."""
        figures = _read(self.metrics(cell))
        settings = figures.get("settings")
        settings = settings if isinstance(settings, dict) else {}
        wanted = {
            "alpha": cell.ensemble[0],
            "beta": cell.ensemble[1],
            "out_of_vocabulary": cell.out_of_vocabulary,
        }
        fits = all(settings.get(name) == value for name, value in wanted.items())
        of_model = Path(str(settings.get("model"))).name == self.model(cell.run).name
        return figures if fits and of_model else None

    def problems(self, cells: Sequence[Cell]) -> list[str]:
        """Finds everything that is missing before anything can run.

        Args:
            cells: What is wanted.

        Returns:
            A line for each fault, with the command that helps. What is done needs nothing more,
            but must be of the recipe that is wanted.
        """
        open_cells = [cell for cell in cells if self.cell_state(cell) != "done"]
        runs = list(dict.fromkeys(cell.run for cell in open_cells))
        training = [run for run in runs if self.run_state(run) != "done"]
        splits = {(run.trained_on, DATA_FOLDERS[run.trained_on].train_split) for run in training}
        splits |= {(cell.tested_on, DATA_FOLDERS[cell.tested_on].test_split) for cell in open_cells}
        pairs = {run.weights for run in training}
        with_text = {cell.run.weights for cell in open_cells if cell.out_of_vocabulary == "context"}
        return [
            *self._missing_sets(splits),
            *self._missing_weights(pairs | with_text, with_text),
            *(
                fault
                for run in dict.fromkeys(cell.run for cell in cells)
                for fault in self._other_recipe(run)
            ),
        ]

    def _missing_sets(self, wanted: set[tuple[str, str | None]]) -> list[str]:
        by_command: dict[str, list[str]] = {}
        faults = []
        # In the order of the paper, not of a set.
        for name, data in DATA_FOLDERS.items():
            folder = self.root / name
            command = data.command.format(root=self.root, folder=folder)
            for split in (data.train_split, data.test_split):
                if split is None or (name, split) not in wanted:
                    continue
                if not any((folder / "data").glob(f"{split}-*-of-*.parquet")):
                    by_command.setdefault(command, []).append(f"{folder} ({split})")
                elif _read(folder / f"summary-{split}.json").get("kind", data.kind) != data.kind:
                    faults.append(
                        f"{folder} ({split}) is no {data.kind} set; prepare it by "
                        f"`score-hf prepare {command}`"
                    )
        missing = [
            f"{', '.join(places)}: `score-hf prepare {command}`"
            for command, places in by_command.items()
        ]
        return missing + faults

    def _missing_weights(self, wanted: set[str], with_text: set[str]) -> list[str]:
        faults = []
        for name, command in WEIGHT_FOLDERS.items():
            folder = self.weights / name
            command = command.format(folder=folder)
            if name not in wanted:
                continue
            config = _read(folder / "config.json")
            if not config:
                faults.append(f"{folder}: `{command}`")
            elif name in with_text and config.get("out_of_vocabulary") != "context":
                faults.append(
                    f"{folder} lacks the text tower of its remote-sensing CLIP: "
                    f"`{command} --overwrite`"
                )
        return faults

    def _other_recipe(self, run: Run) -> list[str]:
        path = self.output / run.name / "recipe.yaml"
        if not path.is_file():
            return []
        known, wanted = load_recipe(path), self.recipe(run)
        for name in sorted(set(wanted.differences(known)) - _FREE):
            return [
                f"{path.parent} holds a run with {name} {_value(known, name)} instead of "
                f"{_value(wanted, name)}: give another --output, or the same --set as before"
            ]
        return []


def _value(recipe: Recipe, name: str) -> Any:
    value: Any = recipe.as_dict()
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _read(path: Path) -> dict[str, Any]:
    """Reads a JSON file; what is not there or not whole has nothing in it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
