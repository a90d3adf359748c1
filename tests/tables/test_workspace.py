import json
import shlex

import pytest
import typer.main

from score_hf.cli import app
from score_hf.tables.paper import TABLES
from score_hf.tables.plan import cells_of
from score_hf.tables.sources import DATA_FOLDERS, WEIGHT_FOLDERS
from score_hf.tables.workspace import Workspace
from score_hf.training.train import read_options, recipe_of
from tests.tables import folders


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "data", tmp_path / "weights", tmp_path / "runs", ("steps=30",))


@pytest.fixture
def complete(workspace):
    folders.prepare(workspace.root)
    folders.convert(workspace.weights)
    return workspace


@pytest.mark.parametrize("number", list(TABLES))
def test_nothing_is_missing(complete, number):
    assert complete.problems(cells_of(TABLES[number])) == []


def test_everything_that_is_missing_is_told_at_once(workspace):
    root, weights = workspace.root, workspace.weights
    assert workspace.problems(cells_of(TABLES["1"])) == [
        f"{root}/isaid (train), {root}/isaid (val), {root}/sior (train), {root}/sior (val), "
        f"{root}/nwpu (val), {root}/sota (val), {root}/fast (val): "
        f"`score-hf prepare score --root RAW --output {root}`",
        f"{weights}/remoteclip: `score-hf convert --out-of-vocabulary context "
        f"-o {weights}/remoteclip`",
    ]
    sets = ("landdiscover", "flair", "fast_semantic", "potsdam", "floodnet")
    told = workspace.problems(cells_of(TABLES["A"]))
    assert [line.partition(" (")[0] for line in told[:5]] == [f"{root}/{name}" for name in sets]
    assert f"--subset fast --semantic --split val --output {root}/fast_semantic`" in told[2]


def commands() -> list[str]:
    prepared = {f"score-hf prepare {data.command}" for data in DATA_FOLDERS.values()}
    return sorted({*prepared, *WEIGHT_FOLDERS.values()})


@pytest.mark.parametrize("command", commands())
def test_commands_that_help_can_be_parsed(command):
    known = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    while words and not words[0].startswith("-"):
        known = known.commands[words.pop(0)]  # type: ignore[attr-defined]
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_labels_in_place_of_objects(complete):
    (complete.root / "fast" / "summary-val.json").write_text('{"kind": "semantic"}')
    (told,) = complete.problems(cells_of(TABLES["1"]))
    assert told.startswith(f"{complete.root}/fast (val) is no instance set; prepare it by")


def test_table_6_needs_both_text_towers(workspace):
    folders.prepare(workspace.root)
    folders.convert(workspace.weights, "general")
    assert workspace.problems(cells_of(TABLES["3"])) == []
    told = workspace.problems(cells_of(TABLES["6"]))
    assert len(told) == 3 and all("lacks the text tower" in line for line in told)
    assert told[0].endswith("--overwrite`")


def test_what_is_done_needs_nothing(workspace):
    cells = cells_of(TABLES["6"], ["isaid-skyclip"])
    for cell in cells:
        folders.measure(workspace, cell, 0.5)
    assert workspace.problems(cells) == []
    assert {workspace.percent(cell) for cell in cells} == {50.0}


def test_states(workspace):
    (cell,) = cells_of(TABLES["5"], ["isaid_add-remoteclip/fast"])
    assert (workspace.run_state(cell.run), workspace.cell_state(cell)) == ("to do", "to do")
    folders.begin(workspace, cell.run)
    assert workspace.run_state(cell.run) == "begun"
    workspace.model(cell.run).with_name("step-00000020").mkdir(parents=True)
    assert workspace.run_state(cell.run) == "begun"
    (workspace.metrics(cell).parent / "fast-predictions").mkdir(parents=True)
    assert workspace.cell_state(cell) == "begun"
    folders.measure(workspace, cell, None)
    assert workspace.cell_state(cell) == "done" and workspace.percent(cell) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0.3},
        {"beta": 0.3},
        {"out_of_vocabulary": "context"},
        {"model": "runs/isaid-remoteclip/models/step-00000020"},
        {"model": None},
    ],
)
def test_figures_of_something_else_do_not_count(workspace, settings):
    cell = cells_of(TABLES["1"])[0]
    folders.measure(workspace, cell, 0.5, **settings)
    assert workspace.cell_state(cell) == "to do" and workspace.percent(cell) is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"AP": 0.5', '{"AP": 0.5, "settings": [1]}', "[" * 100_000]
)
def test_damaged_figures_do_not_count(workspace, content):
    cell = cells_of(TABLES["1"])[0]
    folders.measure(workspace, cell, 0.5)
    workspace.metrics(cell).write_text(content)
    assert workspace.percent(cell) is None


