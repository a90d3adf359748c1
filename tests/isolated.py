"""Runs code in a process that has neither this package nor what only converting needs."""

import os
import subprocess
import sys
from pathlib import Path

_BLOCKED = ("score_hf", "open_clip", "timm")
_PREAMBLE = f"""
import sys

for name in {_BLOCKED}:
    sys.modules[name] = None  # As good as not installed.
    try:
        __import__(name)
    except ImportError:
        pass
    else:
        sys.exit(f"{{name}} can be imported")
"""


def run_isolated(code: str, place: Path, *arguments: object, **environment: str) -> str:
    """Runs code with an empty cache of modules, offline unless told otherwise.

    Args:
        code: What to run.
        place: Where it runs; caches are made there.
        *arguments: Its `sys.argv[1:]`.
        **environment: Variables that differ.

    Returns:
        What it printed.
    """
    caches = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "cache")}
    caches["HF_MODULES_CACHE"] = str(place / "cache" / "modules")
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PREAMBLE + code, *map(str, arguments)],
        cwd=place,
        env={**os.environ, **caches, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
