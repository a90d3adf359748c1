"""Writes results to files: one COCO json for all images, an overlay picture for each."""

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from .inference import NamedClass, SegmentedImage
from .processing.coco_masks import decode_mask, encode_mask
from .visualize import draw_instances

_LONGEST_STEM = 200


class CocoResults:
    """Results of many images as one COCO dictionary, which `pycocotools.coco.COCO` opens.

    `images` has for each picture that was read `id`, `file_name`, `width` and `height` in pixels.
    `categories` has for each class `id` (from 1, in the order given), `name`, `synonyms` and
    `seen`: whether the model was trained on it, null if the model does not say. `annotations` has
    for each instance `id`, `image_id`, `category_id`, `segmentation` (compressed RLE), `bbox`
    (x, y, width, height in pixels), `area` in pixels, `iscrowd` (0) and `score`; given to
    `COCO.loadRes` of a ground truth with the same ids, that list can be evaluated (leave `bbox` out
    for masks: `loadRes` sets `area` to that of the box). `failed` has `file_name` and `error` of
    each image that could not be read. `info` tells how the results were made.

    Args:
        classes: The vocabulary.
        info: Whatever should be remembered of how the results were made, ready for JSON.
    """

    def __init__(self, classes: Sequence[NamedClass], info: dict[str, Any]) -> None:
        self.contents: dict[str, Any] = {
            "info": {"description": "Instances found by score_hf", **info},
            "images": [],
            "categories": [
                {
                    "id": number,
                    "name": entry.name,
                    "synonyms": list(entry.synonyms),
                    "seen": entry.seen,
                }
                for number, entry in enumerate(classes, start=1)
            ],
            "annotations": [],
            "failed": [],
        }

    def add(self, result: SegmentedImage) -> None:
        """Adds what was found in one image, its masks as run-length encodings.

        Args:
            result: A result of `Segmenter.segment`; `return_rle=True` there saves memory.
        """
        file_name = PurePath(result.name).as_posix()
        if result.instances is None:
            self.contents["failed"].append({"file_name": file_name, "error": result.error})
            return
        height, width = result.instances["segmentation"].shape
        images, annotations = self.contents["images"], self.contents["annotations"]
        image_id = len(images) + 1
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        encodings = (
            mask if isinstance(mask, dict) else encode_mask(mask, 0, 0, (height, width))
            for mask in result.instances["masks"]
        )
        columns = (result.instances[key] for key in ("labels", "boxes", "scores"))
        for encoding, label, box, score in zip(encodings, *columns, strict=True):
            left, top, right, bottom = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(label) + 1,
                    "segmentation": encoding,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": int(coco_mask.area(encoding)),
                    "iscrowd": 0,
                    "score": round(float(score), 6),
                }
            )

    def write(self, path: Path) -> None:
        """Writes the file; an older one stays whole until the new one is.

        Args:
            path: Of the json file.
        """
        unfinished = path.with_name(path.name + ".part")
        try:
            unfinished.write_text(json.dumps(self.contents), encoding="utf-8")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def draw_result(result: SegmentedImage, classes: Sequence[NamedClass]) -> Image.Image:
    """Draws what was found over its picture, with a legend.

    Args:
        result: A result with `instances`; masks may be run-length encodings or tensors.
        classes: The vocabulary.

    Returns:
        An RGB picture.
    """
    assert result.instances is not None and result.image is not None
    return draw_instances(
        as_picture(result.image),
        (_decode(mask) for mask in result.instances["masks"]),
        result.instances["labels"].tolist(),
        [entry.name for entry in classes],
    )


def as_picture(image: Image.Image | torch.Tensor) -> Image.Image:
    """Turns the image of a result into an RGB picture.

    Args:
        image: A picture, or a tensor, uint8 or of floats in 0..1 or 0..255, with channels first,
            last or without.

    Returns:
        The picture; transparency becomes white, as for the model.
    """
    if isinstance(image, torch.Tensor):
        if image.is_floating_point():
            image = image * 255 if image.max() <= 1 else image
            image = image.clamp(0, 255).round().to(torch.uint8)
        if image.ndim == 3 and image.shape[0] in (1, 3, 4):
            image = image.movedim(0, -1)
        image = Image.fromarray(image.squeeze(-1).numpy() if image.ndim == 3 else image.numpy())
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def overlay_name(file_name: str, taken: set[str]) -> str:
    """Names the overlay of an image so that no two images of a run share one.

    Args:
        file_name: Path of the image.
        taken: Names given so far; the new one is added.

    Returns:
        Such as "harbor_instances.png", or "harbor-2_instances.png" for the second harbor.
    """
    # File systems take names of up to 255 bytes.
    stem = os.fsencode(PurePath(file_name).stem)[:_LONGEST_STEM].decode("utf-8", "ignore")
    number = 1
    name = f"{stem}_instances.png"
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}_instances.png"
    taken.add(name.lower())
    return name


def _decode(mask: Any) -> np.ndarray:
    if isinstance(mask, dict):
        mask = decode_mask(mask, tuple(mask["size"]), "masks")
    return mask.cpu().numpy().astype(bool)