def test_a_run_with_another_recipe_is_not_gone_on_with(complete):
    cells = cells_of(TABLES["1"], ["isaid-*"])
    folders.train(complete, cells[0].run)
    assert complete.problems(cells) == []
    other = Workspace(complete.root, complete.weights, complete.output, ("steps=40",))
    (told,) = other.problems(cells)
    assert told.startswith(f"{complete.output}/isaid-remoteclip holds a run with steps 30 instead")
    for cell in cells:
        folders.measure(complete, cell, 0.5)
    faster = (*complete.changes, "optimizer.learning_rate=1.0")
    other = Workspace(complete.root, complete.weights, complete.output, faster)
    (told,) = other.problems(cells)
    assert "optimizer.learning_rate 1.25e-05 instead of 1.0" in told
    places = complete.root / "moved", complete.weights / "moved"
    folders.prepare(places[0])
    folders.convert(places[1])
    free = ("steps=30", "data.workers=0", "accumulation=2", "trackers=[]")
    assert Workspace(*places, complete.output, free).problems(cells) == []


def test_training_gets_recipe_data_and_weights(complete):
    (cell,) = cells_of(TABLES["2"], ["sior_gca-remoteclip/isaid"])
    module, *arguments = complete.train_command(cell.run)
    assert module == "score_hf.training.train"
    options = read_options(arguments)
    assert options.resume and options.output == complete.output / "sior_gca-remoteclip"
    recipe = recipe_of(options)
    assert recipe.data.dataset == str(complete.root / "sior") and recipe.data.split == "train"
    assert recipe.model.init_from == str(complete.weights / "remoteclip")
    assert recipe.steps == 30
    assert recipe.model.config["region_context"] == "none"


def test_evaluation_gets_its_ensemble(complete):
    def options(number, pattern):
        (cell,) = cells_of(TABLES[number], [pattern])
        module, *words = complete.evaluate_command(cell)
        assert module == "score_hf.training.evaluate"
        known = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
        pairs = dict(zip(words[::2], words[1::2], strict=True))
        assert set(pairs) <= {option for parameter in known.params for option in parameter.opts}
        return pairs

    general = options("1", "isaid-remoteclip/sota")
    assert (general["--alpha"], general["--beta"]) == ("0.0", "0.4")
    assert general["--out-of-vocabulary"] == "general" and "--context-text-from" not in general
    assert general["--model"].endswith("runs/isaid-remoteclip/models/step-00000030")
    context = options("6", "isaid-skyclip/fast-context")
    assert context["--out-of-vocabulary"] == "context"
    assert context["--context-text-from"] == str(complete.weights / "skyclip")
    assert context["--output"] != options("6", "isaid-skyclip/fast")["--output"]
    labels = options("A", "*/floodnet")
    assert (labels["--split"], labels["--extra-names"]) == ("val_test", "Background")


def test_figures_on_disk_are_those_that_evaluation_writes():
    """The names that a table looks for are those of `score-hf evaluate`."""
    from score_hf import ScoreForInstanceSegmentation
    from score_hf.evaluation.evaluator import evaluate_model
    from tests.evaluation.made_sets import instance_set, semantic_set
    from tests.tiny import tiny_config, tiny_processor

    model = ScoreForInstanceSegmentation(tiny_config())
    for made, metric in ((instance_set(1), "AP"), (semantic_set(1), "mIoU")):
        figures = json.loads(
            json.dumps(evaluate_model(model, tiny_processor(), made, progress=False))
        )
        assert metric in figures
        assert {"alpha", "beta", "out_of_vocabulary"} <= set(figures["settings"])
