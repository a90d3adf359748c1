"""From a GeoTIFF to a GeoPackage: how memory and time grow with the size of the scene."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow

from score_hf.scenes import Found, SceneOptions, SceneSegmenter, Tile
from score_hf.scenes.result import restitch
from score_hf.scenes.shards import WorkFolder

from ..memory import forget_peak, peak_memory

_CELL, _BLOCK = 64, 1024


class Cells:
    """Finds a box in every cell of a fixed lattice, and roads from side to side."""

    def __call__(self, tiles: Sequence[Tile]) -> list[list[Found]]:
        return [self._find(tile) for tile in tiles]

    def _find(self, tile: Tile) -> list[Found]:
        window, found = tile.window, []
        for row in range(window.top // _CELL, (window.bottom - 1) // _CELL + 1):
            for column in range(window.left // _CELL, (window.right - 1) // _CELL + 1):
                tall, broad = 12 + 5 * (row % 4), 12 + 7 * (column % 4)
                top, left = max(row * _CELL + 4, window.top), max(column * _CELL + 4, window.left)
                bottom = min(row * _CELL + 4 + tall, window.bottom)
                right = min(column * _CELL + 4 + broad, window.right)
                if top < bottom and left < right:
                    mask = np.ones((bottom - top, right - left), dtype=bool)
                    found.append(Found(0, 0.8, mask, top - window.top, left - window.left))
            road = row * _CELL + 54
            if row % 8 == 0 and window.top <= road and road + 6 <= window.bottom:
                mask = np.ones((6, window.width), dtype=bool)
                found.append(Found(1, 0.7, mask, road - window.top, 0))
        return found


def measure_whole(side: int) -> dict[str, Any]:
    """Writes a GeoTIFF and takes it through tiles, shards and stitching.

    Args:
        side: Of the scene in pixels.

    Returns:
        Seconds, tiles, objects, and the peak of memory in GB of all but the drawing.
    """
    with tempfile.TemporaryDirectory() as folder:
        scene = _write(Path(folder) / "scene.tif", side)
        segmenter = SceneSegmenter(Cells(), ["box", "road"], "cells")
        options = SceneOptions(tile_size=1024, overlap=160)
        forget_peak()
        start = time.perf_counter()
        output, work = Path(folder) / "a.gpkg", Path(folder) / "work"
        result = segmenter.segment(scene, output=output, options=options, work=work, keep_work=True)
        whole = time.perf_counter() - start
        peak = peak_memory()
        start = time.perf_counter()
        shards = WorkFolder.existing(work)
        restitch(shards, result.plan, {"gpkg": Path(folder) / "b.gpkg"}, options)
        stitching = time.perf_counter() - start
    return {
        "tiles": len(result.plan.tiles),
        "objects": sum(result.counts.values()),
        "tile_seconds": whole - stitching,
        "stitch_seconds": stitching,
        "gigabytes": peak,
    }


def _write(path: Path, side: int) -> Path:
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32632",
        "transform": from_origin(400000, 5400000, 0.3, 0.3),
        "tiled": True,
        "compress": "lzw",
    }
    noise = np.random.default_rng(0).integers(90, 94, (3, _BLOCK, 1), dtype=np.uint8)
    noise = np.tile(noise, (1, 1, _BLOCK))
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, side, _BLOCK):
            for column in range(0, side, _BLOCK):
                window = RasterWindow(column, row, _BLOCK, _BLOCK)
                dataset.write(noise, window=window)
    return path
