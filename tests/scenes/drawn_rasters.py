"""Small GeoTIFFs, drawn for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

UTM = "EPSG:32632"


def write_raster(
    path: Path, values: np.ndarray, crs: str | None = UTM, transform: Any = None, **profile: Any
) -> Path:
    """Writes bands (count, height, width) as a tiled GeoTIFF with pixels of half a metre."""
    count, height, width = values.shape
    if crs is not None and transform is None:
        transform = from_origin(500000, 5000000, 0.5, 0.5)
    settings = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": values.dtype,
        "crs": crs,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
        **profile,
    }
    if transform is not None:
        settings["transform"] = transform
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(values)
    return path


def boxes_raster(path: Path, size: tuple[int, int] = (150, 200), **options: Any) -> Path:
    """A dark scene with bright boxes, which `BrightBoxes` finds."""
    values = np.full((3, *size), 40, dtype=np.uint8)
    for top, left, bottom, right in BOXES:
        values[:, top:bottom, left:right] = 200
    return write_raster(path, values, **options)


# One inside a tile, one over an edge, one over a corner, one through the scene.
BOXES = ((5, 5, 15, 20), (20, 50, 30, 75), (55, 50, 75, 80), (100, 0, 108, 200))


class BrightBoxes:
    """A predictor of one class: every connected bright part of a tile."""

    def __init__(self) -> None:
        self.tiles = 0

    def __call__(self, tiles: Any) -> list:
        from scipy import ndimage

        from score_hf.scenes import Found

        results = []
        for tile in tiles:
            self.tiles += 1
            numbers, count = ndimage.label(tile.image[..., 0] > 120)
            results.append([Found(0, 0.8, numbers == one) for one in range(1, count + 1)])
        return results
