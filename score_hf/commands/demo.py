"""`score-hf demo`: the demo in a browser, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from ..bundled import DEFAULT_MODEL
from ..extras import missing_packages
from .terminal import fail, option_names, plain_messages, quiet_transformers


def demo(
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Folder, bundled model or hub id. Without it: the bundled {DEFAULT_MODEL}."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port on this machine. Without it: the first that is free from 7860 on."),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures with an examples.json. Without it: two samples."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
) -> None:
    """Try a model in the browser."""
    quiet_transformers()
    missing = missing_packages("the demo needs", "gradio", extra="demo")
    if missing is not None:
        fail(missing)
    from ..demo.engine import DemoEngine
    from ..demo.launching import launch_demo

    with plain_messages(names=option_names(demo)):
        engine = DemoEngine.load(DEFAULT_MODEL if model is None else model, device)
        launch_demo(engine, examples, server_port=port)
