"""The script for QGIS, with stand-ins for the classes of QGIS."""

import importlib.util
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import typer

from score_hf.cli import app

SCRIPT = Path(__file__).parents[2] / "integrations" / "qgis" / "score_hf_segment.py"


@pytest.fixture
def script(monkeypatch):
    core = MagicMock()
    # What is inherited from or raised must be a class.
    core.QgsProcessingAlgorithm = object
    core.QgsProcessingException = RuntimeError
    for name, module in (
        ("qgis", types.ModuleType("qgis")),
        ("qgis.core", core),
        ("qgis.PyQt", types.ModuleType("qgis.PyQt")),
        ("qgis.PyQt.QtCore", MagicMock()),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    specification = importlib.util.spec_from_file_location("score_hf_segment", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class Feedback:
    def __init__(self, canceled: bool = False) -> None:
        self.canceled, self.progress, self.told = canceled, [], []

    def isCanceled(self):
        return self.canceled

    def setProgress(self, percent):
        self.progress.append(percent)

    def setProgressText(self, text):
        self.told.append(text)

    def pushInfo(self, text):
        self.told.append(text)


def arguments(script, **changes):
    settings = {
        "classes": "ship, harbor", "model": "", "threshold": 0.3, "gsd": None, "bbox": None,
        "overwrite": False, "more": "", **changes,
    }  # fmt: skip
    return script.segment_arguments("score-hf", "in.tif", "out.gpkg", **settings)


def test_the_command_knows_all_options(script, tmp_path):
    (tmp_path / "classes.csv").write_text("name\nship\n")
    built = arguments(
        script, classes=str(tmp_path / "classes.csv"), model="m", gsd=0.3, overwrite=True,
        bbox=(-8.5, 47.25, 9, 48), more="--tile 512",
    )  # fmt: skip
    command = typer.main.get_command(app).commands["segment"]
    parsed = command.make_context("segment", built[2:]).params
    assert parsed["images"] == ["in.tif"] and parsed["output_dir"] == Path("out.gpkg")
    assert parsed["bbox"] == "-8.500000000,47.250000000,9.000000000,48.000000000"
    assert parsed["gsd"] == 0.3 and parsed["tile"] == 512 and parsed["overwrite"]
    assert parsed["progress"] == "json" and parsed["classes_file"].name == "classes.csv"
    assert "--classes" in arguments(script) and "--bbox" not in " ".join(arguments(script))


def test_progress_and_errors_are_passed_on(script):
    code = """
import sys
print('{"done": 1, "total": 4, "found": 7}', file=sys.stderr)
print("score-hf: no such file", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
    feedback = Feedback()
    script.run([sys.executable, "-c", code, "0"], feedback)
    assert feedback.progress == [25]
    assert feedback.told == ["7 objects so far", "score-hf: no such file"]
    with pytest.raises(RuntimeError, match="no such file"):
        script.run([sys.executable, "-c", code, "2"], Feedback())


def test_a_cancelled_run_ends_the_command(script):
    code = "import time\nwhile True: print('going on', flush=True); time.sleep(0.1)"
    script.run([sys.executable, "-c", code], Feedback(canceled=True))
