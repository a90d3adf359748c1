"""Finds what belongs to a split of iSAID, however the downloads were unpacked."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

_SPLITS = ("train", "val", "test")
_SCENE = re.compile(r"P\d+\.png")
_PATCH = re.compile(r"P\d+_\d+_\d+_\d+_\d+\.png")
_INSTANCES = re.compile(r"(P\d+)_instance_id_RGB\.png")
_COLOURS = re.compile(r"(P\d+)_instance_color_RGB\.png")


@dataclass
class IsaidFiles:
    """Files of one split.

    Args:
        scenes: Whole pictures by stem (`P0003`); also small ones that the devkit copied whole.
        patches: Pictures that the devkit cut, such as `P0003_0_800_600_1400.png`.
        instances: Pictures whose colours number the instances of a scene, by stem.
        colours: Pictures whose colours tell the classes of a scene, by stem.
        official: COCO files of whole scenes.
        devkit: COCO files of patches.
    """

    scenes: dict[str, Path] = field(default_factory=dict)
    patches: list[Path] = field(default_factory=list)
    instances: dict[str, Path] = field(default_factory=dict)
    colours: dict[str, Path] = field(default_factory=dict)
    official: list[Path] = field(default_factory=list)
    devkit: list[Path] = field(default_factory=list)


def files_of(root: Path, split: str) -> IsaidFiles:
    """Looks through a folder and all in it.

    A file belongs to the split whose name begins that of the last folder above it that has one
    (`train/images`, `TrainData/...`); if there are no such folders, all belong to the split.

    Args:
        root: The folder.
        split: "train" or "val".

    Raises:
        ValueError: If two files are the same scene.
    """
    paths = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(root, followlinks=True)
        for name in names
        if name.endswith((".png", ".json")) and not name.startswith(".")
    )
    splits = {path: _split_of(path, root) for path in paths}
    divided = any(splits.values())
    files = IsaidFiles()
    for path in paths:
        if path.suffix == ".json":
            _add_annotations(files, path, split, splits[path])
        elif splits[path] == split or not divided:
            _add_picture(files, path)
    return files


def _split_of(path: Path, root: Path) -> str | None:
    for part in reversed(path.relative_to(root).parts[:-1]):
        for split in _SPLITS:
            if part.lower().startswith(split):
                return split
    return None


def _add_annotations(files: IsaidFiles, path: Path, split: str, folder_split: str | None) -> None:
    name = path.name
    if re.fullmatch(rf"iSAID_{split}(_\d+)*\.json", name):
        files.official.append(path)
    elif re.fullmatch(rf"(instances?_?only_filtered|instances)_{split}\.json", name) or (
        # Of another repack of the patches.
        name == "Label.json" and folder_split == split
    ):
        files.devkit.append(path)


def _add_picture(files: IsaidFiles, path: Path) -> None:
    name = path.name
    if _PATCH.fullmatch(name):
        files.patches.append(path)
    elif _SCENE.fullmatch(name):
        _add_once(files.scenes, path.stem, path)
    elif found := _INSTANCES.fullmatch(name):
        _add_once(files.instances, found[1], path)
    elif found := _COLOURS.fullmatch(name):
        _add_once(files.colours, found[1], path)


def _add_once(paths: dict[str, Path], stem: str, path: Path) -> None:
    if stem in paths:
        raise ValueError(
            f"`root` must hold either whole scenes or patches, once: '{paths[stem]}' and '{path}' "
            "have the same name; name a folder that has only one of them."
        )
    paths[stem] = path
