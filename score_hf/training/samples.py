"""Training pictures with their objects: from a prepared set, from a stream of it, or drawn."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from ..data.loading import PreparedSet, class_names, kind, objects_of
from ..data.records import IGNORED
from ..drawn_scenes import DRAWN_VOCABULARY, draw_scene
from ..processing.image_loading import read_pixels
from .augmentation import View, draw_view
from .recipe import AugmentationRecipe

# Seeds below are kept for evaluation; training draws from here on.
FIRST_DRAWN_SEED = 1_000_000


class DamagedImage(ValueError):
    """An image of the training set that cannot be read; says which.

    Args:
        message: What to say; of an error that a data worker reports, the traceback is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.rpartition("DamagedImage: ")[2].strip())


@dataclass(frozen=True, eq=False)
class Sample:
    """A training picture.

    Args:
        pixels: (height, width, 3) uint8.
        masks: (objects, height, width) bool; none is empty.
        labels: (objects,) int64 class numbers.
        image_id: Of the image that it shows.
        name: The image's file name.
    """

    pixels: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    image_id: int
    name: str


class RowReader:
    """Makes training pictures of the rows of a prepared set.

    An instance set gives its objects but crowds; a label image gives one mask for each class that
    it shows.

    Args:
        dataset: A split, of `score_hf.data.loading.load_split`.
        augmentation: How pictures are shown; None: as they are.
    """

    def __init__(self, dataset: PreparedSet, augmentation: AugmentationRecipe | None) -> None:
        self.semantic = kind(dataset) == "semantic"
        self.augmentation = augmentation

    def read(self, row: Mapping[str, Any], rng: np.random.Generator) -> Sample:
        """Makes the picture of one row.

        Args:
            row: With undecoded images.
            rng: Where the augmentation comes from.

        Returns:
            The picture; it may be without objects.

        Raises:
            DamagedImage: If an image cannot be read or has another size than its row says.
        """
        image = open_image(row["image"], row)
        view = None
        if self.augmentation is not None:
            objects = [] if self.semantic else _without_crowds(row["objects"])
            view = draw_view(self.augmentation, row["height"], row["width"], rng, objects)
        pixels = np.asarray(image) if view is None else view.of_image(image)
        masks, labels = self._mark(row, view)
        if not masks:
            nothing = np.zeros((0, *pixels.shape[:2]), dtype=bool)
            return Sample(pixels, nothing, _numbers([]), row["image_id"], row["file_name"])
        return Sample(pixels, np.stack(masks), _numbers(labels), row["image_id"], row["file_name"])

    def _mark(self, row: Mapping[str, Any], view: View | None) -> tuple[list[np.ndarray], list]:
        if self.semantic:
            label = np.asarray(open_image(row["label"], row, grey=True))
            if view is not None:
                label = view.of_label(label, IGNORED)
            classes = [number for number in np.unique(label) if number != IGNORED]
            return [label == number for number in classes], classes
        masks, labels = [], []
        for one in row["objects"]:
            if one["iscrowd"] or (view is not None and not view.shows_box(one["bbox"])):
                continue
            # One by one: few objects of a large image are in the crop.
            (mask,) = objects_of({**row, "objects": [one]})[0]
            mask = mask if view is None else view.of_mask(mask)
            if mask.any():
                masks.append(mask)
                labels.append(one["category"])
        return masks, labels


