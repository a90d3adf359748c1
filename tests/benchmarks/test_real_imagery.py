import json
from pathlib import Path

import pytest
import torch

from benchmarks.real_imagery import measure, read_tests, write_tables
from score_hf import ScoreForInstanceSegmentation
from score_hf.data.readers.drawn import read_drawn
from score_hf.data.writing import write_split
from tests.tiny import tiny_config, tiny_processor


def test_tests_are_read_by_name():
    assert read_tests(["a b=c/d", "e=f,g.txt"]) == {
        "a b": ("c/d", None),
        "e": ("f", Path("g.txt")),
    }


@pytest.mark.parametrize("entries", [["sets/nwpu"], ["=a"], ["a="], ["a=b,"], ["a=b", "a=c"]])
def test_what_is_no_test_is_told(entries):
    with pytest.raises(ValueError, match=r"`--test` must be NAME=DIR or NAME=DIR,FILE .* got"):
        read_tests(entries)


def test_a_finished_test_is_not_made_again(tmp_path):
    torch.manual_seed(0)
    model = tmp_path / "model"
    ScoreForInstanceSegmentation(tiny_config()).save_pretrained(model)
    tiny_processor().save_pretrained(model)
    write_split(read_drawn("val", 2, 96), tmp_path / "drawn")
    names = tmp_path / "names.txt"
    classes = json.loads((tmp_path / "drawn" / "summary-val.json").read_text())["class_names"]
    names.write_text("".join(f"my {name}\n" for name in classes))
    output = tmp_path / "results" / "tiny.json"
    first = measure(str(model), {"own names": (str(tmp_path / "drawn"), None)}, output)
    tests = {"own names": ("nowhere", None), "others": (str(tmp_path / "drawn"), names)}
    both = measure(str(model), tests, output)
    assert both == json.loads(output.read_text()) and list(both["tests"]) == list(tests)
    assert both["tests"]["own names"] == first["tests"]["own names"]
    assert both["tests"]["others"]["asked"][classes[0]].startswith("my ")
    assert list(output.parent.iterdir()) == [output], "nothing is left behind"

    torch.manual_seed(1)
    ScoreForInstanceSegmentation(tiny_config()).save_pretrained(model)
    other = measure(str(model), {"others": (str(tmp_path / "drawn"), names)}, output)
    assert list(other["tests"]) == ["others"], "figures of other weights do not stay"


def test_tables_show_percent_class_by_class():
    test = {
        "num_images": 3,
        **dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl", "AR", "seen"), 0.25),
        "unseen": None,
        "objects": {"Small_Vehicle": 7},
        "asked": {"Small_Vehicle": "small vehicle, car"},
        "per_class": {"Small_Vehicle": 0.25},
        "per_class_AP50": {"Small_Vehicle": 0.5},
    }
    lines = write_tables({"tests": {"tiles": test}}).splitlines()
    assert lines[0].endswith("| AR | AP seen | AP unseen |")
    assert lines[2] == "| tiles | 3 |" + " 25.0 |" * 8 + "  |"
    assert lines[-1] == "| small vehicle | small vehicle, car | 7 | 25.0 | 50.0 |"
