"""Network outputs to instances: scored masks that may overlap."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .coco_masks import encode_mask
from .mask_boxes import MaskMaker, MaskPiece
from .predictions import Prediction


def mask_logit_threshold(probability: float) -> float:
    """The logit that a mask probability in [0, 1] belongs to; infinite at both ends."""
    if probability <= 0:
        return -math.inf
    if probability >= 1:
        return math.inf
    return math.log(probability / (1 - probability))


def list_class_names(
    class_names: Sequence[str] | Mapping[int, str] | None, num_classes: int
) -> list[str]:
    """Names every class of a vocabulary.

    Args:
        class_names: A list, a dictionary from class index to name (a config's `id2label`), or
            None for `LABEL_0`, `LABEL_1`, ...
        num_classes: How many classes the outputs have.

    Returns:
        One name a class.

    Raises:
        TypeError: If `class_names` is neither.
        ValueError: If it does not name each class.
    """
    if class_names is None:
        return [f"LABEL_{index}" for index in range(num_classes)]
    if isinstance(class_names, str) or not isinstance(class_names, Sequence | Mapping):
        raise TypeError(
            "`class_names` must be a list or a dictionary from class index to name, but got "
            f"{class_names!r}."
        )
    wanted = set(range(num_classes))
    given = set(class_names) if isinstance(class_names, Mapping) else set(range(len(class_names)))
    if given != wanted:
        raise ValueError(
            f"`class_names` must name the classes 0 to {num_classes - 1} of the outputs, but got "
            f"{len(class_names)} names: {class_names!r:.200}."
        )
    return [class_names[index] for index in range(num_classes)]


def draw_instance_map(
    pieces: Sequence[MaskPiece],
    size: tuple[int, int],
    overlap_mask_area_threshold: float,
    device: torch.device,
) -> tuple[torch.Tensor, list[int]]:
    """Draws instances over one another, the better ones on top.

    Args:
        pieces: The mask of each instance, best first.
        size: Height and width of the map.
        overlap_mask_area_threshold: Lowest share of its mask that an instance must show.
        device: Where the map is made.

    Returns:
        A map `(height, width)` int32 of the indices of `pieces`, -1 for none, and the indices
        that occur in it.
    """
    segmentation = torch.full(size, -1, dtype=torch.int32, device=device)
    for index in reversed(range(len(pieces))):
        piece = pieces[index]
        segmentation[piece.rows, piece.columns].masked_fill_(piece.mask, index)
    visible = torch.bincount(segmentation.flatten() + 1, minlength=len(pieces) + 1)[1:].tolist()
    shown = [
        index
        for index, (piece, pixels) in enumerate(zip(pieces, visible, strict=True))
        if pixels > 0 and pixels >= overlap_mask_area_threshold * piece.area
    ]
    table = torch.full((len(pieces) + 1,), -1, dtype=torch.int32, device=device)
    table[shown] = torch.tensor(shown, dtype=torch.int32, device=device)
    # Entry -1 of the table, its last, is the background.
    return table[segmentation.long()], shown


@dataclass(frozen=True, eq=False)
class RankedInstances:
    """The instances of one image by falling score.

    Args:
        queries: (instances,) index of the query that found each; one may find several.
        labels: (instances,) index of the class.
        scores: (instances,) class probability times mean mask probability inside the mask.
        class_probabilities: (instances,)
        pieces: The mask of each, cut out; the same object where the query is the same.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    class_probabilities: torch.Tensor
    pieces: list[MaskPiece]


def rank_instances(
    prediction: Prediction, threshold: float, mask_threshold: float, max_detections: int
) -> RankedInstances:
    """Turns the best (query, class) pairs of one image into instances.

    A query may so appear under several classes. A pair whose class probability is below the
    threshold cannot pass: its mask is never made.

    Args:
        prediction: The network's output for the image.
        threshold: Lowest score that is kept; 0 keeps everything, empty masks too.
        mask_threshold: Mask probability above which a pixel belongs to the mask.
        max_detections: How many pairs are considered.

    Returns:
        The instances.
    """
    num_classes, device = prediction.num_classes, prediction.class_logits.device
    probabilities = prediction.class_logits.softmax(-1)[:, :-1].flatten()
    best = probabilities.sort(descending=True, stable=True).indices[:max_detections]
    # In the order of queries: equal scores then rank the same in the list and in the id map.
    pairs = best[probabilities[best] >= threshold].sort().values
    queries = pairs // num_classes

    maker = MaskMaker(prediction, mask_logit_threshold(mask_threshold))
    made = {query: maker.make(query) for query in queries.unique().tolist()}
    quality = torch.tensor([made[query].quality for query in queries.tolist()], device=device)
    scores = probabilities[pairs] * quality
    ranked = scores.sort(descending=True, stable=True).indices
    ranked = ranked[scores[ranked] >= threshold]
    pairs, queries = pairs[ranked], queries[ranked]
    pieces = [made[query] for query in queries.tolist()]
    return RankedInstances(
        queries, pairs % num_classes, scores[ranked], probabilities[pairs], pieces
    )


def find_instances(
    prediction: Prediction,
    threshold: float,
    mask_threshold: float,
    overlap_mask_area_threshold: float,
    max_detections: int,
    names: Sequence[str],
    return_rle: bool,
) -> dict[str, Any]:
    """Finds the instances of one image and draws their map.

    Args:
        prediction: The network's output for the image.
        threshold: Lowest score that is kept; 0 keeps everything, empty masks too.
        mask_threshold: Mask probability above which a pixel belongs to the mask.
        overlap_mask_area_threshold: Share of an instance's area that must be visible in the id
            map for it to be drawn there.
        max_detections: How many pairs are considered.
        names: The name of every class.
        return_rle: Whether masks are COCO run lengths instead of a boolean tensor.

    Returns:
        See `ScoreImageProcessor.post_process_instance_segmentation`.
    """
    size, device = prediction.target_size, prediction.class_logits.device
    found = rank_instances(prediction, threshold, mask_threshold, max_detections)
    labels, scores, pieces = found.labels, found.scores, found.pieces

    boxes = torch.tensor([piece.box for piece in pieces], device=device).view(-1, 4)
    masks: torch.Tensor | list[dict[str, Any]]
    if return_rle:
        queries = found.queries.tolist()
        encoded = {
            query: encode_mask(piece.mask, piece.left, piece.top, size)
            for query, piece in dict(zip(queries, pieces, strict=True)).items()
        }
        masks = [dict(encoded[query]) for query in queries]
    else:
        masks = torch.zeros(len(pieces), *size, dtype=torch.bool, device=device)
        for mask, piece in zip(masks, pieces, strict=True):
            mask[piece.rows, piece.columns] = piece.mask
    segmentation, shown = draw_instance_map(pieces, size, overlap_mask_area_threshold, device)
    seen = prediction.seen_classes
    return {
        "scores": scores,
        "labels": labels,
        "boxes": boxes,
        "masks": masks,
        "names": [names[label] for label in labels.tolist()],
        "seen": torch.zeros_like(labels, dtype=torch.bool) if seen is None else seen[labels],
        "segmentation": segmentation,
        "segments_info": [
            {
                "id": index,
                "label_id": int(labels[index]),
                "score": round(float(scores[index]), 6),
                "was_fused": False,
            }
            for index in shown
        ],
    }
