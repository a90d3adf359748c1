"""What readers hand to the writer: images with their objects, or why they were left out."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

Kind = Literal["instance", "semantic"]
# Pixels with this value in a label image belong to no class.
IGNORED = 255


@dataclass(frozen=True)
class ObjectRecord:
    """One object of an image.

    Args:
        category: Name of its class, spelled as in `SourceSplit.class_names`.
        segmentation: Compressed COCO run lengths, `{"size": [height, width], "counts": str}`.
        iscrowd: Whether it is a group of objects that was not taken apart.
        id: Its number in the source, unique in the split; None: the writer numbers it.
        area: Area that the source states, in pixels, by which COCO's evaluation tells small from
            large objects; None: that of the mask.
    """

    category: str
    segmentation: dict[str, Any]
    iscrowd: bool = False
    id: int | None = None
    area: float | None = None


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image with what is marked in it.

    Args:
        image_id: Unique in the split.
        file_name: Name of the picture in the source.
        image: Path of the picture, whose bytes are stored as they are; or the picture itself,
            stored as PNG.
        width: Width in pixels as the source states it.
        height: Height in pixels as the source states it.
        objects: Of an instance set.
        label: Of a semantic set: class indices (height, width), uint8, `IGNORED` for none.
        dropped: For each object that was left out, why: a short phrase that is the same for all
            objects with that fault.
        altered: The same for what was kept but changed.
    """

    image_id: int
    file_name: str
    image: Path | Image.Image
    width: int
    height: int
    objects: tuple[ObjectRecord, ...] = ()
    label: np.ndarray | None = None
    dropped: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """An image that is left out.

    Args:
        file_name: Name of the picture in the source.
        reason: A short phrase that is the same for all images with that fault.
    """

    file_name: str
    reason: str


@dataclass(frozen=True, eq=False)
class SourceSplit:
    """One split of a data set as it lies on disk.

    Args:
        name: The data set, for the summary.
        split: The split, as it will be called.
        class_names: Classes in the order of their numbers.
        kind: Whether objects or label images are marked.
        keys: One for each image, cheap to list and the same at every run.
        read: Reads the image of a key. Of an instance set it gives one record or one `Dropped`.
        paper_count: Number of images that the paper states.
        notes: Sentences for the summary about how the source was read.
        settings: Whatever else determines the outcome (options, digests of annotation files).
            A run that was stopped is continued only if these, the classes and the keys agree.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    kind: Kind
    keys: Sequence[Hashable]
    read: Callable[[Any], Iterator[ImageRecord | Dropped]]
    paper_count: int | None = None
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
