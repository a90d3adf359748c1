"""SCORE as the predictor of tiles."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from ..inference import Segmenter
from ..processing.coco_masks import decode_mask
from .pieces import Found, RunnerUp, Tile
from .vocabulary import SceneClass, usual_merge

# What models are trained to see at once, where their processor does not say.
_USUAL_SIDE = 512


class ScorePredictor:
    """Finds instances in tiles with a model and its encoded vocabulary.

    Args:
        segmenter: The model and its vocabulary.
        floor: Lowest score of what is kept.
    """

    def __init__(self, segmenter: Segmenter, floor: float = 0.0) -> None:
        self.segmenter, self.floor = segmenter, floor

    def __call__(self, tiles: Sequence[Tile]) -> list[list[Found]]:
        """Finds instances.

        Args:
            tiles: Of one scene.

        Returns:
            For each tile what was found in it.

        Raises:
            MemoryError: If the tiles do not fit into memory.
        """
        results = self.segmenter.segment(
            [tile.image for tile in tiles],
            threshold=self.floor,
            batch_size=len(tiles),
            return_rle=True,
        )
        found = []
        for result in results:
            if result.instances is None:
                raise MemoryError(result.error)
            found.append(_read(result.instances))
        return found

    @property
    def tile_size(self) -> int:
        """The side of pictures that the model is given without resizing."""
        return self.segmenter.processor.image_processor.size.shortest_edge or _USUAL_SIDE

    @property
    def capacity(self) -> int:
        """How many instances the model can find in a picture."""
        queries = self.segmenter.model.config.num_queries
        return min(queries, self.segmenter.processor.image_processor.max_detections)

    @property
    def classes(self) -> list[SceneClass]:
        """The vocabulary."""
        return [
            SceneClass(entry.name, entry.synonyms, entry.seen, usual_merge(entry.name))
            for entry in self.segmenter.classes
        ]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this predictor from others, ready for JSON."""
        model = self.segmenter.model
        processor = self.segmenter.processor
        settings = f"{processor.image_processor.to_dict()}{processor.templates}"
        return {
            "model": model.name_or_path,
            "weights": _fingerprint(model),
            "dtype": str(model.dtype),
            "processor": hashlib.sha256(settings.encode()).hexdigest()[:16],
        }


def _read(instances: dict[str, Any]) -> list[Found]:
    labels, scores = instances["labels"].tolist(), instances["scores"].tolist()
    boxes = instances["boxes"].long().tolist()
    # The same mask under several classes: one query, which is not sure.
    classes: dict[str, list[RunnerUp]] = {}
    for encoding, label, score in zip(instances["masks"], labels, scores, strict=True):
        classes.setdefault(encoding["counts"], []).append(RunnerUp(label, score))
    found = []
    for encoding, label, score, box in zip(instances["masks"], labels, scores, boxes, strict=True):
        left, top, right, bottom = box
        mask = decode_mask(encoding, tuple(encoding["size"]), "masks").numpy().astype(bool)
        others = [one for one in classes[encoding["counts"]] if one.label != label]
        best = max(others, key=lambda one: one.score, default=None)
        found.append(Found(label, score, mask[top:bottom, left:right], top, left, best))
    return found


def _fingerprint(model: torch.nn.Module) -> str:
    """A number that differs if the weights do, from a sample of them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().flatten()
        sample = values[:: max(1, values.numel() // 256)].float().cpu().numpy()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(sample.tobytes())
    return digest.hexdigest()[:16]
