"""What is told of a run that has not begun or was ended: who waits for a turn can cancel too."""

from collections.abc import Callable
from typing import Any

import gradio as gr

WAITING, CANCELLED = "Waiting for a turn …", "Cancelled."


def tell_waiting(event: Callable[..., Any], status: gr.HTML, cancel: gr.Button) -> None:
    """Shows in the browser, before the server knows of it, that a run begins.

    Args:
        event: That begins it.
        status: Where it is told.
        cancel: The button that ends it, which has an `elem_id`; while it can be pressed a run is
            on its way, and nothing changes.
    """
    script = f"""() => {{
        const runs = !document.querySelector('#{cancel.elem_id}').disabled;
        const same = {{__type__: 'update'}};
        return runs ? [same, same] : ['{WAITING}', {{interactive: true, ...same}}];
    }}"""
    event(
        None,
        None,
        [status, cancel],
        js=script,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )


def told_failure(status: str) -> str:
    """What is told when a run failed.

    Args:
        status: What is told now.

    Returns:
        The same of a run that was cancelled, whose end the page may take for a failure.
    """
    return status if status == CANCELLED else "That did not work: see the message."
