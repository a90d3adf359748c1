import csv
import io

import pytest

from score_hf.tables.paper import TABLES
from score_hf.tables.render import as_csv, as_markdown, as_rows

BOTH = [
    *(f"iSAID → {name}" for name in ("NWPU", "SOTA", "FAST", "SIOR", "Average")),
    *(f"SIOR → {name}" for name in ("NWPU", "SOTA", "FAST", "iSAID", "Average")),
]
FOUR = ["NWPU", "SOTA", "FAST", "SIOR"]
HEADERS = {
    "1": ["Method", "Numbers of", *BOTH],
    "2": ["RAI", "GCA", "Numbers of", *BOTH],
    "3": ["VLM", "Numbers of", *FOUR],
    "4": ["Choice of Context", "Numbers of", *FOUR],
    "5": ["Method", "Numbers of", *FOUR],
    "6": ["Context VLM", "OV VLM", "Numbers of", *FOUR],
    "A": [
        *("Method", "Numbers of"),
        *(
            f"LandDiscover50K → {name}"
            for name in ("FLAIR", "FAST", "Potsdam", "FloodNet", "Average")
        ),
    ],
}


def nothing(cell):
    return None


@pytest.mark.parametrize("number", list(TABLES))
def test_rows_and_columns(number):
    table = TABLES[number]
    header, *rows = as_rows(table, nothing)
    assert header == HEADERS[number]
    words = len(table.row_heads)
    printed = [row for row in rows if row[words] == "the paper"]
    assert [row[:words] for row in printed] == [list(row.head) for row in table.rows]
    assert [[float(one) for one in row[words + 1 :]] for row in printed] == [
        list(row.printed) for row in table.rows
    ]
    ours = [row for row in rows if row[words] == "score_hf"]
    assert [row[:words] for row in ours] == [
        list(row.head) for row in table.rows if row.variant is not None
    ]
    assert {one for row in ours for one in row[words + 1 :]} == {""}


def test_averages_are_computed_when_all_their_cells_are_there():
    values = {"nwpu": 10.0, "sota": 20.0, "fast": 30.0, "sior": 41.0, "isaid": None}

    def percent(cell):
        return values[cell.tested_on] if cell.run.recipe in ("isaid", "sior") else None

    rows = as_rows(TABLES["2"], percent)
    assert rows[-1][:3] == ["✓", "✓", "score_hf"]
    assert rows[-1][3:] == [
        *("10.00", "20.00", "30.00", "41.00", "25.25"),
        *("10.00", "20.00", "30.00", "", ""),
    ]
    assert set(rows[2][3:]) == {""}


def test_markdown_and_csv_say_the_same():
    def percent(cell):
        return 12.345 if cell.out_of_vocabulary == "context" else None

    rows = as_rows(TABLES["6"], percent)
    assert list(csv.reader(io.StringIO(as_csv(TABLES["6"], percent)))) == rows
    title, _, *lines = as_markdown(TABLES["6"], percent).splitlines()
    assert title.startswith("**Table 6.** Ablation study") and "Mask mAP in percent" in title
    cells = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    assert [*cells[:1], *cells[2:]] == rows
    assert set(lines[1]) == set("| -:") and len({len(line) for line in lines}) == 1
    assert sum(row.count("12.35") + row.count("12.34") for row in rows) == 12


def test_labels_are_measured_by_their_overlap():
    assert "Mean IoU in percent" in as_markdown(TABLES["A"], nothing)
