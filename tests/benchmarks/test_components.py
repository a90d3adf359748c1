import pytest
import torch

from benchmarks.components import __main__ as command
from benchmarks.components.cells import Budget, Cell, recipe_of, run_cell, settle
from benchmarks.components.tables import write_tables
from score_hf import ScoreForInstanceSegmentation
from score_hf.data.readers.drawn import read_drawn
from score_hf.data.writing import write_split
from tests.tiny import tiny_config, tiny_processor


def options(*arguments):
    given = ["--dataset", "isaid", "--test", "nwpu=sets/nwpu", "--output", "results.json"]
    return command.read_options([*given, *arguments])


def test_the_plan_goes_seed_by_seed():
    budget, cells, tests = command.plan(
        options("--methods", "rai,gca", "--seeds", "2", "--test", "isaid=sets/isaid")
    )
    assert budget.start == "score-small-aerial" and budget.recipe == "small_aerial"
    assert [one.name for one in cells] == ["rai-0", "gca-0", "rai-1", "gca-1"]
    assert tests == {"nwpu": "sets/nwpu", "isaid": "sets/isaid"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "rai,add"), "`--methods` must be of baseline, .* but got 'add'"),
        (("--test", "sets/isaid"), "`--test` must be NAME=DIR .* got 'sets/isaid'"),
        (("--test", "nwpu=other"), "`--test` must be NAME=DIR .* got 'nwpu=other'"),
        (("--settling-steps", "0"), "`--settling-steps` must be positive, but is 0"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        command.plan(options(*arguments))


def test_methods_differ_in_nothing_but_their_context():
    budget = Budget("score-tiny", "small_aerial", 1, 2, 2, 1e-3)
    recipes = [recipe_of(Cell(name, 1), budget, "isaid", "start") for name in command.METHODS]
    assert recipes[0].seed == 1 and recipes[0].model.config["frozen_trunks"] is True
    for recipe in recipes[1:]:
        different = set(recipe.differences(recipes[0]))
        assert different <= {"model.config.region_context", "model.config.global_context"}


def test_tables_stand_beside_the_papers_differences():
    def cell(method, seed, score):
        figures = {"AP": score, "AP50": 0.5, "seen": score, "unseen": None}
        return {"method": method, "seed": seed, "nwpu": figures, "isaid": figures, "commit": "abc"}

    cells = [cell("baseline", 0, 0.2), cell("rai", 0, 0.21), cell("rai", 1, 0.25)]
    tables = write_tables({"budget": {"steps": 7, "learning_rate": 1.0}, "cells": cells})
    on_nwpu = tables[tables.index("Tested on nwpu") :].splitlines()
    rows = [line for line in on_nwpu if line.startswith("| RAI")]
    assert rows == ["| RAI | 2 | 23.0 ± 2.8 | 50.0 ± 0.0 | 23.0 ± 2.8 |  | +3.0 | +7.7 |"]
    on_isaid = tables[tables.index("Tested on isaid") : tables.index("Tested on nwpu")]
    assert "| +3.0 |  |" in on_isaid, "the paper has no such column"
    assert "learning rate 1.0" in tables


def test_a_whole_cell_of_tiny_models(tmp_path):
    torch.manual_seed(0)
    start = tmp_path / "start"
    ScoreForInstanceSegmentation(tiny_config()).save_pretrained(start)
    tiny_processor().save_pretrained(start)
    for split in ("train", "val"):
        write_split(read_drawn(split, 3, 96), tmp_path / "drawn")
    dataset = str(tmp_path / "drawn")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {augmentation: {crop_size: 64}}\n")
    budget = Budget(str(start), str(recipe), 1, 2, 2, 1e-3)
    figures = run_cell(Cell("rai", 0), budget, tmp_path / "work", dataset, {"drawn": dataset})
    assert 0 <= figures["drawn"]["AP"] <= figures["drawn"]["AP50"] <= 1
    assert set(figures["drawn"]["per_class"]) and set(figures) == {"drawn"}
    settled = settle(budget, tmp_path / "work", dataset)
    model = ScoreForInstanceSegmentation.from_pretrained(settled)
    assert model.config.region_context == model.config.global_context == "none"
    trained = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "work" / "rai-0" / "last")
    assert trained.config.region_context == "region" and trained.config.global_context == "none"
    before, after = model.state_dict(), trained.state_dict()
    trunks = [name for name in before if name.startswith(("general_trunk.", "context_trunk."))]
    assert trunks and all(torch.equal(before[name], after[name]) for name in trunks)
