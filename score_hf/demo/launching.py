"""Starts the demo: on this machine, or as a Space."""

import ctypes
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from .appearance import CSS, make_theme
from .engine import DemoEngine
from .examples import read_examples
from .interface import build_demo
from .keeping import keep_deleting

# glibc's number for the parameter, and enough for passes that take turns.
_ARENA_MAX, _ARENAS = -8, 2


def launch_demo(
    engine: DemoEngine, examples: Path | None = None, **options: Any
) -> tuple[gr.Blocks, str]:
    """Starts the demo.

    Args:
        engine: The model.
        examples: Folder of the examples; None: the pictures of the package.
        **options: Of Gradio's `launch`.

    Returns:
        The page and its address, once it is closed; at once with `prevent_thread_lock=True`.
    """
    # What the model is fit for comes first.
    listed = sorted(
        read_examples(examples), key=lambda one: one.is_drawn != engine.about.is_demonstration
    )
    _share_free_memory()
    kept = engine.limits.kept_seconds
    page = build_demo(engine, listed)
    # Without it ZeroGPU would let a single visitor wait.
    page.queue(max_size=engine.limits.waiting)
    _, address, _ = page.launch(
        theme=make_theme(),
        css=CSS,
        max_file_size=f"{engine.limits.file_megabytes}mb",
        state_session_capacity=engine.limits.kept_results,
        run_history=False,
        footer_links=["api", "settings"],
        mcp_server=find_spec("mcp") is not None,
        app_kwargs={"lifespan": keep_deleting(kept, every=max(1, kept // 10))},
        **options,
    )
    return page, address


def _share_free_memory() -> None:
    """Lets threads share what others freed: glibc would keep it for each that ever answered."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_ARENA_MAX, _ARENAS)
