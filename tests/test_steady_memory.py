import platform
import subprocess
import sys

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.steady_memory import keep_memory_steady

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

# Blocks of 16 MB are freed, so that glibc raises its threshold, and then held with small ones
# between them: what is freed of these comes back only if they are not part of the heap.
PROGRAM = """
import ctypes, sys, torch
from score_hf.steady_memory import keep_memory_steady
class Large(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(300_000_000), requires_grad=False)
def resident():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 1e6
if sys.argv[1] == "steady":
    assert keep_memory_steady(Large())
for _ in range(3):
    torch.ones(4_000_000)
before, kept = resident(), []
blocks = []
for _ in range(40):
    blocks.append(torch.ones(4_000_000))
    kept.append(torch.ones(4_000))
blocks.clear()
print(resident() - before)
"""


def left_over(how: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@glibc
def test_freed_blocks_go_back_to_the_system():
    assert left_over("steady") < left_over("as it is") / 2


def test_small_models_and_settings_of_the_user_stay_as_they_are(monkeypatch):
    small = torch.nn.Linear(3, 3)
    assert not keep_memory_steady(small)
    with torch.device("meta"):
        elsewhere = torch.nn.Linear(30_000, 30_000)
    assert not keep_memory_steady(elsewhere)
    monkeypatch.setattr("score_hf.steady_memory._LARGE_MODEL", 1)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "33554432")
    assert not keep_memory_steady(small)


@pytest.mark.parametrize("command", ["segment", "evaluate"])
def test_long_commands_keep_it_steady(command, tiny_folder, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("score_hf.steady_memory.keep_memory_steady", asked.append)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    options = {
        "segment": [str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "-c", "ship"],
        "evaluate": ["--dataset", "nothing", "--split", "val", "-o", str(tmp_path / "m.json")],
    }
    CliRunner().invoke(app, [command, "--model", str(tiny_folder), *options[command]])
    assert [type(one).__name__ for one in asked] == ["ScoreForInstanceSegmentation"]
