"""`docs/paper_and_code.md` names fields, values and commands that there are."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.context.__main__ import plan, read_options
from score_hf import ScoreConfig
from score_hf.training.recipe import load_recipe

DOCUMENT = (Path(__file__).parents[2] / "docs" / "paper_and_code.md").read_text()
TYPES = {field.name: field.type for field in fields(ScoreConfig)}


def test_fields_and_their_values_exist():
    named = re.findall(r'`(\w+)="([a-z]+)"`', DOCUMENT)
    assert {"global_context", "region_context", "region_kernel", "batch_padding"} <= {
        name for name, _ in named
    }
    for name, value in named:
        assert value in get_args(TYPES[name]), (name, value)


@pytest.mark.parametrize("change", re.findall(r"train (\w+) --set (\S+)", DOCUMENT))
def test_trainings_can_be_begun(change):
    recipe, setting = change
    config = load_recipe(recipe, [setting]).model.config
    name, _, value = setting.removeprefix("model.config.").partition("=")
    assert config[name] == value


def test_the_grid_is_as_large_as_it_says():
    (command,) = re.findall(r"python -m benchmarks.context (--.+)", DOCUMENT)
    _, cells = plan(read_options(shlex.split(command)))
    assert f"{len(cells)} trainings" in DOCUMENT
