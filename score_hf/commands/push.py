"""`score-hf push`: a model's folder to the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import (
    FAILURE,
    INTERRUPTED,
    fail,
    option_names,
    plain_messages,
    quiet_transformers,
)


def push(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a complete model.", metavar="DIR", show_default=False)
    ],
    repo_id: Annotated[
        str,
        typer.Argument(
            help="Repository on the Hub, owner/name; made if it is not there.",
            metavar="REPO_ID",
            show_default=False,
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Only the owner may see what is made.")
    ] = False,
    space: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a Space, such as demo/, uploaded under the same name, with the package "
            "and the model's id.",
            metavar="DIR_OF_SPACE",
        ),
    ] = None,
) -> None:
    """Upload a model, its card and perhaps its Space to the Hugging Face Hub."""
    quiet_transformers()
    from ..conversion.hub import push_folder

    try:
        # What the user gave is wrong: status 2. The Hub or the way to it: status 1.
        with plain_messages(names=option_names(push)):
            try:
                addresses = push_folder(folder, repo_id, private, space)
            except OSError as error:
                fail(error, FAILURE)
    except KeyboardInterrupt:
        fail("stopped by the user; run it again to go on where it stopped.", INTERRUPTED)
    for kind, address in zip(("model", "Space"), addresses, strict=False):
        typer.echo(f"{kind}: {address}")
