"""What is told where the extras are not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from score_hf.extras import missing_packages

REPOSITORY = Path(__file__).parents[1]
WITHOUT = """
import runpy
import sys

for name in ("accelerate", "datasets", "pyarrow", "scipy", "tensorboard", "open_clip", "ftfy"):
    sys.modules[name] = None  # As good as not installed.
module, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
CLI = "import sys; from score_hf.cli import app; app(sys.argv[1:])"


def test_only_what_is_missing_is_named():
    assert missing_packages("this needs", "numpy", "torch") is None
    told = missing_packages("this needs", "numpy", "no_such_package", extra="all")
    assert told == "this needs no_such_package: run `pip install 'score-hf[all]'`."


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["score_hf.training.train", "isaid", "--output", "run"], "train: training needs "),
        (
            ["score_hf.training.evaluate", "--dataset", "x", "--split", "val", "-o", "x.json"],
            "score-hf: evaluation needs ",
        ),
        (["tests.parity", "tests/fixtures/parity"], "error: the checks need "),
    ],
)
def test_without_the_extras_a_module_ends_with_one_sentence(command, told):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *command], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert told in last and last.endswith("train]'`.") and "pip install 'score-hf[" in last


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["evaluate", "--dataset", "x", "--split", "val", "-o", "x.json"], "evaluation needs "),
        (["table", "2", "--root", "x", "--weights", "x", "-o", "x"], "tables need accelerate and "),
    ],
)
def test_without_the_extras_a_command_ends_with_one_sentence(tmp_path, command, told):
    code = WITHOUT.partition("module,")[0] + CLI
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (1, 2)
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"score-hf: {told}") and line.endswith("pip install 'score-hf[train]'`.")
    assert not list(tmp_path.iterdir())
