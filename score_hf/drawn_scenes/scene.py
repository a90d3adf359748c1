"""One drawn scene by its seed, and many of them as COCO ground truth."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .canvas import Canvas
from .layout import lay_out
from .materials import GROUNDS, between, develop, pick, varied
from .vocabulary import DRAWN_VOCABULARY

SMALLEST_SIDE, LARGEST_SIDE = 64, 2048
SMALLEST_OBJECT = 12  # visible pixels


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """A procedural aerial picture with its instances.

    Args:
        image: RGB picture.
        masks: Visible pixels of each object, (objects, height, width) bool; no pixel is in two.
        class_names: Canonical class of each object, a key of `DRAWN_VOCABULARY`.
    """

    image: Image.Image
    masks: np.ndarray
    class_names: list[str]

    @property
    def boxes(self) -> np.ndarray:
        """Boxes (objects, 4) float32 around the masks: left, top, right, bottom (exclusive)."""
        boxes = np.zeros((len(self.masks), 4), dtype=np.float32)
        for box, mask in zip(boxes, self.masks, strict=True):
            rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return boxes


def draw_scene(seed: int, size: int | tuple[int, int] = 256) -> DrawnScene:
    """Draw an aerial scene with exact instance masks.

    The same seed and size give the same scene in every process (for one version of NumPy and
    Pillow). The ground sampling does not depend on the size: a larger picture shows more land.

    Args:
        seed: Any integer from 0.
        size: (height, width) in pixels, or one number for both.

    Raises:
        ValueError: If `seed` is negative or a side is outside 64-2048 pixels.
        TypeError: If `seed` or a side is not an integer.
    """
    height, width = _checked_size(size)
    rng = np.random.default_rng(_checked_seed(seed))
    direction, slant = between(rng, 0, 2 * math.pi), between(rng, 0.6, 1.1)
    shadow = (slant * math.cos(direction), slant * math.sin(direction))
    canvas = Canvas(width, height, varied(rng, pick(rng, GROUNDS)), shadow)
    lay_out(canvas, rng)
    masks, class_names = canvas.masks(SMALLEST_OBJECT)
    return DrawnScene(develop(canvas, rng), masks, class_names)


def drawn_scenes_as_coco(
    seeds: Iterable[int], size: int | tuple[int, int] = 256
) -> dict[str, list[dict[str, Any]]]:
    """COCO ground truth of the scenes of some seeds.

    Args:
        seeds: One scene a seed; the seed is the `image_id`.
        size: As in `draw_scene`.

    Returns:
        A dictionary with `images`, `annotations` (compressed RLE) and `categories`, numbered from 1
        in the order of `DRAWN_VOCABULARY`.
    """
    from pycocotools import mask as coco_mask

    numbers = {name: number for number, name in enumerate(DRAWN_VOCABULARY, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for seed in seeds:
        scene = draw_scene(seed, size)
        width, height = scene.image.size
        images.append(
            {"id": seed, "file_name": f"drawn_{seed}.png", "height": height, "width": width}
        )
        for mask, name in zip(scene.masks, scene.class_names, strict=True):
            rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": seed,
                    "category_id": numbers[name],
                    "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                    "area": int(mask.sum()),
                    "bbox": [float(side) for side in coco_mask.toBbox(rle)],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _is_integer(number: object) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def _checked_seed(seed: int) -> int:
    if not _is_integer(seed):
        raise TypeError(f"`seed` must be an integer, but it is {seed!r}.")
    if seed < 0:
        raise ValueError(f"`seed` must be 0 or larger, but it is {seed}.")
    return int(seed)


def _checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(_is_integer(side) for side in sides):
        raise TypeError(f"`size` must be one integer or (height, width), but it is {size!r}.")
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(
            f"`size` must lie between {SMALLEST_SIDE} and {LARGEST_SIDE} pixels a side, "
            f"but it is {size!r}."
        )
    return int(sides[0]), int(sides[1])