class StoredSamples:
    """A prepared set, unpacked so that any row can be read at once.

    Args:
        dataset: A split, of `score_hf.data.loading.load_split`.
        augmentation: How pictures are shown; None: as they are.
        skip_empty: Whether images without objects are left out.

    Raises:
        ValueError: If no image is left.
    """

    def __init__(
        self, dataset: Any, augmentation: AugmentationRecipe | None, skip_empty: bool
    ) -> None:
        self.class_names = class_names(dataset)
        self.reader = RowReader(dataset, augmentation)
        self.rows = undecoded(dataset)
        self.indices = np.arange(len(dataset))
        if skip_empty:
            self.indices = self.indices[has_labels(dataset)]
        if len(self.indices) == 0:
            raise ValueError("`recipe.data.dataset` has no image with an object to train on.")

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes a picture of the image at a place in the set; see [`RowReader.read`]."""
        return self.reader.read(self.rows[int(self.indices[index])], rng)


class DrawnSamples:
    """Scenes that are drawn on the fly: any number of them, each another one.

    Args:
        size: Side of a scene in pixels.
    """

    class_names: Sequence[str] = tuple(DRAWN_VOCABULARY)

    def __init__(self, size: int) -> None:
        self.size = size

    def draw(self, index: int, large: bool) -> Sample:
        """Draws a scene.

        Args:
            index: Which one.
            large: Whether its sides are twice as long; objects are then farther apart.

        Returns:
            The scene.
        """
        seed = FIRST_DRAWN_SEED + index
        scene = draw_scene(seed, self.size * (2 if large else 1))
        labels = [self.class_names.index(name) for name in scene.class_names]
        return Sample(
            np.asarray(scene.image), scene.masks, _numbers(labels), seed, f"drawn_{seed}.png"
        )


def stream_rows(
    dataset: Any, seed: int, buffer_size: int, skip_empty: bool
) -> Iterator[Mapping[str, Any]]:
    """Reads a stream over and over, in another order each time.

    Args:
        dataset: A streamed split, of `score_hf.data.loading.load_split`.
        seed: Of the orders.
        buffer_size: Of how many rows the next one is drawn.
        skip_empty: Whether images without objects are left out.

    Yields:
        Rows with undecoded images, without end.

    Raises:
        ValueError: If no image has an object.
    """
    semantic = kind(dataset) == "semantic"
    for epoch in itertools.count():
        # Not `datasets`' own shuffling, which is another in a data worker than outside.
        rng, buffer, found = np.random.default_rng((seed, epoch)), [], False
        for row in undecoded(dataset):
            if skip_empty and not (row["classes"] if semantic else _without_crowds(row["objects"])):
                continue
            found = True
            buffer.append(row)
            if len(buffer) == buffer_size:
                yield buffer.pop(int(rng.integers(buffer_size)))
        rng.shuffle(buffer)
        yield from buffer
        if not found:
            raise ValueError("`recipe.data.dataset` has no image with an object to train on.")


def undecoded(dataset: Any) -> Any:
    """Leaves images as bytes, so that a damaged one can be named.

    Args:
        dataset: A split, streamed or not.
    """
    from datasets import Image as ImageFeature

    for column in ("image", "label"):
        if column in dataset.features:
            dataset = dataset.cast_column(column, ImageFeature(decode=False))
    return dataset


def has_labels(dataset: Any) -> np.ndarray:
    """Tells of each image whether it has a labelled pixel, or an object that is no crowd.

    Args:
        dataset: A split, of `score_hf.data.loading.load_split`.

    Returns:
        (images,) bool.
    """
    semantic = kind(dataset) == "semantic"
    column = "classes" if semantic else "objects"
    marked = []
    for batch in dataset.select_columns([column]).iter(batch_size=1000):
        marked += [bool(one if semantic else _without_crowds(one)) for one in batch[column]]
    return np.array(marked, dtype=bool)


def _without_crowds(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in objects if not one["iscrowd"]]


def open_image(
    stored: Mapping[str, Any], row: Mapping[str, Any], grey: bool = False
) -> Image.Image:
    """Opens an image of a row.

    Args:
        stored: Its undecoded column, with `bytes` or a `path`.
        row: The row; names the image in errors.
        grey: Whether values are to be kept as they are, for a label image.

    Raises:
        DamagedImage: If it cannot be read or has another size than its row says.
    """
    name = f"The image {row['file_name']!r} (id {row['image_id']}) of the training set"
    try:
        source = stored["path"] if stored["bytes"] is None else BytesIO(stored["bytes"])
        with Image.open(source) as image:
            if grey:
                image.load()
                opened = image.convert("L") if image.mode not in ("L", "P") else image.copy()
            else:
                pixels = read_pixels(image, name, in_colour=True)
                opened = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    # Decoders of damaged files raise whatever they stumble over.
    except Exception as error:
        raise DamagedImage(f"{name} cannot be read ({error}).") from error
    size = (row["width"], row["height"])
    if opened.size != size:
        raise DamagedImage(f"{name} is of size {opened.size}, but its row says {size}.")
    return opened


def _numbers(labels: Sequence[int]) -> np.ndarray:
    return np.array(labels, dtype=np.int64)
