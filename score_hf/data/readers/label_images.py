"""Label images of semantic sets: the values of the files to class indices."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..records import IGNORED, Dropped, ImageRecord

# Of a pixel whose value the data set does not define.
_UNKNOWN = -1
UNKNOWN_VALUES = "label with values that are no class, ignored there"
SIZES_DIFFER = "image and label differ in size"
IMAGE_DAMAGED = "image cannot be decoded"
LABEL_DAMAGED = "label cannot be decoded"


def value_table(classes: Mapping[int, int]) -> np.ndarray:
    """Makes the table from values of a file to class indices.

    Args:
        classes: Class index of each value, 255 for one that does not count.

    Returns:
        Class index of each value `(256,)`, int16; -1 where the data set defines none.
    """
    table = np.full(256, _UNKNOWN, dtype=np.int16)
    for value, index in classes.items():
        table[value] = index
    return table


def size_of(path: Path) -> tuple[int, int]:
    """Reads the height and width of an image from its header.

    Args:
        path: A file.

    Raises:
        OSError: If it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    # Decoders of damaged files raise whatever they stumble over.
    except Exception as error:
        raise OSError(f"'{path}' cannot be decoded ({error}).") from error


def decode(path: Path, mode: str | None = None) -> np.ndarray:
    """Reads the pixels of an image.

    Args:
        path: A file.
        mode: Pillow's name of the colours to bring it to; None: as they are.

    Returns:
        `(height, width)` or `(height, width, channels)`.

    Raises:
        OSError: If it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode) if mode else image)
    # Decoders of damaged files raise whatever they stumble over.
    except Exception as error:
        raise OSError(f"'{path}' cannot be decoded ({error}).") from error


def read_label(path: Path, table: np.ndarray) -> tuple[np.ndarray, bool]:
    """Reads a label image with one value a pixel.

    Args:
        path: A file that Pillow reads, grey or with a palette (whose indices are the values).
        table: See [`value_table`].

    Returns:
        Class indices `(height, width)`, uint8, 255 where ignored; and whether there were values
        that the data set does not define, which are ignored too.

    Raises:
        OSError: If it cannot be decoded.
        ValueError: If it has colours in place of values.
    """
    values = decode(path)
    if values.ndim != 2:
        raise ValueError(
            f"`root` has a label with {values.shape[-1]} colour channels, '{path}', where one "
            "class value a pixel is needed; it may be a picture that is meant for viewing only."
        )
    return look_up(values, table)


def look_up(values: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, bool]:
    """Turns values into class indices.

    Args:
        values: Integers `(height, width)`.
        table: See [`value_table`].

    Returns:
        As [`read_label`].
    """
    if values.dtype != np.uint8:
        outside = (values < 0) | (values > 255)
        classes = np.where(outside, _UNKNOWN, table[np.where(outside, 0, values).astype(np.intp)])
    else:
        classes = table[values]
    unknown = classes == _UNKNOWN
    return np.where(unknown, IGNORED, classes).astype(np.uint8), bool(unknown.any())


@dataclass(frozen=True)
class Pair:
    """An image of a semantic set, not yet read.

    Attributes:
        image_id: Its number in the split.
        image: Its file.
        label: Its label image.
    """

    image_id: int
    image: Path
    label: Path


def pair_up(images: Mapping[str, Path], labels: Mapping[str, Path]) -> list[Pair]:
    """Numbers the images of a split in the order of their keys.

    Args:
        images: Path of each key; see [`image_files`].
        labels: Path of each key, the same keys.
    """
    return [Pair(number, images[key], labels[key]) for number, key in enumerate(sorted(images))]


def read_pair(
    pair: Pair, table: np.ndarray, open_image: Callable[[Path], Image.Image] | None = None
) -> Iterator[ImageRecord | Dropped]:
    """Reads one image of a semantic set.

    Args:
        pair: Its files.
        table: See [`value_table`].
        open_image: Makes the picture of a file that Pillow does not read as it should; it raises
            OSError if the file is damaged. None: the record has the file itself.

    Yields:
        The record, or why there is none.

    Raises:
        ValueError: If the label has colours in place of values.
    """
    try:
        picture: Path | Image.Image = pair.image
        if open_image is None:
            height, width = size_of(pair.image)
        else:
            picture = open_image(pair.image)
            width, height = picture.size
    except OSError:
        yield Dropped(pair.image.name, IMAGE_DAMAGED)
        return
    try:
        label, has_unknown = read_label(pair.label, table)
    except OSError:
        yield Dropped(pair.image.name, LABEL_DAMAGED)
        return
    if label.shape != (height, width):
        yield Dropped(pair.image.name, SIZES_DIFFER)
        return
    yield ImageRecord(
        image_id=pair.image_id,
        file_name=pair.image.name,
        image=picture,
        width=width,
        height=height,
        label=label,
        altered=(UNKNOWN_VALUES,) if has_unknown else (),
    )
