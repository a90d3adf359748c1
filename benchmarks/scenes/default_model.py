"""The default model on a drawn GeoTIFF whose objects are known: merged, and tile by tile."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow

from score_hf.drawn_scenes import DRAWN_VOCABULARY, draw_scene
from score_hf.scenes import Piece, Scene, SceneOptions, SceneSegmenter, TileGrid, make_pieces
from score_hf.scenes.coco_file import encode
from score_hf.scenes.groups import single
from score_hf.scenes.result import restitch
from score_hf.scenes.shards import WorkFolder

# A drawn scene has a side of so many pixels; a larger one is put together of them, so that objects
# end where two of them meet.
_BLOCK, _FIRST_SEED = 1024, 900_000
_FLOOR = 0.05


def measure_model(side: int, folder: Path) -> dict[str, Any]:
    """Segments a drawn scene with the default model.

    Args:
        side: Of the scene in pixels, a multiple of 1024.
        folder: Where scene, tiles and results go; what is there is not computed again.

    Returns:
        Mask AP by method, the objects, the tiles, and seconds of CPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene, names = folder / "scene.tif", list(DRAWN_VOCABULARY)
    truth = draw(scene, side, names)
    segmenter = SceneSegmenter.from_pretrained(classes=names)
    options = SceneOptions(threshold=_FLOOR, floor=_FLOOR)
    start = time.process_time()
    result = segmenter.segment(
        scene,
        output=folder / "merged.json",
        options=options,
        work=folder / "work",
        keep_work=True,
        overwrite=True,
        progress=lambda done, total, found: print(done, total, found, flush=True),
    )
    whole = time.process_time() - start
    shards, plan = WorkFolder.existing(folder / "work"), result.plan
    start = time.process_time()
    restitch(shards, plan, {"gpkg": folder / "again.gpkg"}, options)
    stitching = time.process_time() - start
    size = (side, side)
    merged = json.loads((folder / "merged.json").read_text())["annotations"]
    tiles = _annotations((one for place in plan.tiles for one in shards.read(*place)), size)
    plain = _annotations(_side_by_side(segmenter, scene, plan.tile_size), size)
    known = _annotations(truth, size)
    methods = {
        "merged": merged,
        "the same tiles without merging": tiles,
        "tiles side by side without merging": plain,
    }
    return {
        "objects": len(known),
        "tiles": len(plan.tiles),
        "split_tiles": result.split_tiles,
        "tile_seconds": whole - stitching,
        "stitch_seconds": stitching,
        "methods": {
            method: {"found": len(found), **average_precision(known, found, size, names)}
            for method, found in methods.items()
        },
    }


def draw(path: Path, side: int, names: list[str]) -> list[Piece]:
    """Draws a GeoTIFF of half a metre a pixel and returns its objects."""
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32632",
        "transform": from_origin(400000, 5400000, 0.5, 0.5),
        "tiled": True,
        "compress": "deflate",
    }
    objects, seed = [], _FIRST_SEED
    is_there = path.exists()
    with rasterio.open(path, "r" if is_there else "w", **({} if is_there else profile)) as dataset:
        for top in range(0, side, _BLOCK):
            for left in range(0, side, _BLOCK):
                drawn = draw_scene(seed, _BLOCK)
                seed += 1
                if not is_there:
                    values = np.asarray(drawn.image).transpose(2, 0, 1)
                    dataset.write(values, window=RasterWindow(left, top, _BLOCK, _BLOCK))
                boxes = drawn.boxes.astype(int).tolist()
                for mask, name, (west, north, east, south) in zip(
                    drawn.masks, drawn.class_names, boxes, strict=True
                ):
                    inside = mask[north:south, west:east].copy()
                    piece = Piece(names.index(name), 1.0, top + north, left + west, inside)
                    objects.append(piece)
    return objects


def _side_by_side(segmenter: SceneSegmenter, scene: Path, tile: int) -> Iterator[Piece]:
    with Scene(scene) as opened:
        grid = TileGrid(opened.height, opened.width, tile, 1)
        for top in range(0, opened.height, tile):
            for left in range(0, opened.width, tile):
                window = grid.window(0, 0)._replace(
                    top=top,
                    left=left,
                    bottom=min(top + tile, opened.height),
                    right=min(left + tile, opened.width),
                )
                seen = opened.read(window)
                yield from make_pieces(seen, segmenter.predictor([seen])[0], grid)


def _annotations(pieces: Iterable[Piece], size: tuple[int, int]) -> list[dict[str, Any]]:
    annotations = []
    for number, piece in enumerate(pieces, start=1):
        box = piece.window
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": piece.label + 1,
                "segmentation": encode(single(piece), size),
                "bbox": [box.left, box.top, box.width, box.height],
                "area": piece.count(box),
                "iscrowd": 0,
                "score": piece.score,
            }
        )
    return annotations


def average_precision(
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    size: tuple[int, int],
    names: list[str],
) -> dict[str, float]:
    """Mask AP over all detections of the one image, however many.

    Args:
        truth: Annotations.
        found: Annotations with scores.
        size: Height and width.
        names: Of the classes.

    Returns:
        `ap`, the mean over IoU 0.5 to 0.95 and classes that occur, and `ap50`.
    """
    known = COCO()
    known.dataset = {
        "info": {},
        "images": [{"id": 1, "height": size[0], "width": size[1]}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": truth,
    }
    known.createIndex()
    evaluation = COCOeval(known, known.loadRes([dict(one) for one in found]), "segm")
    evaluation.params.maxDets = [10**6]
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    occurring = precision[:, :, (precision > -1).any(axis=(0, 1))]
    return {"ap": float(occurring.mean()), "ap50": float(occurring[0].mean())}
