"""Features to one COCO json, streamed, with masks as run lengths on the scene's pixel grid."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from .features import Feature
from .groups import StitchedObject
from .vector_files import FeatureFile
from .vocabulary import SceneClass

# COCO's tools count pixels in 32 bits.
_MOST_PIXELS = 2**32


class CocoFile(FeatureFile):
    """A COCO dictionary that `pycocotools.coco.COCO` opens; see `score_hf.results.CocoResults`.

    Args:
        path: Where it goes.
        source: File name of the scene.
        size: Height and width of the scene's pixel grid.
        classes: Its vocabulary.
        info: Whatever should be remembered of how the results were made, ready for JSON.

    Raises:
        ValueError: If the scene has more pixels than COCO's run lengths can count.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        size: tuple[int, int],
        classes: Sequence[SceneClass],
        info: dict[str, Any],
    ) -> None:
        if size[0] * size[1] >= _MOST_PIXELS:
            raise ValueError(
                f"COCO's run lengths cannot count the {size[0] * size[1]:,} pixels of {source!r}; "
                "write gpkg, parquet, fgb or geojson."
            )
        super().__init__(path)
        self._size = size
        image = {"id": 1, "file_name": source, "width": size[1], "height": size[0]}
        categories = [
            {
                "id": number,
                "name": entry.name,
                "synonyms": list(entry.synonyms or (entry.name,)),
                "seen": entry.seen,
            }
            for number, entry in enumerate(classes, start=1)
        ]
        described = {"description": "Instances found by score_hf", **info}
        head = {"info": described, "images": [image], "categories": categories, "failed": []}
        self._file: IO[str] = self.unfinished.open("w", encoding="utf-8")
        self._file.write(json.dumps(head, sort_keys=True)[:-1] + ', "annotations": [')

    def add(self, features: Sequence[Feature]) -> None:
        """Writes features.

        Args:
            features: The next ones.
        """
        for feature in features:
            self.written += 1
            box = feature.found.window
            annotation = {
                "id": self.written,
                "image_id": 1,
                "category_id": feature.label + 1,
                "segmentation": encode(feature.found, self._size),
                "bbox": [box.left, box.top, box.width, box.height],
                "area": feature.found.area,
                "iscrowd": 0,
                "score": round(feature.score, 6),
            }
            self._file.write(("" if self.written == 1 else ",") + "\n" + json.dumps(annotation))

    def complete(self) -> None:
        """Writes what comes last."""
        self._file.write("\n]}\n")
        self._file.close()

    def abandon(self) -> None:
        """Deletes what was written."""
        self._file.close()
        super().abandon()


def encode(found: StitchedObject, size: tuple[int, int]) -> dict[str, Any]:
    """Encodes an object as COCO's compressed run lengths, without making all of its mask.

    Args:
        found: The object.
        size: Height and width of the scene.

    Returns:
        `{"size": [height, width], "counts": str}`.
    """
    from pycocotools import mask as coco_mask

    height, width = size
    starts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    for part in found.parts():
        # COCO runs down the columns.
        columns = np.pad(part.mask.T, ((0, 0), (1, 1))).view(np.int8)
        changes = np.diff(columns, axis=1)
        for sign, places in ((1, starts), (-1, ends)):
            column, row = np.nonzero(changes == sign)
            places.append((part.left + column) * height + part.top + row)
    first, last = np.sort(np.concatenate(starts)), np.sort(np.concatenate(ends))
    # Runs that meet, at the border of two parts or of two columns, are one.
    meets = np.flatnonzero(first[1:] == last[:-1])
    first, last = np.delete(first, meets + 1), np.delete(last, meets)
    changes = np.stack([first, last], axis=1).ravel()
    if changes[-1] == height * width:
        changes = changes[:-1]
    counts = np.diff(changes, prepend=0, append=height * width).tolist()
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
