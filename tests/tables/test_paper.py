import re
from pathlib import Path

import pytest

from score_hf.tables.paper import TABLES

PAPER = Path(__file__).parents[3] / "shared" / "paper" / "score_paper.md"
# Table, row and column of printed averages that are not the mean of their row.
ODD_AVERAGES = {("1", "SCORE (Ours)", "sior"), ("2", "✗ ✓", "sior"), ("2", "✓ ✓", "sior")}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_averages_are_means(table):
    odd = set()
    for row in table.rows:
        assert len(row.head) == len(table.row_heads)
        numbers = dict(zip(table.columns, row.printed, strict=True))
        for column, printed in numbers.items():
            if column.tested_on is not None:
                continue
            parts = [
                value
                for other, value in numbers.items()
                if other.tested_on is not None and other.trained_on == column.trained_on
            ]
            assert len(parts) == 4
            if abs(printed - sum(parts) / 4) > 0.0051:
                odd.add((table.number, " ".join(row.head), column.trained_on))
    assert odd == {place for place in ODD_AVERAGES if place[0] == table.number}


def printed_lines() -> list[list[str]]:
    if not PAPER.is_file():
        pytest.skip("needs the text of the paper")
    lines = [line for line in PAPER.read_text(encoding="utf-8").splitlines() if "\t" in line]
    plain = [re.sub(r"</?b>|\[\w+\]", "", line) for line in lines]
    return [[part.strip() for part in line.split("\t")] for line in plain]


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_numbers_are_those_of_the_text(table):
    lines = printed_lines()
    for row in table.rows:
        numbers = list(row.printed)
        candidates = [
            line[: -len(numbers)]
            for line in lines
            if line[-len(numbers) :] and _floats(line[-len(numbers) :]) == numbers
        ]
        # Table 6 does not repeat the name of the context VLM.
        name = row.head[-1].removeprefix("[CLS] ")
        assert any(heads and name in heads[-1] for heads in candidates), row


def _floats(parts: list[str]) -> list[float] | None:
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def test_columns_are_those_of_the_text():
    lines = printed_lines()
    both = ["NWPU", "SOTA", "FAST", "SIOR", "Average", "NWPU", "SOTA", "FAST", "iSAID", "Average"]
    assert ["RAI", "GCA", *both] in lines
    assert ["", *both] in lines
    for heads in (["VLM"], ["Choice of Context"], ["Method"], ["Context VLM", "OV VLM"]):
        assert [*heads, "NWPU", "SOTA", "FAST", "SIOR"] in lines
    semantic = ["FLAIR", "FAST", "Potsdam", "FloodNet", "Average"]
    assert ["", *semantic] in lines
