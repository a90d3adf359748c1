"""What a visitor can take along, and what the API answers."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import torch

from .. import __version__
from ..inference import SegmentedImage
from ..processing.coco_masks import encode_mask
from ..results import CocoResults
from .found import FoundObject, StoredResult
from .views import Wish


def coco_results(
    result: StoredResult, objects: Sequence[FoundObject], model: str, wish: Wish
) -> CocoResults:
    """Puts instances into COCO's form.

    Args:
        result: The stored result.
        objects: Those that are shown.
        model: Name of the model.
        wish: How they were chosen.

    Returns:
        A COCO dictionary, which can be written.
    """
    info = {
        "version": __version__,
        "model": model,
        "threshold": wish.threshold,
        "alpha": wish.ensemble.alpha,
        "beta": wish.ensemble.beta,
        "out_of_vocabulary": wish.ensemble.trunk,
    }
    coco = CocoResults(result.classes, info)
    instances = {
        "segmentation": torch.empty(result.size),
        "masks": [encode(result, one) for one in objects],
        "labels": torch.tensor([one.label for one in objects], dtype=torch.int64),
        "boxes": torch.tensor([one.piece.box for one in objects]).view(-1, 4),
        "scores": torch.tensor([one.score for one in objects]),
    }
    coco.add(SegmentedImage(result.name, result.picture, instances))
    return coco


def encode(result: StoredResult, found: FoundObject) -> dict[str, Any]:
    """The mask of an object as COCO's compressed run lengths."""
    piece = found.piece
    return encode_mask(piece.mask, piece.left, piece.top, result.size)


def api_answer(result: StoredResult, objects: Sequence[FoundObject]) -> dict[str, Any]:
    """What the endpoint `/segment` answers.

    Args:
        result: The stored result.
        objects: Those that pass.

    Returns:
        Plain JSON: `image` with `width` and `height`; `classes` with `name`, `synonyms` and
        `seen` each; `instances` by falling score with `name`, `label` (index of the class),
        `score`, `seen`, `box` (x1, y1, x2, y2 in pixels, x2 and y2 exclusive), `area` in pixels
        and `segmentation` (COCO's compressed run lengths) each.
    """
    height, width = result.size
    return {
        "image": {"width": width, "height": height},
        "classes": [
            {"name": one.name, "synonyms": list(one.synonyms), "seen": one.seen}
            for one in result.classes
        ],
        "instances": [
            {
                "name": result.classes[one.label].name,
                "label": one.label,
                "score": round(one.score, 6),
                "seen": result.classes[one.label].seen,
                "box": one.piece.box,
                "area": one.piece.area,
                "segmentation": encode(result, one),
            }
            for one in objects
        ],
    }


def file_name(result: StoredResult, ending: str) -> str:
    """Names a download after the picture."""
    stem = re.sub(r"[^\w-]", "_", PurePath(result.name).stem)
    return f"{stem[:60] or 'picture'}_{ending}"


def write_coco(coco: CocoResults, folder: Path, name: str) -> Path:
    """Writes a COCO json and gives its path."""
    coco.write(folder / name)
    return folder / name
