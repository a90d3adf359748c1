"""Finds the images, annotations and splits of a subset of SAMRS, whose archives vary in layout."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from .folders import IMAGE_SUFFIXES, listed

# Folders as the authors' programs name them.
_FOLDERS = {"sior": "dior", "sota": "dotav2_1024", "fast": "fair1m_1024"}
# GSNet has the values of `gray` in `semlabels`.
_ANNOTATION_FOLDERS = ("gray", "color", "ins", "semlabels")
_LISTS = {"train": "train.txt", "val": "valid.txt"}
# Of DIOR's images, numbered from 1, these are its trainval and the others its test images.
_DIOR_TRAINVAL = 11_725


@dataclass(frozen=True)
class Files:
    """What lies below a folder.

    Attributes:
        folder: The folder.
        images: Path of each image by its name without suffix.
        annotations: Folders by their names, "gray", "ins" and so on.
        lists: Files by their names, "train.txt" and "valid.txt".
    """

    folder: Path
    images: dict[str, Path] = field(default_factory=dict)
    annotations: dict[str, list[Path]] = field(default_factory=dict)
    lists: dict[str, list[Path]] = field(default_factory=dict)


def folder_of(root: Path, subset: str) -> Path:
    """The folder of a subset, if it lies in a folder of its own beside others.

    Args:
        root: The folder that the user named.
        subset: "sior", "sota" or "fast".
    """
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and entry.name.lower() in (subset, _FOLDERS[subset]):
            return entry
    return root


def scan(folder: Path) -> Files:
    """Lists what lies below a folder, however deep.

    Args:
        folder: The folder of a subset.

    Raises:
        FileNotFoundError: If there are no images.
        ValueError: If two images have one name.
    """
    files = Files(folder)
    for directory, folders, names in os.walk(folder, followlinks=True):
        for name in folders:
            if name in _ANNOTATION_FOLDERS:
                files.annotations.setdefault(name, []).append(Path(directory, name))
        folders[:] = sorted(name for name in folders if name not in _ANNOTATION_FOLDERS)
        for name in names:
            stem, suffix = os.path.splitext(name)
            if name in _LISTS.values():
                files.lists.setdefault(name, []).append(Path(directory, name))
            elif suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                if stem in files.images:
                    raise ValueError(
                        f"`root` has two images named {stem!r}, '{files.images[stem]}' and "
                        f"'{Path(directory, name)}'; name the folder of one data set."
                    )
                files.images[stem] = Path(directory, name)
    if not files.images:
        raise FileNotFoundError(
            f"`root` has no images below '{folder}'; unpack the images of the subset there."
        )
    return files


def annotations_of(files: Files, kind: str) -> dict[str, Path]:
    """Finds the annotation file of each image.

    Args:
        files: See [`scan`].
        kind: "ins" for pickles, "gray" for label images.

    Returns:
        Paths by the name of the image.

    Raises:
        FileNotFoundError: If there are none, or some that were made together are missing.
        ValueError: If there are two sets of them.
    """
    by_kind = {
        "ins": _only_files(files, "ins", ".pkl"),
        "gray": _only_files(files, "gray", ".png"),
    }
    if kind == "gray" and not by_kind["gray"]:
        by_kind["gray"] = _only_files(files, "semlabels", ".png")
    found = by_kind[kind]
    if not found:
        what = "folder 'ins' with pickles" if kind == "ins" else "folder 'gray' with label images"
        raise FileNotFoundError(
            f"`root` has no {what} below '{files.folder}'; unpack the annotations of the subset "
            "there."
        )
    missing = sorted(by_kind["gray"].keys() - by_kind["ins"].keys()) if kind == "ins" else []
    if missing:
        raise FileNotFoundError(
            f"`root` is incomplete: below '{files.folder}', {len(missing)} of "
            f"{len(by_kind['gray'])} files in 'gray' have no pickle in 'ins', '{missing[0]}' "
            "first; download and unpack the annotations again."
        )
    return found


def _only_files(files: Files, name: str, suffix: str) -> dict[str, Path]:
    folders = files.annotations.get(name, [])
    if len(folders) > 1:
        raise ValueError(
            f"`root` must hold the annotations of one data set, but '{folders[0]}' and "
            f"'{folders[1]}' are there; name the folder of one."
        )
    if not folders:
        return {}
    folder = folders[0]
    # GSNet's folder has its values in `semlabels/gray`, or as its README says in `semlabels`.
    if name == "semlabels" and (folder / "gray").is_dir():
        folder = folder / "gray"
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() == suffix}


def stems_of(
    files: Files, split: str, subset: str, image_list: str | os.PathLike[str] | None
) -> tuple[list[str], str]:
    """Finds which images belong to a split.

    Args:
        files: See [`scan`].
        split: "train", "val" or "whole".
        subset: "sior", "sota" or "fast".
        image_list: A file that names them.

    Returns:
        The names, sorted; and what says so.

    Raises:
        FileNotFoundError: If nothing says which images belong to it, or images that it names are
            missing.
        ValueError: If two files say so.
    """
    if image_list is not None:
        return _listed_stems(files, Path(image_list)), f"the list {Path(image_list).name}"
    if split == "whole":
        return sorted(files.images), "nothing: all images"
    if subset == "sior":
        stems = [stem for stem in files.images if stem.isdigit()]
        of_train = [stem for stem in stems if int(stem) <= _DIOR_TRAINVAL]
        chosen = of_train if split == "train" else sorted(set(stems) - set(of_train))
        if not chosen:
            bounds = "00001 to 11725" if split == "train" else "11726 to 23463"
            raise FileNotFoundError(
                f"`root` has none of DIOR's images {bounds}, which are the split {split!r} of "
                f"SIOR, below '{files.folder}'; unpack them there."
            )
        return sorted(chosen), "DIOR: up to 11725 trainval, then test"
    lists = files.lists.get(_LISTS[split], [])
    if len(lists) > 1:
        raise ValueError(
            f"`root` has two lists of the split {split!r}, {listed([str(path) for path in lists])}"
            "; name one as `image_list`."
        )
    if lists:
        return _listed_stems(files, lists[0]), f"the authors' list {lists[0].name}"
    in_folder = [
        stem for stem, path in files.images.items()
        if split in path.relative_to(files.folder.parent).parts[:-1]
    ]  # fmt: skip
    if not in_folder:
        raise FileNotFoundError(
            f"`root` says nowhere which images are the split {split!r}: there is neither a list "
            f"'{_LISTS[split]}' nor a folder '{split}' below '{files.folder}'; put the list "
            "there, or name one as `image_list`."
        )
    return sorted(in_folder), f"the folder {split}"


def _listed_stems(files: Files, path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise FileNotFoundError(
            f"`image_list` must be a text file with one image name a line, but '{path}' cannot be "
            f"read ({error})."
        ) from error
    stems = sorted(set(lines))
    missing = [stem for stem in stems if stem not in files.images]
    if missing or not stems:
        raise FileNotFoundError(
            f"`root` is incomplete: '{path}' names {len(stems)} images, of which {len(missing)} "
            f"are not below '{files.folder}'"
            + (f", '{missing[0]}' first" if missing else "")
            + "; download and unpack the images again."
        )
    return stems
