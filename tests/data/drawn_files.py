"""Draws the image files of which the tests build data sets as they lie on disk."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_image(path: Path, width: int = 12, height: int = 10, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, width * height * 3).astype(np.uint8).reshape(height, width, 3)
    Image.fromarray(ramp).convert(mode).save(path)
    return path


def draw_label(path: Path, values: np.ndarray | list[list[int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)
    return path


def truncate(path: Path) -> None:
    """Leaves half of a file, as a download that was cut off does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
