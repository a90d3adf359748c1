import json
from xml.etree import ElementTree

import pytest

from benchmarks.training_curves import draw_curves, read_log


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_every_loss_has_a_panel(tmp_path):
    line = {"loss": 3.0, "loss_mask": 1.0, "learning_rate": 1e-3, "seconds_per_step": 1.0}
    log = read_log(write(tmp_path / "log.jsonl", {"step": 1, **line}, {"step": 2, **line}))
    drawn = draw_curves(log)
    assert drawn == draw_curves(log), "the same whenever it is drawn"
    texts = [
        one.text for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"loss", "loss mask", "learning rate"} <= set(texts) and "seconds per step" not in texts


def test_another_file_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"`log` .* tells no losses"):
        read_log(write(tmp_path / "log.jsonl", {"epoch": 1}))
