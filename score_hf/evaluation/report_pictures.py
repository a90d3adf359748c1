"""Images of a dataset with what is true and what was predicted, small enough for a page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ..data.loading import objects_of
from ..results import as_picture
from ..visualize import draw_instances
from .predicting import Row, row_image
from .truth_maps import class_map

_LARGEST_SIDE = 560


@dataclass(frozen=True)
class DrawnImage:
    """One image twice.

    Args:
        file_name: Of the image.
        truth: A data address of a JPEG with the true masks.
        predicted: The same with the predictions.
        true_labels: Class index of each true mask.
        predicted_labels: The same for predictions.
    """

    file_name: str
    truth: str
    predicted: str
    true_labels: list[int]
    predicted_labels: list[int]


def draw_row(
    row: Row,
    predictions: Sequence[dict[str, Any]],
    names: Sequence[str],
    as_classes: bool,
    shown_above: float,
) -> DrawnImage:
    """Draws one row of a dataset.

    Args:
        row: The row, its pictures perhaps undecoded.
        predictions: COCO results for it.
        names: Of the classes.
        as_classes: Whether truth is classes of pixels instead of objects.
        shown_above: Lowest score of a prediction that is drawn.

    Returns:
        The drawings.
    """
    if as_classes or "label" in row:
        classes = class_map(row, len(names))
        true_labels = [label for label in range(len(names)) if (classes == label).any()]
        true_masks = [classes == label for label in true_labels]
    else:
        masks, labels, _ = objects_of(row)
        true_masks, true_labels = list(masks), labels.tolist()
    shown = [entry for entry in predictions if entry.get("score", 1.0) >= shown_above]
    labels_found = [entry["category_id"] - 1 for entry in shown]
    found = [coco_mask.decode(entry["segmentation"]).astype(bool) for entry in shown]
    picture = as_picture(row_image(row))
    return DrawnImage(
        row["file_name"],
        _draw(picture, true_masks, true_labels, names),
        _draw(picture, found, labels_found, names),
        true_labels,
        labels_found,
    )


def _draw(
    picture: Image.Image, masks: Sequence[np.ndarray], labels: Sequence[int], names: Sequence[str]
) -> str:
    drawn = draw_instances(picture, masks, labels, names, legend=False)
    drawn.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    drawn.save(stream, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
