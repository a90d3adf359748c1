"""`docs/reproduce.md` says what the tables do."""

import re
from pathlib import Path

import pytest

from score_hf.tables.paper import TABLES
from score_hf.tables.plan import cells_of
from score_hf.tables.sources import DATA_FOLDERS, WEIGHT_FOLDERS
from score_hf.training.recipe import load_recipe

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^score-hf [^#\n]*[^#\s]", DOCUMENT, re.MULTILINE)


def test_commands_are_those_that_a_table_asks_for():
    for name, command in WEIGHT_FOLDERS.items():
        assert command.format(folder=f"WEIGHTS/{name}") in COMMANDS
    for name, data in DATA_FOLDERS.items():
        command = data.command.format(root="DATA", folder=f"DATA/{name}")
        assert f"score-hf prepare {command}" in COMMANDS


def test_runs_are_those_of_the_plan():
    for number, table in TABLES.items():
        (line,) = re.findall(rf"^\| {number} \| .*$", DOCUMENT, re.MULTILINE)
        runs = dict.fromkeys(cell.run.name for cell in cells_of(table))
        assert re.findall(r"`([a-z_]+-[a-z]+)`", line) == list(runs)


@pytest.mark.parametrize("recipe", ["isaid", "sior", "landdiscover"])
def test_iterations_and_hours(recipe):
    runs = {cell.run for table in TABLES.values() for cell in cells_of(table)}
    number = sum(run.trained_on == recipe for run in runs)
    steps = load_recipe(recipe).steps
    hours = " / ".join(f"{steps * seconds / 3600:.0f}" for seconds in (0.1, 0.2, 0.5))
    title = DATA_FOLDERS[recipe].title
    assert re.search(
        rf"^\| {title} \| {steps:,} \(50 . [\d,]+( images)? / 2\) \| {number} \| {hours} \|$",
        DOCUMENT,
        re.MULTILINE,
    )
