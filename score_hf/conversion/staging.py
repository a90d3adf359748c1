"""Writes beside the place where the result will be, and renames at the end."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

# No folder of a model is called so by intention.
_FILE_ENDINGS = (
    *(".bin", ".ckpt", ".onnx", ".pt", ".pth", ".safetensors"),
    *(".gz", ".tar", ".tgz", ".zip"),
    *(".json", ".md", ".txt", ".yaml", ".yml"),
)


def check_output(
    output: str | os.PathLike[str], overwrite: bool = False, folder: bool = True
) -> Path:
    """Checks that something can be written to a place, before any work is done for it.

    Args:
        output: The file or folder to be written; a link stands for what it leads to.
        overwrite: Whether a file, or a folder that holds a model and nothing else, may be replaced.
        folder: Whether a folder is to be written, or a file.

    Returns:
        The place as an absolute path without links.

    Raises:
        ValueError: If something is there that must stay, or a folder would be called like a file.
    """
    try:
        path = Path(output).expanduser().resolve()
        there = path.exists()
    # Python before 3.13 says RuntimeError of links that lead in a circle.
    except (OSError, RuntimeError) as error:
        raise ValueError(f"`output` {str(output)!r} cannot be written: {error}") from error
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
    if folder and not there:
        check_folder_name(path)
    if not there or (folder and path.is_dir() and not any(path.iterdir())):
        return path
    if path.is_dir() != folder:
        raise ValueError(
            f"`output` {str(path)!r} must be {'a folder' if folder else 'a file'}, but there is "
            f"{'a file' if folder else 'a folder'} of this name: give another place."
        )
    if not overwrite:
        raise ValueError(
            f"`output` {str(path)!r} exists already: give another place, or set `overwrite`."
        )
    if folder and (other := _other_than_a_model(path)):
        raise ValueError(
            f"`output` {str(path)!r} is a folder that holds other things than a model ({other}), "
            "which are not overwritten: give another place."
        )
    return path


def check_folder_name(path: Path) -> None:
    """Checks that a folder to be made does not have the name of a file.

    Args:
        path: The folder.

    Raises:
        ValueError: If it has.
    """
    if path.suffix.lower() in _FILE_ENDINGS and not path.is_dir():
        raise ValueError(
            f"`output` {str(path)!r} must name a folder, not a file that ends in {path.suffix}."
        )


@contextmanager
def staged(
    output: str | os.PathLike[str], overwrite: bool = False, folder: bool = True
) -> Iterator[Path]:
    """Gives a place to write to; when all went well, it is renamed to the output.

    After an error or Ctrl-C nothing is left, and what was there before stays as it was.

    Args:
        output: The file or folder to be written; a link stands for what it leads to.
        overwrite: Whether a file, or a folder that holds a model and nothing else, may be replaced.
        folder: Whether a folder is to be written, or a file.

    Yields:
        The place beside it, which does not exist yet.

    Raises:
        ValueError: If something is there that must stay.
    """
    path = check_output(output, overwrite, folder)
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The name may be as long as a name can be.
        prefix = f".{path.name[:20]}-"
        with TemporaryDirectory(prefix=prefix, dir=path.parent) as scratch:
            written, replaced = Path(scratch) / path.name, Path(scratch) / "replaced"
            yield written
            _give_usual_rights(written, Path(scratch) / "usual")
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


def _give_usual_rights(written: Path, usual: Path) -> None:
    """Gives files the rights of any new one; safetensors' are for their owner alone."""
    usual.touch()
    for path in (written, *written.rglob("*")):
        # Not every disk has rights.
        with suppress(OSError):
            if path.is_file():
                path.chmod(usual.stat().st_mode)


def _other_than_a_model(folder: Path) -> str | None:
    """Says what a folder holds that no model's folder does, or lacks that each has."""
    inside = next((entry.name for entry in sorted(folder.iterdir()) if entry.is_dir()), None)
    if inside is not None:
        return f"the folder {inside}"
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return "it has no config.json of one"
    return None if kind == "score" else f"a config.json of {kind!r}"
