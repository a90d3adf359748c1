"""Procedural scenes as a data set: masks are exact, and nothing needs to be downloaded."""

from collections.abc import Iterator
from functools import partial

import torch

from ...drawn_scenes import DRAWN_VOCABULARY, draw_scene
from ...processing.coco_masks import encode_mask
from ..records import ImageRecord, ObjectRecord, SourceSplit

# The seeds of the splits lie so far apart that no scene is in two of them.
_FIRST_SEED = {"train": 0, "val": 1_000_000_000}


def read_drawn(split: str, images: int, size: int = 256) -> SourceSplit:
    """Draws the scenes of a split.

    Args:
        split: "train" or "val".
        images: Number of scenes.
        size: Width and height in pixels.

    Returns:
        The split; the number of an image is the seed of its scene.

    Raises:
        ValueError: If there is no such split.
    """
    if split not in _FIRST_SEED:
        raise ValueError(f"`split` must be one of 'train' and 'val', but got {split!r}.")
    first = _FIRST_SEED[split]
    return SourceSplit(
        name="drawn",
        split=split,
        class_names=tuple(DRAWN_VOCABULARY),
        kind="instance",
        keys=range(first, first + images),
        read=partial(_read, size=size),
        settings={"size": str(size)},
    )


def _read(seed: int, size: int) -> Iterator[ImageRecord]:
    scene = draw_scene(seed, size)
    objects = tuple(
        ObjectRecord(name, encode_mask(torch.from_numpy(mask), 0, 0, (size, size)))
        for mask, name in zip(scene.masks, scene.class_names, strict=True)
    )
    yield ImageRecord(seed, f"drawn_{seed}.png", scene.image, size, size, objects)
