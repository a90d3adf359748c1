"""FloodNet (supervised, version 1.0): flooded and dry buildings and roads seen from drones."""

import os
from functools import partial
from pathlib import Path
from typing import Literal

from ..records import IGNORED, SourceSplit
from ..semantic_sets import FLOODNET
from .folders import check_pairs, check_root, check_split, find_layout, image_files
from .label_images import pair_up, read_pair, value_table

_SUFFIX = "_lab"
_SPLITS = {"train": ("train",), "val": ("val",), "test": ("test",), "val_test": ("val", "test")}


def read_floodnet(
    root: str | os.PathLike[str],
    split: str = "val_test",
    unscored: Literal["ignore", "keep"] = "ignore",
) -> SourceSplit:
    """Reads FloodNet as its authors publish it, or GSNet's `val+test/{img,lbl}`.

    Args:
        root: A folder that holds `train/train-org-img`, `train/train-label-img` and so on.
        split: "train", "val", "test", or "val_test" for the two together, as the paper scores.
        unscored: What becomes of Background, value 0 of the files: "ignore" it as GSNet does, or
            "keep" it as one class more, the last.

    Returns:
        The split, label images with the 9 classes that the paper's Table A scores.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split.
    """
    check_split(split, tuple(_SPLITS))
    folder = check_root(root)
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for number, (image_folder, label_folder) in enumerate(_folders(folder, split)):
        # The label of 6279.jpg is 6279_lab.png.
        images_here = image_files(image_folder)
        labels_here = image_files(label_folder, lambda stem: stem.removesuffix(_SUFFIX))
        check_pairs(images_here, labels_here, f"'{image_folder}' and '{label_folder}'")
        images |= {f"{number}/{stem}": path for stem, path in images_here.items()}
        labels |= {f"{number}/{stem}": path for stem, path in labels_here.items()}
    count = len(FLOODNET.class_names)
    background = IGNORED if unscored == "ignore" else count
    return SourceSplit(
        name=FLOODNET.name,
        split=split,
        class_names=FLOODNET.class_names if unscored == "ignore" else FLOODNET.all_names,
        kind="semantic",
        keys=pair_up(images, labels),
        read=partial(
            read_pair,
            table=value_table({0: background} | {index + 1: index for index in range(count)}),
        ),
        paper_count=FLOODNET.paper_images if split == FLOODNET.split else None,
        notes=("Background is " + ("ignored" if unscored == "ignore" else "a class"),),
        settings={"unscored": unscored},
    )


def _folders(root: Path, split: str) -> list[tuple[Path, Path]]:
    if split == "val_test":
        merged = find_layout(root, ("val+test/img", "val+test/lbl"))
        if merged is not None:
            return [(merged / "val+test/img", merged / "val+test/lbl")]
    found = []
    for part in _SPLITS[split]:
        names = (f"{part}/{part}-org-img", f"{part}/{part}-label-img")
        base = find_layout(root, names)
        if base is None:
            raise FileNotFoundError(
                f"`root` must hold FloodNet's folders '{names[0]}' and '{names[1]}', but neither "
                f"'{root}' nor a folder in it has both; unpack FloodNet-Supervised_v1.0 there."
            )
        found.append((base / names[0], base / names[1]))
    return found
