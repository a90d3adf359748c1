import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.parity.__main__ import main
from tests.parity.golden import Entries, unpack_masks
from tests.parity.report import Report
from tests.parity.run import check_folder

FIXTURE = Path(__file__).parent / "fixtures" / "parity"
FIRST_SET = Path(__file__).parents[1].parent / "shared" / "parity" / "A"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_computes_what_the_original_computes():
    report = check_folder(FIXTURE)

    assert report.failed == 0, "\n".join(report.lines())
    # Nothing of these may go missing unnoticed.
    for group in ("ensemble", "instances: boxes", "training: gradients", "optimiser: weights"):
        assert report.groups[group].checks > 0


@pytest.mark.skipif(not FIRST_SET.is_dir(), reason="the whole set of goldens is not at hand")
def test_whole_set_holds():
    report = check_folder(FIRST_SET)

    assert report.failed == 0, "\n".join(report.lines())
    assert report.absent == []


def test_wrong_and_unknown_goldens_fail(tmp_path, capsys):
    folder = tmp_path / "set"
    shutil.copytree(FIXTURE, folder, ignore=shutil.ignore_patterns("train_*", "optim_*"))
    case = folder / "seed202" / "case_mixed.safetensors"
    tensors = load_file(case)
    tensors["final.mask_cls"][0, 0, 0] += 0.01
    tensors["inst.x1.0.classes"][0] = (tensors["inst.x1.0.classes"][0] + 1) % 6
    tensors["dec.0.surprise"] = torch.zeros(1)
    save_file(tensors, case)

    assert main([str(folder)]) == 1

    lines = capsys.readouterr().out.splitlines()
    failed = {line.split("  ")[0] for line in lines if " FAILED " in line}
    assert failed == {
        "all values / original's noise",
        "ensemble",
        "instances: class scores",
        "instances: (query, class) pairs",
        "unchecked keys",
    }
    assert any(line.startswith("absent: seed202/train_soft") for line in lines)
    assert lines[-1].startswith("parity: ") and lines[-1].endswith(", 5 failed")


@pytest.mark.parametrize(
    ("ours", "failed"),
    [
        ([1.0, 2.0], 0),
        ([1.0, 2.05], 0),
        ([1.0, 2.2], 1),
        ([1.0, math.nan], 1),
        ([math.inf, 2.0], 1),
        ([1.0], 1),
    ],
)
def test_report_compares_every_element(ours, failed):
    report = Report()

    report.close("group", "place", torch.tensor(ours), torch.tensor([1.0, 2.0]), 0.1)

    assert report.failed == failed


def test_report_shows_the_worst_of_a_group():
    report = Report()
    report.number("group", "first", 1.0, 10.0)
    report.number("group", "second", 0.5, 1.0)
    report.same("names", "place", ["a"], ["b"])
    with report.guard("crash", "place"):
        raise ValueError("reason")

    assert report.groups["group"].place == "second"
    lines = report.lines()
    assert "failed: names: place: ['a'], not ['b']" in lines
    assert "failed: crash: place: ValueError: reason" in lines
    assert lines[-1] == "parity: 3 groups, 2 failed"


def test_entries_remember_what_was_read():
    entries = Entries({"a": 1, "b": {"c": 2, "d": 3}})

    assert entries["a"] == 1 and "c" in entries["b"] and entries["b"].get("e", 4) == 4

    assert entries.unused() == ["b.c", "b.d"]
    assert dict(entries["b"].items()) == {"c": 2, "d": 3}
    assert entries.unused() == []


def test_masks_are_unpacked_row_by_row():
    packed = torch.tensor([[0b10110000, 0b10000000]], dtype=torch.uint8)

    masks = unpack_masks(packed, 3, 3)

    assert masks.int().tolist() == [[[1, 0, 1], [1, 0, 0], [0, 0, 1]]]
