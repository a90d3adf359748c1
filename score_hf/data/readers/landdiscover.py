"""LandDiscover50K, the semantic training set of the paper's Table A."""

import os
from functools import partial

from ..records import SourceSplit
from ..semantic_sets import LANDDISCOVER
from .folders import check_pairs, check_root, check_split, find_layout, image_files
from .label_images import pair_up, read_pair, value_table


def read_landdiscover(root: str | os.PathLike[str], split: str = "train") -> SourceSplit:
    """Reads LandDiscover50K: `TR_Image/*.png` with class indices of the same names in `GT_ID/`.

    Args:
        root: The unpacked archive, or a folder that holds it.
        split: "train", its only one.

    Returns:
        The split, label images with 40 classes; background is one of them.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ValueError: If there is no such split.
    """
    check_split(split, ("train",))
    folder = check_root(root)
    base = find_layout(folder, ("TR_Image", "GT_ID"))
    if base is None:
        raise FileNotFoundError(
            f"`root` must hold LandDiscover50K's folders 'TR_Image' and 'GT_ID', but neither "
            f"'{folder}' nor a folder in it has both; join the parts of its zip and unpack them."
        )
    images, labels = image_files(base / "TR_Image"), image_files(base / "GT_ID")
    check_pairs(images, labels, f"'{base / 'TR_Image'}' and '{base / 'GT_ID'}'")
    table = value_table(
        {index: index for index in range(len(LANDDISCOVER.class_names))} | {255: 255}
    )
    return SourceSplit(
        name=LANDDISCOVER.name,
        split=split,
        class_names=LANDDISCOVER.class_names,
        kind="semantic",
        keys=pair_up(images, labels),
        read=partial(read_pair, table=table),
        paper_count=LANDDISCOVER.paper_images,
        notes=("background is a class, as in the training of GSNet, whose evaluation ignores it",),
    )
