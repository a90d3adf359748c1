"""iSAID: the official scenes, cut into patches while they are read, or the devkit's patches."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..categories import ISAID
from ..records import SourceSplit
from .coco import read_coco
from .coco_categories import CocoCategories
from .coco_index import CocoIndex
from .folders import check_pairs, check_root
from .isaid_files import IsaidFiles, files_of
from .isaid_patches import SKIPPED_SCENES, windows
from .isaid_scenes import Patch, PatchReader, masks_in_coco, masks_in_pictures
from .label_images import size_of

Form = Literal["auto", "scenes", "patches"]
Masks = Literal["auto", "pictures", "json"]
SPLITS = ("train", "val")
PATCH_SIDE, PATCH_OVERLAP = 800, 200
# Training patches that have an object (supplement A.1); all that the devkit cuts are more.
_PAPER_COUNTS = {"train": 18_732}
_DEVKIT_COUNTS = {"train": 28_029, "val": 9_512}


def read_isaid(
    root: str | os.PathLike[str],
    split: str,
    form: Form = "auto",
    masks: Masks = "auto",
    side: int = PATCH_SIDE,
    overlap: int = PATCH_OVERLAP,
) -> SourceSplit:
    """Reads iSAID as it is published, or as its devkit has cut it.

    Scenes are cut as the devkit does with its default settings. Masks come from the pictures that
    number the instances (exact, with holes) or from `iSAID_{split}.json` (outlines of whole
    scenes). The devkit's own files hold outlines through pixel centres, which draw small objects
    smaller than they are: 45 instead of 60 pixels for a vehicle of 10 x 6. SCORE's authors probably
    trained on those; results on masks of both kinds should not be compared.

    Classes go by name: the official train and val files number them in different ways, and so did
    the devkit until 2020.

    Args:
        root: The folder, however the archives were unpacked in it.
        split: "train" or "val"; iSAID publishes no labels of its test scenes.
        form: "scenes" or "patches"; "auto": what is there.
        masks: Of scenes: "pictures" or "json"; "auto": the pictures if they are there.
        side: Height and width of a patch in pixels.
        overlap: Of neighbouring patches, in pixels.

    Returns:
        The split.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split or option, or the root holds both forms.
    """
    for argument, value, choices in (
        ("split", split, SPLITS),
        ("form", form, ("auto", "scenes", "patches")),
        ("masks", masks, ("auto", "pictures", "json")),
    ):
        if value not in choices:
            raise ValueError(f"`{argument}` must be one of {', '.join(choices)}, got {value!r}.")
    if side < 1 or not 0 <= overlap < side:
        raise ValueError(f"`overlap` must lie between 0 and `side`, but is {overlap} of {side}.")
    folder = check_root(root)
    files = files_of(folder, split)
    has_patches = bool(files.patches or files.devkit)
    # The devkit copies small scenes whole, beside the patches.
    cut = {path.parent for path in files.patches}
    has_scenes = files.official or any(path.parent not in cut for path in files.instances.values())
    if form == "auto" and has_patches and has_scenes:
        raise ValueError(
            f"`root` '{folder}' holds both scenes and patches of {split}; say which `form` is "
            "meant, or name a folder with one of them."
        )
    if form == "patches" or (form == "auto" and has_patches):
        return _patches(folder, files, split)
    return _scenes(folder, files, split, masks, side, overlap)


def _patches(root: Path, files: IsaidFiles, split: str) -> SourceSplit:
    if not files.devkit:
        raise FileNotFoundError(
            f"`root` '{root}' has no instancesonly_filtered_{split}.json; make it with the iSAID "
            "devkit's preprocess.py."
        )
    if len(files.devkit) > 1:
        names = " and ".join(f"'{path}'" for path in files.devkit[:2])
        raise ValueError(f"`root` has several files of {split}'s patches, {names}; keep one.")
    folders = Counter(path.parent for path in (*files.patches, *files.scenes.values()))
    if not folders:
        raise FileNotFoundError(f"`root` '{root}' has no patches of {split}, only their json file.")
    return read_coco(
        folders.most_common(1)[0][0],
        files.devkit[0],
        split,
        name="isaid",
        class_names=ISAID,
        allow_missing=False,
        paper_count=_PAPER_COUNTS.get(split),
        notes=(_devkit_note(split),),
    )


def _devkit_note(split: str) -> str:
    note = (
        f"the devkit cuts {_DEVKIT_COUNTS[split]:,} patches of {split} at its default setting, "
        "those without objects included"
    )
    return f"{note}; the paper's number is that of those with objects" if split == "train" else note


def _scenes(
    root: Path, files: IsaidFiles, split: str, masks: Masks, side: int, overlap: int
) -> SourceSplit:
    if not files.scenes:
        raise FileNotFoundError(
            f"`root` '{root}' has no scenes of {split} (P0003.png and so on: DOTA-v1.0's images, "
            f"in a folder {split})."
        )
    if masks == "pictures" or (masks == "auto" and files.instances):
        places = f"the folders of {split} in '{root}'"
        check_pairs(files.scenes, files.instances, f"{places} (*_instance_id_RGB.png)")
        check_pairs(files.scenes, files.colours, f"{places} (*_instance_color_RGB.png)")
        source = masks_in_pictures(files.instances, files.colours)
        notes, settings = ["masks from the pictures that number the instances"], {}
    else:
        index = _official(root, files, split)
        categories = CocoCategories(index, ISAID)
        _check_scenes(index, files.scenes)
        source = masks_in_coco(index, categories)
        notes = [f"masks from {index.path.name}", *index.notes, *categories.notes]
        settings = {"annotations": index.digest()}
    if (side, overlap) == (PATCH_SIDE, PATCH_OVERLAP):
        notes.append(_devkit_note(split))
    return SourceSplit(
        name="isaid",
        split=split,
        class_names=ISAID,
        kind="instance",
        keys=_plan(files.scenes, side, overlap),
        read=PatchReader(files.scenes, source).read,
        paper_count=_PAPER_COUNTS.get(split),
        notes=tuple(notes),
        settings={"masks": notes[0], **settings},
    )


def _official(root: Path, files: IsaidFiles, split: str) -> CocoIndex:
    if not files.official:
        raise FileNotFoundError(
            f"`root` '{root}' has no masks of {split}: neither *_instance_id_RGB.png with "
            f"*_instance_color_RGB.png nor iSAID_{split}.json."
        )
    # One of the two official train files lacks a class.
    indices = [CocoIndex(path) for path in files.official]
    return max(indices, key=lambda index: (len(index.categories), sum(index.annotated.values())))


def _check_scenes(index: CocoIndex, scenes: Mapping[str, Path]) -> None:
    listed = [Path(image.file_name).stem for image in index.images]
    missing = [stem for stem in listed if stem not in scenes]
    if missing:
        raise FileNotFoundError(
            f"`root` is incomplete: {len(missing)} of the {len(listed)} scenes that "
            f"'{index.path}' lists are not there, '{missing[0]}.png' first; download all parts of "
            "the images."
        )
    unlisted = sorted(scenes.keys() - set(listed))
    if unlisted:
        raise ValueError(
            f"`root` has {len(unlisted)} scenes that '{index.path}' does not list, "
            f"'{scenes[unlisted[0]]}' first; keep the scenes of each split in a folder of its name."
        )


def _plan(scenes: Mapping[str, Path], side: int, overlap: int) -> list[Patch]:
    """Lists all patches from the sizes in the files' headers."""
    plan: list[Patch] = []
    for stem in sorted(scenes, key=lambda stem: int(stem[1:])):
        if stem in SKIPPED_SCENES:
            continue
        try:
            height, width = size_of(scenes[stem])
        except OSError:
            # Told as one image left out, when it is read.
            height = width = 1
        places = windows(height, width, side, overlap)
        for window in places:
            is_whole = len(places) == 1 and window == (0, height, 0, width)
            size = scenes[stem].stat().st_size
            plan.append(Patch(len(plan), stem, window, is_whole, size))
    return plan
