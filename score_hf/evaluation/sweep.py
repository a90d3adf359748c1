"""Weights of the ensemble tried out after the fact, on logits that one pass has stored.

Masks do not depend on alpha and beta, nor do the two vocabularies' logits: what the network says
about an image is kept, and instances for any weights follow from it as if it had run with them.
"""

import base64
import zlib
from typing import Any

import numpy as np
import torch

from ..modeling.open_vocabulary import ensemble_vocabularies
from ..processing.coco_masks import encode_mask
from ..processing.mask_boxes import MaskMaker
from ..processing.predictions import Prediction

GRID = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def store_logits(
    prediction: Prediction, in_logits: torch.Tensor, out_logits: torch.Tensor
) -> dict[str, Any]:
    """Packs what the network says about one image.

    Args:
        prediction: Gives the masks.
        in_logits: (queries, classes + 1), in vocabulary.
        out_logits: The same, out of vocabulary.

    Returns:
        `in_vocabulary` and `out_of_vocabulary`, float32 numbers packed without loss, and for each
        query `masks`, run lengths, and `qualities`, the mean mask probability inside the mask.
    """
    maker = MaskMaker(prediction, logit_threshold=0.0)
    pieces = [maker.make(query) for query in range(len(in_logits))]
    return {
        "in_vocabulary": _pack(in_logits),
        "out_of_vocabulary": _pack(out_logits),
        "masks": [
            encode_mask(piece.mask, piece.left, piece.top, prediction.target_size)["counts"]
            for piece in pieces
        ],
        "qualities": [piece.quality for piece in pieces],
        "size": list(prediction.target_size),
    }


def rank_instances(
    stored: dict[str, Any],
    seen_classes: torch.Tensor,
    alpha: float,
    beta: float,
    threshold: float,
    max_detections: int,
) -> dict[str, Any]:
    """Gives the instances of one image for some weights.

    The same steps in the same order as `find_instances`, on the device of `seen_classes`: with the
    weights that the network ran with, the same instances in every bit.

    Args:
        stored: Of `store_logits`.
        seen_classes: (classes,) bool.
        alpha: Weight of the out-of-vocabulary scores for seen classes.
        beta: The same for other classes.
        threshold: Lowest score that is kept.
        max_detections: How many (query, class) pairs, the best, are considered.

    Returns:
        `scores`, `labels` and `masks` as `post_process_instance_segmentation` returns them.
    """
    device, columns = seen_classes.device, len(seen_classes) + 1
    logits = ensemble_vocabularies(
        _unpack(stored["in_vocabulary"], columns, device),
        _unpack(stored["out_of_vocabulary"], columns, device),
        seen_classes,
        alpha,
        beta,
    )
    class_scores = logits.softmax(-1)[:, :-1].flatten()
    best = class_scores.sort(descending=True, stable=True).indices[:max_detections]
    pairs = best[class_scores[best] >= threshold].sort().values
    qualities = torch.tensor(stored["qualities"], device=device)
    scores = class_scores[pairs] * qualities[pairs // len(seen_classes)]
    ranked = scores.sort(descending=True, stable=True).indices
    ranked = ranked[scores[ranked] >= threshold]
    queries = (pairs[ranked] // len(seen_classes)).tolist()
    return {
        "scores": scores[ranked],
        "labels": pairs[ranked] % len(seen_classes),
        "masks": [{"size": stored["size"], "counts": stored["masks"][query]} for query in queries],
    }


def grid_of(own_alpha: float, own_beta: float) -> tuple[list[float], list[float]]:
    """The weights to try: a grid, with those that the model has."""
    return sorted({*GRID, own_alpha}), sorted({*GRID, own_beta})


def best_cell(
    alphas: list[float], betas: list[float], precisions: list[list[float | None]]
) -> dict[str, float] | None:
    """Finds the highest AP of a grid, `precisions[alpha][beta]`; of equal ones the first."""
    cells = [
        {"AP": precision, "alpha": alpha, "beta": beta}
        for alpha, row in zip(alphas, precisions, strict=True)
        for beta, precision in zip(betas, row, strict=True)
        if precision is not None
    ]
    return max(cells, key=lambda cell: cell["AP"], default=None)


def _pack(numbers: torch.Tensor) -> str:
    array = numbers.detach().to("cpu", torch.float32).numpy().astype("<f4")
    return base64.b64encode(zlib.compress(array.tobytes(), 1)).decode("ascii")


def _unpack(packed: str, columns: int, device: torch.device) -> torch.Tensor:
    array = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype="<f4")
    return torch.from_numpy(array.astype(np.float32).reshape(-1, columns)).to(device)
