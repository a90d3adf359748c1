"""Small datasets in the prepared schema, and predictions that are partly right."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset
from PIL import Image
from pycocotools import mask as coco_mask

from score_hf.data.records import Kind
from score_hf.data.schema import features_of

NAMES = ("ship", "storage_tank", "harbor", "bridge")
SIZE = (48, 64)


def encode(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return mask


def png(pixels: np.ndarray) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


def _places(random: np.random.Generator, count: int) -> list[tuple[int, int, int, int]]:
    return [
        (
            int(random.integers(0, 36)),
            int(random.integers(0, 50)),
            int(random.integers(3, 30)),
            int(random.integers(3, 30)),
        )
        for _ in range(count)
    ]


def instance_rows(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> list[dict]:
    """Rows of noise with rectangles; the last class never occurs, some objects are crowds."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        objects = []
        for place in _places(random, int(random.integers(0, 6))):
            mask = rectangle(*place)
            rows_, columns = np.nonzero(mask)
            objects.append(
                {
                    "id": 100 * number + len(objects) + 1,
                    "category": names[int(random.integers(0, len(names) - 1))],
                    "segmentation": encode(mask),
                    "bbox": [
                        float(columns.min()),
                        float(rows_.min()),
                        float(np.ptp(columns) + 1),
                        float(np.ptp(rows_) + 1),
                    ],
                    "area": float(mask.sum()),
                    "iscrowd": bool(random.random() < 0.1),
                }
            )
        rows.append({**_image(random, number), "objects": objects})
    return rows


def semantic_rows(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> list[dict]:
    """Rows of noise with label images; the last class never occurs, a seventh is ignored."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = np.full(SIZE, random.integers(0, len(names) - 1), dtype=np.uint8)
        for place in _places(random, 4):
            label[rectangle(*place)] = random.choice([*range(len(names) - 1), 255])
        rows.append(
            {
                **_image(random, number),
                "label": png(label),
                "classes": [int(value) for value in np.unique(label) if value != 255],
            }
        )
    return rows


def _image(random: np.random.Generator, number: int) -> dict:
    return {
        "image": png(random.integers(0, 256, (*SIZE, 3), dtype=np.uint8)),
        # Not in the order of the rows, as in datasets whose numbers come from elsewhere.
        "image_id": (number * 7 + 3) % 1000,
        "file_name": f"scene_{number}.png",
        "width": SIZE[1],
        "height": SIZE[0],
    }


def made_set(rows: list[dict], names: tuple[str, ...] = NAMES, kind: Kind = "instance") -> Dataset:
    return Dataset.from_list(rows, features=features_of(kind, names))


def instance_set(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> Dataset:
    return made_set(instance_rows(count, seed, names), names)


def semantic_set(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> Dataset:
    return made_set(semantic_rows(count, seed, names), names, "semantic")


def write_set(folder: Path, dataset: Dataset, split: str = "val") -> Path:
    """Writes a folder as `score-hf prepare` does."""
    (folder / "data").mkdir(parents=True)
    dataset.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    files = [{"split": split, "path": f"data/{split}-*.parquet"}]
    front = {"configs": [{"config_name": "default", "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n")
    return folder


def noisy_predictions(truth: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """Objects moved a little, some of a wrong class, with coarse scores that often tie."""
    random = np.random.default_rng(seed)
    predictions = []
    for entry in truth["annotations"]:
        for _ in range(int(random.integers(0, 3))):
            mask = coco_mask.decode(entry["segmentation"])
            mask = np.roll(mask, random.integers(-2, 3, 2), axis=(0, 1))
            category = entry["category_id"]
            if random.random() < 0.2:
                category = int(random.integers(1, len(truth["categories"]) + 1))
            predictions.append(
                {
                    "image_id": entry["image_id"],
                    "category_id": category,
                    "segmentation": encode(mask),
                    "score": int(random.integers(0, 11)) / 10,
                }
            )
    return predictions
