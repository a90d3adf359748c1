"""FLAIR #1, land cover of France from the air, as IGN publishes it or as GSNet converted it."""

import os
import re
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..records import IGNORED, SourceSplit
from ..semantic_sets import FLAIR
from .folders import check_pairs, check_root, check_split, find_layout, image_files
from .label_images import Pair, pair_up, read_pair, value_table

# Of D012_2019/Z10_UU/img/IMG_062613.tif: the domain, its zone and the number.
_TILE = re.compile(r"(IMG|MSK)_(\d+)\.tif", re.IGNORECASE)
_OTHER = len(FLAIR.class_names)
_SPLITS = ("train", "test")


def read_flair(
    root: str | os.PathLike[str],
    split: str = "test",
    unscored: Literal["ignore", "keep"] = "ignore",
) -> SourceSplit:
    """Reads FLAIR #1.

    Args:
        root: A folder that holds `flair_1_aerial_{train,test}` and `flair_1_labels_{train,test}`
            (or the domains of one split, D012_2019 and so on), or GSNet's `test/{image,mask}`.
        split: "test", or "train" for what IGN publishes for training and validation.
        unscored: What becomes of the values 13 to 19: "ignore" them as GSNet does, or "keep" them
            as one class more, "other".

    Returns:
        The split, label images with the 12 classes that the paper's Table A scores.

    Raises:
        FileNotFoundError: If it is not there or not complete.
        ImportError: If IGN's 5-band files are to be read and rasterio is not installed.
        ValueError: If there is no such split.
    """
    check_split(split, _SPLITS)
    folder = check_root(root)
    other = IGNORED if unscored == "ignore" else _OTHER
    converted = find_layout(folder, (f"{split}/image", f"{split}/mask"))
    if converted is not None:
        images = image_files(converted / split / "image")
        labels = image_files(converted / split / "mask")
        check_pairs(images, labels, f"'{converted / split / 'image'}' and its 'mask'")
        pairs = pair_up(images, labels)
        # Contiguous from 0, "other" last: GSNet's conversion has done the rest.
        read = partial(
            read_pair,
            table=value_table({index: index for index in range(_OTHER)} | {_OTHER: other}),
        )
    else:
        pairs = _published_pairs(folder, split)
        table = value_table(
            {index + 1: index for index in range(_OTHER)} | dict.fromkeys(range(13, 20), other)
        )
        _import_rasterio()
        read = partial(read_pair, table=table, open_image=open_first_bands)
    return SourceSplit(
        name=FLAIR.name,
        split=split,
        class_names=FLAIR.class_names if unscored == "ignore" else FLAIR.all_names,
        kind="semantic",
        keys=pairs,
        read=read,
        paper_count=FLAIR.paper_images if split == FLAIR.split else None,
        notes=("values 13 to 19 are " + ("ignored" if unscored == "ignore" else "'other'"),),
        settings={"unscored": unscored},
    )


def _published_pairs(folder: Path, split: str) -> list[Pair]:
    found: dict[str, dict[str, Path]] = {"IMG": {}, "MSK": {}}
    for path in _walk(folder):
        match = _TILE.fullmatch(path.name)
        if match is None or not _belongs(path.relative_to(folder), split):
            continue
        kind, number = match[1].upper(), match[2]
        # Images and masks lie in different archives, so only the last folders are the same.
        domain, zone = path.parts[-4:-2]
        key = f"{domain}/{zone}/{number}"
        if key in found[kind]:
            raise ValueError(
                f"`root` has two files for one tile, '{found[kind][key]}' and '{path}'; name the "
                "folder of one data set."
            )
        found[kind][key] = path
    if not found["IMG"]:
        raise FileNotFoundError(
            f"`root` must hold FLAIR's {split} images, D###_YEAR/Z##_XX/img/IMG_######.tif, or "
            f"GSNet's '{split}/image' and '{split}/mask', but there are none below '{folder}'; "
            f"unpack flair_1_aerial_{split} and flair_1_labels_{split} there."
        )
    check_pairs(found["IMG"], found["MSK"], f"the {split} folders below '{folder}'")
    return pair_up(found["IMG"], found["MSK"])


def _walk(folder: Path) -> list[Path]:
    return [
        Path(directory, name)
        for directory, _, names in os.walk(folder, followlinks=True)
        if os.path.basename(directory).lower() in ("img", "msk")
        for name in names
    ]


def _belongs(path: Path, split: str) -> bool:
    """Whether the archive's name says this split, or says none because only one is there."""
    names = [part.lower() for part in path.parts[:-4]]
    of_train = any("train" in name for name in names)
    of_test = any("test" in name for name in names)
    return (of_train or of_test) is False or (of_test if split == "test" else of_train)


def open_first_bands(path: Path) -> Image.Image:
    """Opens red, green and blue of a file with more bands, which Pillow does not read.

    Args:
        path: A raster of 8 bits a band.

    Returns:
        An RGB picture of its first three bands.

    Raises:
        ImportError: If rasterio is not installed.
        OSError: If it is damaged, or has fewer bands or another type.
    """
    rasterio = _import_rasterio()
    try:
        with rasterio.open(path) as raster:
            if raster.count < 3 or raster.dtypes[0] != "uint8":
                raise OSError(f"'{path}' has {raster.count} bands of {raster.dtypes[0]}.")
            bands = raster.read((1, 2, 3))
    except rasterio.errors.RasterioError as error:
        raise OSError(f"'{path}' cannot be decoded ({error}).") from error
    return Image.fromarray(np.ascontiguousarray(bands.transpose(1, 2, 0)))


def _import_rasterio() -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            "FLAIR's images have five bands, which need the package rasterio: run "
            "`pip install rasterio`."
        ) from error
    return rasterio
