"""Finds the files of a data set beneath the folder that a user names."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Archives often unpack into a folder of their own, sometimes twice; deeper is another data set.
_DEPTH = 3
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def check_root(root: str | os.PathLike[str]) -> Path:
    """Makes a path of what the user named.

    Args:
        root: The folder of a data set.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`root` must be the folder of an unpacked data set, but got '{folder}', which is no "
            "folder."
        )
    return folder


def folders_beneath(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Lists a folder and those in it, nearest first, in alphabetical order.

    Args:
        root: Where to begin.
        depth: How many levels to go down.
    """
    level = [root]
    for _ in range(depth + 1):
        yield from level
        level = [
            Path(entry.path)
            for folder in level
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.is_dir() and not entry.name.startswith(".")
        ]


def find_layout(root: Path, folders: Sequence[str]) -> Path | None:
    """Finds the folder that holds all of some others.

    Args:
        root: The folder that the user named; its parent may be meant as well as the folder itself.
        folders: Paths that must lie in the folder looked for, for example
            `("images", "semlabels/gray")`.

    Returns:
        The nearest folder that holds all of them; None if there is none.

    Raises:
        ValueError: If two are equally near.
    """
    found: list[Path] = []
    for folder in folders_beneath(root):
        if found and len(folder.parts) > len(found[0].parts):
            break
        if all((folder / name).is_dir() for name in folders):
            found.append(folder)
    if len(found) > 1:
        raise ValueError(
            f"`root` must hold one data set, but {listed(folders)} lie in both '{found[0]}' and "
            f"'{found[1]}'; name one of the two."
        )
    return found[0] if found else None


def image_files(folder: Path, key_of: Callable[[str], str | None] = str) -> dict[str, Path]:
    """Lists the image files of a folder.

    Args:
        folder: Its files are looked at, not its subfolders.
        key_of: The key of a file from its name without suffix; None: not an image of the set.

    Returns:
        The path of every key, sorted by key.

    Raises:
        ValueError: If two files have one key.
    """
    files: dict[str, Path] = {}
    for entry in os.scandir(folder):
        stem, suffix = os.path.splitext(entry.name)
        if entry.name.startswith(".") or suffix.lower() not in IMAGE_SUFFIXES:
            continue
        key = key_of(stem)
        if key is None or not entry.is_file():
            continue
        if key in files:
            raise ValueError(
                f"`root` has two files for one image, '{files[key]}' and '{entry.path}'; keep one."
            )
        files[key] = Path(entry.path)
    return dict(sorted(files.items()))


def check_pairs(images: dict[str, Path], labels: dict[str, Path], where: str) -> None:
    """Checks that every image has its label and every label its image.

    Args:
        images: Path of each key.
        labels: Path of each key.
        where: The two places that were looked at; named in the errors.

    Raises:
        FileNotFoundError: If a place is empty or a partner is missing.
    """
    if not images and not labels:
        raise FileNotFoundError(f"`root` has no images in {where}; unpack the data set there.")
    lonely = sorted(images.keys() - labels.keys())
    orphaned = sorted(labels.keys() - images.keys())
    if lonely or orphaned:
        first = images[lonely[0]] if lonely else labels[orphaned[0]]
        raise FileNotFoundError(
            f"`root` is incomplete: in {where}, {len(lonely)} of {len(images)} images have no "
            f"label and {len(orphaned)} of {len(labels)} labels have no image, '{first}' first; "
            "download and unpack the data set again."
        )


def check_split(split: str, splits: Sequence[str]) -> None:
    """Checks the name of a split.

    Args:
        split: What the user asked for.
        splits: What the data set has.

    Raises:
        ValueError: If it has no such split.
    """
    if split not in splits:
        raise ValueError(f"`split` must be one of {listed(splits)}, but got {split!r}.")


def listed(names: Sequence[str]) -> str:
    """Writes names one after another, in quotes: 'a', 'b' and 'c'."""
    quoted = [f"'{name}'" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
