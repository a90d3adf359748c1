import json
from dataclasses import dataclass

import pytest

from benchmarks.grid import fill
from benchmarks.spread import mean_and_spread, percent


@dataclass(frozen=True)
class Budget:
    steps: int


@dataclass(frozen=True)
class Cell:
    method: str
    seed: int

    @property
    def name(self):
        return f"{self.method}-{self.seed}"


def test_finished_cells_are_not_made_again(tmp_path):
    made = []

    def run(cell, budget, work):
        made.append(cell.name)
        (work / cell.name).mkdir(parents=True)
        return {"AP": 0.5}

    output, cells = tmp_path / "deep" / "results.json", [Cell("rai", 0), Cell("rai", 1)]
    fill(Budget(2), cells[:1], output, tmp_path / "work", run)
    results = fill(Budget(2), cells, output, tmp_path / "work", run)
    assert made == ["rai-0", "rai-1"]
    assert results == json.loads(output.read_text())
    assert [one["seed"] for one in results["cells"]] == [0, 1]
    assert {"AP", "seconds", "cpu_seconds", "finished", "commit"} <= set(results["cells"][0])
    assert not list((tmp_path / "work").rglob("rai-*")), "trainings are removed"
    with pytest.raises(ValueError, match=r"`--output` .* holds results of another budget"):
        fill(Budget(3), cells, output, tmp_path / "work", run)


def test_a_cell_that_fails_loses_none_before(tmp_path):
    def run(cell, budget, work):
        (work / cell.name).mkdir(parents=True)
        if cell.seed == 1:
            raise OSError("disk full")
        return {"AP": 0.5}

    output, cells = tmp_path / "results.json", [Cell("rai", seed) for seed in range(3)]
    with pytest.raises(OSError, match="disk full"):
        fill(Budget(2), cells, output, tmp_path / "work", run)
    assert [one["seed"] for one in json.loads(output.read_text())["cells"]] == [0]
    assert (tmp_path / "work" / "2" / "rai-1").is_dir(), "what it has made so far stays"


def test_mean_and_spread():
    assert mean_and_spread([]) is None and mean_and_spread([None]) is None
    assert mean_and_spread([0.25, None]) == (0.25, None)
    assert mean_and_spread([0.1, 0.3]) == pytest.approx((0.2, 0.1 * 2**0.5))
    assert percent([0.1, 0.3]) == "20.0 ± 14.1" and percent([0.25]) == "25.0" and not percent([])
