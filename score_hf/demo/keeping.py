"""Where files of visitors lie, and that they are deleted after their time.

Gradio deletes what it knows of: not both pictures of a slider, and not what a cancelled run left.
"""

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder


def new_folder() -> Path:
    """Makes a folder that nobody can guess, where Gradio serves files from.

    Returns:
        The folder.
    """
    folder = _made_here() / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def delete_old(seconds: float) -> None:
    """Deletes the folders whose content nobody changed for some time.

    Args:
        seconds: How long.
    """
    made_here = _made_here()
    for folder in made_here.iterdir() if made_here.is_dir() else ():
        # Others may have deleted it by now.
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > seconds:
                shutil.rmtree(folder)


def keep_deleting(
    seconds: float, every: float
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Lets a server delete old folders for as long as it runs.

    Args:
        seconds: How long they are kept.
        every: Seconds from one look at them to the next.

    Returns:
        A lifespan of the server.
    """

    async def repeat() -> None:
        while True:
            await asyncio.to_thread(delete_old, seconds)
            await asyncio.sleep(every)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            task.cancel()

    return lifespan


def _made_here() -> Path:
    return Path(get_upload_folder()) / "results"
