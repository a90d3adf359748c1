import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back")
def test_gaps_between_blocks_are_given_back():
    # Blocks below the size from which each is a mapping of its own; every other one is freed.
    code = """
import ctypes, psutil
from score_hf.freed_memory import return_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(100_000) for _ in range(2000)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, 100_000)
for block in blocks[::2]:
    libc.free(ctypes.c_void_p(block))
before = psutil.Process().memory_info().rss
return_freed_memory()
assert psutil.Process().memory_info().rss < before - 80_000_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)
