"""Writes COCO files as they are found on disk, and small sources for the writer."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from score_hf.data.records import Dropped, ImageRecord, ObjectRecord, SourceSplit


def box_polygon(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def encode(mask: np.ndarray) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def box_runs(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> dict:
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return encode(mask)


def draw(segmentation: dict) -> np.ndarray:
    return coco_mask.decode(segmentation).astype(bool)


def image(number: object, file_name: str, width: int | None = 60, height: int | None = 40) -> dict:
    size = {} if width is None else {"width": width, "height": height}
    return {"id": number, "file_name": file_name, **size}


def annotation(number: object, image_id: object, category_id: int, segmentation: object, **more):
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        **more,
    }


def write_coco(
    path: Path, images: Sequence[dict], annotations: Sequence[dict], categories: dict[int, str]
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"id": number, "name": name} for number, name in categories.items()]
    contents = {
        "info": {"description": "drawn"},
        "images": images,
        "annotations": annotations,
        "categories": listed,
    }
    path.write_text(json.dumps(contents))
    return path


def records_of(source: SourceSplit) -> list[ImageRecord | Dropped]:
    return [record for key in source.keys for record in source.read(key)]


def toy_source(
    images: int = 7, split: str = "train", class_names: tuple[str, ...] = ("ship", "plane"), **more
) -> SourceSplit:
    """Images of 60 x 40 pixels with 0, 1 or 2 objects; number 3 is left out."""

    def read(number: int) -> Iterator[ImageRecord | Dropped]:
        if number == 3:
            yield Dropped("3.png", "no good")
            return
        picture = Image.new("RGB", (60, 40), (number, 0, 0))
        objects = [
            ObjectRecord(class_names[k % len(class_names)], box_runs((40, 60), 5 * k, 3, 30, 20))
            for k in range(number % 3)
        ]
        yield ImageRecord(number, f"{number}.png", picture, 60, 40, tuple(objects))

    return SourceSplit("toy", split, class_names, "instance", range(images), read, **more)
