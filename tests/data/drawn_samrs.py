"""Draws annotations as SAMRS stores them: pickles with run lengths, label images, colours."""

import pickle
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from tests.data.drawn_files import draw_image, draw_label

HEIGHT, WIDTH = 10, 12


def encoded(mask: np.ndarray) -> dict:
    """As SAMRS stores it: the counts are text."""
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}


def block(rows: slice, columns: slice, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[rows, columns] = True
    return mask


def instance(label: int, mask: np.ndarray, category: str, rotated: bool = False) -> dict:
    corners = np.array([[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]])
    box = np.array([1.0, 1.0, 4.0, 3.0])
    return {
        "mask": encoded(mask),
        **({"rbox": corners, "rhbox": box} if rotated else {"bbox": box}),
        "category": category,
        "label": np.int64(label) if rotated else label,
        "size": np.int64(mask.sum()),
    }


def write_annotation(folder: Path, stem: str, objects: list[dict]) -> None:
    (folder / "ins").mkdir(parents=True, exist_ok=True)
    (folder / "ins" / f"{stem}.pkl").write_bytes(pickle.dumps(objects))
    gray = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    for one in objects:
        if one["mask"]["size"] == [HEIGHT, WIDTH]:
            gray[coco_mask.decode(one["mask"]).astype(bool)] = one["label"] % 256
    draw_label(folder / "gray" / f"{stem}.png", gray)
    draw_image(folder / "color" / f"{stem}.png", WIDTH, HEIGHT)


CAR = block(slice(2, 5), slice(3, 8))
POOL = block(slice(0, 2), slice(0, 2))
