"""What data sets mark: COCO's JSON, SAMRS's pickles, captions, tiles, prepared splits."""

import json
import pickle
import pickletools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from score_hf.data.checking import row_of_record
from score_hf.data.readers.coco import read_coco
from score_hf.data.readers.samrs_pickle import read_objects
from score_hf.data.records import Dropped
from score_hf.training.image_text_pairs import CaptionedImages
from score_hf.training.tile_split import split_tiles

from .damage import Strategy, damaged, damaged_json
from .hostile import OPCODES, Runs
from .target import Target

_POLYGON = [5, 5, 30, 5, 30, 20, 5, 20]


def _coco_trees() -> list[Any]:
    images = [
        {"id": number, "file_name": name, "width": 60, "height": 40}
        for number, name in ((1, "tile_1.png"), (2, "tile_2.png"), (3, "tile_900.png"))
    ]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [_POLYGON], "area": 375},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": _POLYGON, "iscrowd": 1},
        {
            "id": 3, "image_id": 2, "category_id": 1,
            "segmentation": {"size": [40, 60], "counts": [100, 50, 2250]},
        },
        {
            "id": 4, "image_id": 3, "category_id": 1, "category_name": "plane",
            "segmentation": {"size": [40, 60], "counts": "b1a05c06e1"},
        },
    ]  # fmt: skip
    categories = [{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}]
    return [
        {"images": images, "annotations": annotations, "categories": categories},
        {"images": images[:1], "categories": categories, "annotations": annotations[:2]},
    ]


def _read_coco(content: bytes, folder: Path) -> None:
    for name in ("tile_1.png", "tile_2.png", "tile_900.png"):
        if not (folder / name).is_file():
            Image.new("RGB", (60, 40)).save(folder / name)
    path = folder / "instances.json"
    path.write_bytes(content)
    source = read_coco(folder, path, "train")
    for number, key in enumerate(source.keys):
        for record in source.read(key):
            if not isinstance(record, Dropped):
                row_of_record(record, "instance", source.class_names, number)


def _split_tiles(content: bytes, folder: Path) -> None:
    path = folder / "instances.json"
    path.write_bytes(content)
    split_tiles([path], folder / "split", [range(900, 1000)], 80)


def _samrs_objects() -> list[dict[str, Any]]:
    mask = {"size": [40, 60], "counts": "b1a05c06e1"}
    return [
        {"mask": mask, "label": np.int64(3), "bbox": np.array([[1.0, 2.0], [3.0, 4.0]])},
        {"mask": mask, "label": 2, "size": np.int32(7)},
    ]


def _samrs_files() -> list[bytes]:
    return [pickle.dumps(_samrs_objects(), protocol) for protocol in (0, 2, 4, 5)]


def _damaged_samrs(files: Sequence[bytes]) -> Strategy[bytes]:
    hostile = [pickle.dumps([*_samrs_objects(), {"label": runs}], 2) for runs in Runs.all()]
    optimised = [pickletools.optimize(file) for file in files]
    return st.one_of(damaged([*files, *optimised, *hostile], OPCODES), st.sampled_from(hostile))


def _read_samrs(content: bytes, folder: Path) -> None:
    path = folder / "objects.pkl"
    path.write_bytes(content)
    read_objects(path)


def _captions() -> list[Any]:
    row = {"file_name": "a.png", "captions": ["A harbor.", "Ships in a harbor."]}
    return [row, {**row, "captions": ["One."]}]


def _damaged_captions(rows: Sequence[Any]) -> Strategy[bytes]:
    first = json.dumps(rows[0]).encode() + b"\n"
    return damaged_json(rows).map(lambda row: first + row)


def _read_captions(content: Any, folder: Path) -> None:
    Image.new("RGB", (60, 40)).save(folder / "a.png")
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "captions.jsonl").write_bytes(content)
    captioned = CaptionedImages(folder)
    for seed in range(3):
        captioned.draw(16, np.random.default_rng(seed))


def _as_bytes(trees: Sequence[Any]) -> list[bytes]:
    return [json.dumps(tree).encode() for tree in trees]


def _damaged_coco(files: Sequence[bytes]) -> Strategy[bytes]:
    values = (_POLYGON, {"size": [40, 60], "counts": [2400]}, 1e5, 1e9, "tile_1.png", "background")
    return damaged_json([json.loads(file) for file in files], values)


def _fresh_split(content: bytes, folder: Path) -> None:
    shutil.rmtree(folder / "split", ignore_errors=True)
    _split_tiles(content, folder)


TARGETS = (
    Target(
        "coco", lambda: _as_bytes(_coco_trees()), _damaged_coco, _read_coco,
        (FileNotFoundError, ValueError),
    ),
    Target("tiles", lambda: _as_bytes(_coco_trees()[:1]), _damaged_coco, _fresh_split),
    Target("samrs", _samrs_files, _damaged_samrs, _read_samrs, (OSError, ValueError)),
    Target("captions", _captions, _damaged_captions, _read_captions),
)  # fmt: skip
