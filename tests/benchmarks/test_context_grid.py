from xml.etree import ElementTree

import pytest
import torch

from benchmarks.context import __main__ as command
from benchmarks.context.cells import (
    Budget,
    Cell,
    count_called,
    draw_sets,
    moved_by_scene,
    recipe_of,
    run_cell,
    run_lengths,
    write_start,
)
from benchmarks.context.looks import CLASS_NAMES
from benchmarks.context.methods import METHODS, TABLES, config_of
from benchmarks.context.plot import draw_plot
from benchmarks.context.scenes import draw_context_scene
from benchmarks.context.tables import write_tables
from score_hf import ScoreForInstanceSegmentation
from score_hf.data.loading import load_split
from score_hf.loading import load_model
from tests.tiny import tiny_config, tiny_processor

BUDGET = Budget(2, 2, 64, 6, 4, 1e-3)


def cell(method="score", share=0.5, seed=0, right=3):
    counts = {"objects": 5, "found": 4, "right": right}
    kinds = {"look": counts, "surroundings": counts, "sensor": {**counts, "found": 0, "right": 0}}
    figures = {"AP": 0.2 + 0.1 * seed, "AP50": 0.5, "kinds": kinds, "moved_by_scene": 0.0}
    return {"method": method, "share": share, "seed": seed, **figures}


def options(*arguments):
    return command.read_options(["--output", "results.json", *arguments])


def test_every_method_stands_in_a_table_and_can_be_built():
    assert {name for rows in TABLES.values() for name in rows} == set(METHODS)
    assert len({tuple(config_of(name).values()) for name in METHODS}) == len(METHODS)
    for name in METHODS:
        config = tiny_config(**config_of(name))
        assert (config.region_context, config.global_context) == METHODS[name]


def test_the_plan_goes_seed_by_seed():
    budget, cells = command.plan(
        options("--methods", "rai,gca", "--shares", "0,1", "--seeds", "2", "--steps", "7")
    )
    assert budget.steps == 7 and len(cells) == 8
    assert [one.name for one in cells[:4]] == ["rai-0.0-0", "gca-0.0-0", "rai-1.0-0", "gca-1.0-0"]
    assert {one.seed for one in cells[:4]} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "rai,mha"), "`--methods` must be of baseline, .* but got 'mha'"),
        (("--shares", "0,2"), "`--shares` must be numbers from 0 to 1 .* got '0,2'"),
        (("--shares", "half"), "`--shares` must be numbers from 0 to 1 .* got 'half'"),
        (("--train-scenes", "0"), "`--train-scenes` must be positive, but is 0"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        command.plan(options(*arguments))


def test_tables_show_mean_and_spread_of_seeds():
    cells = [cell(seed=seed) for seed in range(3)] + [cell("rai", right=2)]
    tables = write_tables({"budget": {"steps": 7}, "cells": cells})
    rows = [line for line in tables.splitlines() if line.startswith("| RAI")]
    assert rows == [
        "| RAI | 1 | 20.0 | 50.0 | 53.3 | 50.0 | 50.0 |  | 0.0 |",
        "| RAI and GCA | 3 | 30.0 ± 10.0 | 50.0 ± 0.0 | 53.3 ± 0.0 | 75.0 ± 0.0 | 75.0 ± 0.0 |  "
        "| 0.0 ± 0.0 |",
    ]
    assert "37.5 by surroundings and 50.0 by sensor" in tables and "steps 7" in tables
    assert "True attention" not in tables, "what is not there is not shown"


def test_the_plot_is_a_picture_of_what_is_there():
    cells = [cell(share=share, seed=seed) for share in (0.0, 1.0) for seed in (0, 1)]
    plot = ElementTree.fromstring(draw_plot({"budget": {}, "cells": cells}))
    name = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in plot.iter(name + "text")]
    assert {"AP, %", "right by surroundings, %", "right by sensor, %"} <= set(texts)
    assert texts.count("score") == 1 and "rai" not in texts


def test_methods_of_a_seed_start_alike(tmp_path):
    start = write_start(tmp_path / "start", seed=1)
    recipes = [recipe_of(Cell(name, 0.5, 1), BUDGET, tmp_path, start) for name in METHODS]
    for recipe in recipes[1:]:
        different = set(recipe.differences(recipes[0]))
        assert all(name.startswith("model.config.") for name in different)
    model, bundled = load_model(start, device="cpu")[0], load_model("score-tiny", device="cpu")[0]
    assert model.config.frozen_trunks and model.config.alpha == 0
    ours, theirs = model.state_dict(), bundled.state_dict()
    for name in ours:
        is_context = name.startswith(("region_integration.", "global_adaptation."))
        if not is_context:
            assert torch.equal(ours[name], theirs[name]), name
        elif name.endswith("proj.weight"):
            assert not torch.allclose(ours[name], theirs[name]), name


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return draw_sets(0.5, BUDGET, tmp_path_factory.mktemp("context"))


def test_sets_hold_the_scenes(dataset):
    rows = load_split(dataset, "val")
    assert len(rows) == BUDGET.val_scenes and len(load_split(dataset, "train")) == 6
    for row in rows:
        scene = draw_context_scene(row["image_id"], BUDGET.side, 0.5)
        names = [CLASS_NAMES[one["category"]] for one in row["objects"]]
        assert names == scene.class_names


def test_perfect_predictions_are_all_right():
    predictions = []
    for seed in range(1_000_000_000, 1_000_000_000 + BUDGET.val_scenes):
        scene = draw_context_scene(seed, BUDGET.side, 0.5)
        for name, mask in zip(scene.class_names, run_lengths(scene), strict=True):
            category = CLASS_NAMES.index(name) + 1
            entry = {"image_id": seed, "category_id": category, "score": 0.9, "segmentation": mask}
            predictions.append(entry)
    counts = count_called(predictions, 0.5, BUDGET)
    assert sum(one["objects"] for one in counts.values()) == len(predictions)
    assert all(one["objects"] == one["found"] == one["right"] for one in counts.values())
    predictions[0]["category_id"] = predictions[0]["category_id"] % len(CLASS_NAMES) + 1
    counts = count_called(predictions[:-1], 0.5, BUDGET)
    assert sum(one["found"] for one in counts.values()) == len(predictions) - 1
    assert sum(one["right"] for one in counts.values()) == len(predictions) - 2


@pytest.mark.parametrize(
    ("global_context", "moves"),
    [("none", False), ("add", False), ("attention", False), ("tokens", True)],
)
def test_only_tokens_let_another_scene_move_the_best_class(dataset, global_context, moves):
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(tiny_config(global_context=global_context)).eval()
    rows = load_split(dataset, "val")
    with torch.no_grad():
        if global_context == "tokens":
            # As if it had learned to look.
            model.global_adaptation.attention.k_proj.weight.mul_(30)
            model.global_adaptation.attention.out_proj.weight.mul_(10)
    share = moved_by_scene(model, tiny_processor(), rows)
    assert (share > 0) == moves and share < 1


@pytest.mark.slow
def test_a_whole_cell(tmp_path):
    figures = run_cell(Cell("joint-tokens", 0.5, 0), BUDGET, tmp_path)
    assert 0 <= figures["AP"] <= figures["AP50"] <= 1
    assert sum(one["objects"] for one in figures["kinds"].values()) > 0
    assert 0 <= figures["moved_by_scene"] <= 1
