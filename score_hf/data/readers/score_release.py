"""The release of SCORE's authors: five sets below one root, cut into patches, as COCO files."""

import os
from collections.abc import Mapping
from pathlib import Path

from .. import categories
from ..records import SourceSplit
from .coco import read_coco
from .folders import check_root, folders_beneath, listed

_PATCHED = {"train": ("train/images", "train/instances_train.json")}
_EVALUATED = {"val": ("val/images", "val/instances_val.json")}

# Folder of each set, and of each split its pictures and its file, as the authors' code reads them.
# NWPU's lie beside one another, and are patches of the 650 published pictures.
_FOLDERS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "isaid": ("iSAID", _PATCHED | _EVALUATED),
    "sior": ("SIOR", _PATCHED | _EVALUATED),
    "nwpu": ("NWPU", {"val": ("image_patches", "instances_val.json")}),
    "sota": ("SOTA", _EVALUATED),
    "fast": ("FAST", _EVALUATED),
}
_CLASSES = {
    "isaid": categories.ISAID,
    "sior": categories.SIOR,
    "nwpu": categories.NWPU,
    "sota": categories.SOTA,
    "fast": categories.FAST,
}
# Supplement A.1.
_PAPER_COUNTS = {
    ("isaid", "train"): 18_732,
    ("sior", "train"): 11_725,
    ("sior", "val"): 11_738,
    ("nwpu", "val"): 731,
    ("sota", "val"): 874,
    ("fast", "val"): 3_207,
}
_NOTES = {
    ("isaid", "train"): (
        "the paper's number is that of patches with objects, probably: the authors' training "
        "leaves out the others",
    )
}
SUBSETS = tuple(_FOLDERS)


def splits_of(subset: str) -> tuple[str, ...]:
    """Lists the splits that the release has of a set.

    Args:
        subset: One of `SUBSETS`.
    """
    return tuple(_FOLDERS[subset][1])


def subsets_of(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """Lists the sets whose folder is there, whether they are complete or not.

    Args:
        root: The folder that holds `iSAID`, `SIOR`, `NWPU`, `SOTA` and `FAST`, or some of them.

    Raises:
        FileNotFoundError: If there is none.
    """
    base = _base(check_root(root))
    return tuple(subset for subset, (folder, _) in _FOLDERS.items() if (base / folder).is_dir())


def _base(root: Path) -> Path:
    names = [folder for folder, _ in _FOLDERS.values()]
    for folder in folders_beneath(root, depth=1):
        if any((folder / name).is_dir() for name in names):
            return folder
    raise FileNotFoundError(
        f"`root` must be the folder that holds {listed(names)}, or some of them, but '{root}' has "
        "none; the authors' code has it at /data/SCORE, but it may lie anywhere."
    )


def read_score(root: str | os.PathLike[str], split: str, subset: str) -> SourceSplit:
    """Reads a split of one set of the release.

    Args:
        root: See [`subsets_of`].
        split: "train" (of iSAID and SIOR) or "val".
        subset: One of `SUBSETS`.

    Returns:
        The split, with the classes of the set in the order of the authors' numbers.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such set or split, or the file is of another set.
    """
    if subset not in _FOLDERS:
        raise ValueError(f"`subset` must be one of {listed(SUBSETS)}, but got {subset!r}.")
    name, splits = _FOLDERS[subset]
    if split not in splits:
        raise ValueError(f"`split` of {name} must be {listed(tuple(splits))}, but got {split!r}.")
    folder = _base(check_root(root)) / name
    images, annotations = (folder / path for path in splits[split])
    for path, found in ((images, images.is_dir()), (annotations, annotations.is_file())):
        if not found:
            raise FileNotFoundError(
                f"`root` is not complete: {name}'s {split} needs '{path}', which is not there; "
                "download and unpack it."
            )
    return read_coco(
        images,
        annotations,
        split,
        name=f"score-{subset}",
        class_names=_CLASSES[subset],
        allow_missing=False,
        paper_count=_PAPER_COUNTS.get((subset, split)),
        notes=_NOTES.get((subset, split), ()),
    )
