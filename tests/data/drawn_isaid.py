"""Draws iSAID as its authors publish it and as its devkit cuts it, with their traps."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.drawn_coco import annotation, box_polygon, image, write_coco

# As the official files number them; the order of the val file is another.
TRAIN_NAMES = (
    "storage_tank", "Large_Vehicle", "Small_Vehicle", "plane", "ship", "Swimming_pool", "Harbor",
    "tennis_court", "Ground_Track_Field", "Soccer_ball_field", "baseball_diamond", "Bridge",
    "basketball_court", "Roundabout", "Helicopter",
)  # fmt: skip
TRAIN_NUMBERS = dict(enumerate(TRAIN_NAMES, 1))
VAL_NUMBERS = dict(enumerate(reversed(TRAIN_NAMES), 1))
COLOURS = {"ship": (0, 0, 63), "plane": (0, 127, 255), "Small_Vehicle": (0, 0, 127)}


def scene_pixels(height: int, width: int) -> np.ndarray:
    """Every pixel tells where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 256, columns % 256, rows // 256 * 16 + columns // 256], -1).astype(
        np.uint8
    )


class Scene:
    """A scene with the pictures of its instances.

    Args:
        height: In pixels.
        width: In pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.numbers = np.zeros((height, width), dtype=np.int64)
        self.colours = np.zeros((height, width, 3), dtype=np.uint8)

    def add(self, mask: np.ndarray, number: int, colour: str | tuple[int, int, int]) -> None:
        self.numbers[mask] = number
        self.colours[mask] = COLOURS[colour] if isinstance(colour, str) else colour

    def box(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        mask = np.zeros(self.numbers.shape, dtype=bool)
        mask[top:bottom, left:right] = True
        return mask

    def save(self, folder: Path, stem: str, mode: str = "RGB") -> None:
        """Saves the three pictures side by side, as the devkit wants them."""
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(scene_pixels(*self.numbers.shape))
        picture.convert(mode).save(folder / f"{stem}.png", compress_level=1)
        coded = np.stack([self.numbers >> shift & 255 for shift in (0, 8, 16)], -1)
        for kind, pixels in (("id", coded.astype(np.uint8)), ("color", self.colours)):
            path = folder / f"{stem}_instance_{kind}_RGB.png"
            Image.fromarray(pixels).save(path, compress_level=1)


def save_picture(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene_pixels(height, width)).save(path, compress_level=1)


def write_devkit_patches(root: Path, split: str = "train") -> Path:
    """Patches as the devkit writes them: one cut, one small scene whole, one without objects."""
    folder = root / split / "images"
    sizes = {
        "P0001_0_800_600_1400": (800, 800),
        "P0002": (520, 900),
        "P0001_600_1400_0_800": (800, 800),
    }
    for stem, size in sizes.items():
        save_picture(folder / f"{stem}.png", *size)
        for kind in ("id", "color"):
            save_picture(folder / f"{stem}_instance_{kind}_RGB.png", 1, 1)
    images = [
        {
            **image(number, f"{stem}.png", width, height),
            "ins_file_name": f"{stem}_instance_id_RGB.png",
            "seg_file_name": f"{stem}_instance_color_RGB.png",
        }
        for number, (stem, (height, width)) in enumerate(sizes.items())
    ]
    box, two = [[5, 5, 5, 14, 14, 14, 14, 5]], [box_polygon(20, 20, 40, 40), [50, 50, 60, 60]]
    ship = annotation(0, 0, 9, box, iscrowd=0, area=100, category_name="ship")
    annotations = [
        ship,
        annotation(3, 0, 1, [*two, box_polygon(60, 60, 90, 80)], category_name="Small_Vehicle"),
        annotation(4, 1, 9, box, iscrowd=0, area=100, category_name="ship"),
    ]
    # First seen, first listed: numbered as before 2020.
    categories = {9: "ship", 1: "Small_Vehicle"}
    path = root / split / f"instancesonly_filtered_{split}.json"
    return write_coco(path, images, annotations, categories)
