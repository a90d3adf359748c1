import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import peak_memory, resident_memory

needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets peaks"
)


@needs_linux
def test_a_peak_is_told_and_forgotten():
    # In a process of its own: other tests' threads take and return memory.
    code = """
from benchmarks.memory import forget_peak, peak_memory, resident_memory
block = bytearray(b"x") * 300_000_000
del block
assert peak_memory() > resident_memory() + 0.25
before = forget_peak()
assert before < resident_memory() + 0.05
block = bytearray(b"x") * 100_000_000
assert 0.09 < peak_memory() - before < 0.15
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_linux
def test_a_peak_is_the_process_s_own():
    block = bytearray(b"x") * 500_000_000
    code = "from benchmarks.memory import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert float(done.stdout) < 0.2
    assert peak_memory() > len(block) / 1e9
    assert resident_memory() > len(block) / 1e9
