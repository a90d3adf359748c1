"""Writes beside the place where the result will be, and renames at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory


def check_output(output: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Checks that something can be written to a place, before any work is done for it.

    Args:
        output: The file or folder to be written.
        overwrite: Whether a file, or a folder that holds a model, may be replaced.

    Returns:
        The place as an absolute path.

    Raises:
        ValueError: If something is there that must stay.
    """
    path = Path(output).expanduser().absolute()
    parent = next((parent for parent in path.parents if parent.exists()), path)
    if not parent.is_dir():
        raise ValueError(f"`output` {str(path)!r} cannot be written: {str(parent)!r} is a file.")
    if path.is_mount():
        raise ValueError(
            f"`output` {str(path)!r} is where a disk is mounted, which cannot be renamed: give a "
            "folder inside it."
        )
    if not os.access(parent, os.W_OK):
        raise ValueError(f"`output` {str(path)!r} cannot be written: {str(parent)!r} is protected.")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return path
    if not overwrite:
        raise ValueError(
            f"`output` {str(path)!r} exists already: give another place, or ask to overwrite it."
        )
    if path.is_dir() and not (path / "config.json").is_file():
        raise ValueError(
            f"`output` {str(path)!r} is a folder that holds other things than a model, which are "
            "not overwritten: give another place."
        )
    return path


@contextmanager
def staged(output: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Gives a place to write to; when all went well, it is renamed to the output.

    After an error or Ctrl-C nothing is left, and what was there before stays as it was.

    Args:
        output: The file or folder to be written.
        overwrite: Whether a file, or a folder that holds a model, may be replaced.

    Yields:
        The place beside it, which does not exist yet.

    Raises:
        ValueError: If something is there that must stay.
    """
    path = check_output(output, overwrite)
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            written, replaced = Path(scratch) / path.name, Path(scratch) / "replaced"
            yield written
            if path.exists():
                path.rename(replaced)
            try:
                written.rename(path)
            except BaseException:
                if replaced.exists():
                    replaced.rename(path)
                raise
    except BaseException:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise
