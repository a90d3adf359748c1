"""A small prepared set of drawn scenes, written as `score-hf prepare` writes one."""

from io import BytesIO
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from score_hf.data.records import ImageRecord, ObjectRecord, SourceSplit
from score_hf.data.writing import write_split
from score_hf.drawn_scenes import DRAWN_VOCABULARY, DrawnScene, draw_scene


def encode(mask: np.ndarray) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def write_records(output: Path, records: list[ImageRecord], class_names, kind="instance") -> Path:
    source = SourceSplit(
        name="test",
        split="train",
        class_names=tuple(class_names),
        kind=kind,
        keys=range(len(records)),
        read=lambda key: iter([records[key]]),
        paper_count=None,
    )
    write_split(source, output)
    return output


def write_drawn_set(output: Path, images: int = 6, size: int = 64) -> Path:
    """Scenes of the drawn vocabulary, all with objects, numbered from 0."""
    records: list[ImageRecord] = []
    for number in range(images):
        scene = drawn_scene(number, size)
        objects = tuple(
            ObjectRecord(name, encode(mask))
            for name, mask in zip(scene.class_names, scene.masks, strict=True)
        )
        records.append(
            ImageRecord(number, f"drawn_{number}.png", scene.image, size, size, objects=objects)
        )
    return write_records(output, records, DRAWN_VOCABULARY)


def drawn_scene(number: int, size: int = 64) -> DrawnScene:
    """The scene of a number, the first of its seeds with an object."""
    scenes = (draw_scene(100 * number + seed, size) for seed in range(100))
    return next(scene for scene in scenes if len(scene.masks))


def png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
