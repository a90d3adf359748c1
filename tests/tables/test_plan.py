from collections import Counter

import pytest

from score_hf.modeling.configuration_score import ScoreConfig
from score_hf.tables.paper import TABLES
from score_hf.tables.plan import cell_of, cells_of
from score_hf.tables.sources import DATA_FOLDERS, WEIGHT_FOLDERS
from score_hf.training.recipe import load_recipe
from score_hf.training.recipe_files import recipe_names

RUNS = {
    "1": ["isaid-remoteclip", "sior-remoteclip"],
    "2": [
        *(f"isaid{part}-remoteclip" for part in ("_baseline", "_rai", "_gca", "")),
        *(f"sior{part}-remoteclip" for part in ("_baseline", "_rai", "_gca", "")),
    ],
    "3": ["isaid-clip", "isaid-skyclip", "isaid-georsclip", "isaid-remoteclip"],
    "4": ["isaid_cls-remoteclip", "isaid_intermediate-remoteclip", "isaid-remoteclip"],
    "5": [f"isaid{part}-remoteclip" for part in ("_rai", "_add", "_concat", "")],
    "6": ["isaid-skyclip", "isaid-georsclip", "isaid-remoteclip"],
    "A": ["landdiscover-remoteclip"],
}
# Region-Aware Integration and Global Context Adaptation.
PAPER_MODEL = ("region", "attention")
VARIANTS = {
    "_baseline": ("none", "none"),
    "_rai": ("region", "none"),
    "_gca": ("none", "attention"),
    "_cls": ("cls", "attention"),
    "_intermediate": ("intermediate", "attention"),
    "_add": ("region", "add"),
    "_concat": ("region", "concat"),
}


def run_names(number: str) -> list[str]:
    return list(dict.fromkeys(cell.run.name for cell in cells_of(TABLES[number])))


@pytest.mark.parametrize("number", list(TABLES))
def test_runs_of_a_table(number):
    assert run_names(number) == RUNS[number]
    cells = Counter(cell.run.name for cell in cells_of(TABLES[number]))
    per_run = 8 if number == "6" else 4
    assert set(cells.values()) == {per_run}


def test_one_run_serves_all_tables():
    everything = {cell.run for table in TABLES.values() for cell in cells_of(table)}
    assert len(everything) == 16
    last = [
        [cell_of(table, table.rows[-1], column) for column in table.columns[:4]]
        for number, table in TABLES.items()
        if number != "A"
    ]
    assert all(cells == last[0] for cells in last)
    injected = cells_of(TABLES["5"], ["isaid_rai-*"])
    assert injected == cells_of(TABLES["2"], ["isaid_rai-*"])
    assert set(cells_of(TABLES["3"], ["isaid-skyclip"])) < set(cells_of(TABLES["6"]))


def test_methods_of_others_and_averages_are_no_cells():
    for table in TABLES.values():
        for row in table.rows:
            for column in table.columns:
                cell = cell_of(table, row, column)
                assert (cell is None) == (row.variant is None or column.tested_on is None)
    names = {row.head[0] for number in "1A" for row in TABLES[number].rows if row.variant is None}
    assert names == {"ODISE", "FC-CLIP", "MAFT+", "ZoRI", "CAT-SEG", "GSNet"}


def test_recipes_state_what_the_tables_vary():
    paper = ScoreConfig()
    assert (paper.region_context, paper.global_context) == PAPER_MODEL
    runs = {cell.run for table in TABLES.values() for cell in cells_of(table)}
    assert {run.recipe for run in runs} == set(recipe_names()) - {"drawn", "small_aerial"}
    for run in runs:
        changes = dict(load_recipe(run.recipe).model.config)
        base = load_recipe(run.trained_on)
        variant = VARIANTS.get(run.recipe.removeprefix(run.trained_on), PAPER_MODEL)
        config = ScoreConfig(**changes)
        assert (config.region_context, config.global_context) == variant
        changes = {**changes, **base.model.config}
        names = {"region_context", "global_context", "intermediate_layer"}
        assert {name: changes[name] for name in changes if name not in names} == base.model.config
        assert load_recipe(run.recipe).steps == base.steps
        assert config.out_of_vocabulary == "general"


def test_ensembles_are_the_authors_where_these_are_known():
    found = {
        (cell.run.trained_on, cell.tested_on): cell.ensemble
        for table in TABLES.values()
        for cell in cells_of(table)
    }
    assert found["isaid", "sota"] == (0.0, 0.4) and found["sior", "nwpu"] == (0.2, 0.6)
    own = {cell for cell in cells_of(TABLES["A"]) if not cell.is_authors_ensemble}
    assert len(own) == 4 and {cell.ensemble for cell in own} == {(0.4, 0.8)}
    assert all(cell.is_authors_ensemble for n in "123456" for cell in cells_of(TABLES[n]))


def test_sources_are_known():
    for table in TABLES.values():
        for cell in cells_of(table):
            assert DATA_FOLDERS[cell.run.trained_on].train_split == "train"
            assert DATA_FOLDERS[cell.tested_on].test_split is not None
            assert cell.run.weights in WEIGHT_FOLDERS
            kind = "semantic" if table.metric == "mIoU" else "instance"
            assert DATA_FOLDERS[cell.tested_on].kind == kind
    assert DATA_FOLDERS["floodnet"].extra_names == ("Background",)


def test_only_some():
    def names(*only):
        return [cell.name for cell in cells_of(TABLES["6"], only)]

    assert names("isaid-skyclip/nwpu*") == ["isaid-skyclip/nwpu-context", "isaid-skyclip/nwpu"]
    assert len(names("*/sota", "*/fast-context")) == 6
    assert len(names("isaid-remoteclip")) == 8
    with pytest.raises(ValueError, match=r"`only` 'sior\*' is in table 6 no run \(isaid-skyclip"):
        names("isaid-skyclip", "sior*")
