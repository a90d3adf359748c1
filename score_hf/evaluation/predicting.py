"""Runs the model over a dataset's images, one record an image."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from PIL import Image

from ..modeling.modeling_score import (
    ScoreForInstanceSegmentation,
    ScoreForInstanceSegmentationOutput,
)
from ..modeling.text_classifier import ScoreClassifier
from ..processing.image_loading import to_8_bits
from ..processing.processing_score import ScoreProcessor
from ..reading_ahead import ahead

Row = dict[str, Any]
Reading = Callable[[ScoreForInstanceSegmentationOutput, list[Row]], list[dict[str, Any]]]
"""Turns the outputs of a batch, and the rows it came from, into one record an image."""

_ITEMS_AHEAD = 4


def predict_rows(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    classifier: ScoreClassifier,
    rows: Iterable[Row],
    read: Reading,
    batch_size: int = 1,
) -> Iterator[dict[str, Any]]:
    """Predicts the rows of a dataset.

    Args:
        model: In evaluation mode.
        processor: Its processor.
        classifier: The vocabulary.
        rows: With `image`, `image_id`, `file_name`, `width` and `height`.
        read: See `Reading`.
        batch_size: How many images are computed together at most; only neighbours whose padded
            size is the same are.

    Yields:
        What `read` made of each row, with its `image_id`.

    Raises:
        ValueError: If an image cannot be read or is of another size than its row says.
    """
    batch: list[tuple[Row, Any]] = []

    def finish() -> list[dict[str, Any]]:
        with torch.inference_mode():
            outputs = model(
                pixel_values=torch.cat([inputs["pixel_values"] for _, inputs in batch]).to(
                    model.device, model.dtype
                ),
                pixel_mask=torch.cat([inputs["pixel_mask"] for _, inputs in batch]).to(
                    model.device
                ),
                classifier=classifier,
            )
            done = [row for row, _ in batch]
            batch.clear()
            records = read(outputs, done)
        return [
            {"image_id": int(row["image_id"]), **record}
            for row, record in zip(done, records, strict=True)
        ]

    def prepare(row: Row) -> tuple[Row, Any]:
        return row, processor.image_processor(row_image(row), return_tensors="pt")

    for row, inputs in ahead(prepare, rows, _ITEMS_AHEAD):
        if batch and (
            len(batch) == batch_size
            or inputs["pixel_values"].shape != batch[0][1]["pixel_values"].shape
        ):
            yield from finish()
        batch.append((row, inputs))
    if batch:
        yield from finish()


def row_image(row: Row) -> Any:
    """Gives the picture of a row, checked.

    Args:
        row: Of a dataset; its `image` may be undecoded.

    Returns:
        The picture, with 8 bits a channel.

    Raises:
        ValueError: If it cannot be read or is of another size than the row says.
    """
    name = f"image {row['file_name']!r} of `dataset`"
    image = decode_image(row["image"], name)
    if image.size != (row["width"], row["height"]):
        raise ValueError(
            f"The {name} is of width and height {image.size}, but its row says "
            f"{(row['width'], row['height'])}: prepare the dataset again."
        )
    return to_8_bits(image, name)


def decode_image(value: Any, name: str) -> Image.Image:
    """Decodes an image of a dataset.

    Args:
        value: As `datasets` gives it: bytes and path, or the picture.
        name: Named in the error.

    Returns:
        The picture.

    Raises:
        ValueError: If it is damaged.
    """
    from datasets import Image as ImageFeature

    try:
        return ImageFeature().decode_example(value)
    # Decoders of damaged files raise whatever they stumble over.
    except Exception as error:
        raise ValueError(f"The {name} cannot be decoded ({error}).") from error


def sizes_of(rows: Iterable[Row]) -> list[tuple[int, int]]:
    """Height and width of each row's image."""
    return [(row["height"], row["width"]) for row in rows]
