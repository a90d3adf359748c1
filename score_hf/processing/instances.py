"""Network outputs to instances: scored masks that may overlap."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .coco_masks import encode_masks
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


def boxes_around(masks: torch.Tensor) -> torch.Tensor:
    """Finds the box around each mask.

    Args:
        masks: Boolean masks of shape `(masks, height, width)`.

    Returns:
        Boxes `(masks, 4)`, float32, as x1, y1, x2, y2 in pixels with x2 and y2 exclusive; zeros
        for an empty mask.
    """

    def first_and_end(occupied: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        occupied = occupied.to(torch.uint8)
        return occupied.argmax(1), occupied.shape[1] - occupied.flip(1).argmax(1)

    left, right = first_and_end(masks.any(1))
    top, bottom = first_and_end(masks.any(2))
    boxes = torch.stack([left, top, right, bottom], dim=1)
    return torch.where(masks.flatten(1).any(1)[:, None], boxes, 0).float()


class _InstanceMap:
    """Draws masks over one another so that the one with the higher score stays on top.

    It needs each mask only once and in any order, so that they need not be kept.
    """

    def __init__(self, size: tuple[int, int], num_queries: int, device: torch.device) -> None:
        self.owner = torch.full(size, -1, dtype=torch.int32, device=device)
        self.score = torch.full(size, -1.0, device=device)
        self.area = torch.zeros(num_queries, dtype=torch.int64, device=device)

    def draw(self, query: int, mask: torch.Tensor, box: Sequence[float], score: float) -> None:
        left, top, right, bottom = (int(edge) for edge in box)
        inside = (slice(top, bottom), slice(left, right))
        on_top = mask[inside] & (self.score[inside] < score)
        self.owner[inside].masked_fill_(on_top, query)
        self.score[inside].masked_fill_(on_top, score)
        self.area[query] = mask[inside].sum()

    def finish(
        self, id_of_query: torch.Tensor, overlap_mask_area_threshold: float
    ) -> tuple[torch.Tensor, list[int]]:
        """Turns queries into instance ids and takes out what is mostly hidden.

        Returns:
            The map `(height, width)` and the ids that are in it.
        """
        visible = torch.bincount(self.owner.flatten() + 1, minlength=len(self.area) + 1)[1:]
        enough = visible >= overlap_mask_area_threshold * self.area
        shown = (visible > 0) & enough & (id_of_query >= 0)
        table = torch.where(shown, id_of_query, -1).to(torch.int32)
        table = torch.cat([table, table.new_full((1,), -1)])  # entry -1 is the background
        return table[self.owner.long()], sorted(id_of_query[shown].tolist())


def find_instances(
    prediction: Prediction,
    threshold: float,
    mask_threshold: float,
    overlap_mask_area_threshold: float,
    max_detections: int,
    names: Sequence[str],
    return_rle: bool,
) -> dict[str, Any]:
    """Finds the instances of one image.

    The best (query, class) pairs become instances; a query may so appear under several classes.
    Score = class probability x mean mask probability inside the mask. A pair whose class
    probability is below the threshold cannot pass: its mask is never made.

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
    num_queries, num_classes = len(prediction.class_logits), prediction.num_classes
    device = prediction.class_logits.device
    class_scores = prediction.class_logits.softmax(-1)[:, :-1].flatten()
    best = class_scores.sort(descending=True, stable=True).indices[:max_detections]
    # In the order of queries: equal scores then rank the same in the list and in the id map.
    pairs = best[class_scores[best] >= threshold].sort().values
    pair_queries = pairs // num_classes

    quality = torch.zeros(num_queries, device=device)
    boxes = torch.zeros(num_queries, 4, device=device)
    top_class_scores = class_scores.view(num_queries, num_classes).amax(1)
    instance_map = _InstanceMap(prediction.target_size, num_queries, device)
    made_masks: list[torch.Tensor] = []
    encoded: dict[int, dict[str, Any]] = {}
    queries = pair_queries.unique()
    for some, logits in prediction.full_size_masks(queries):
        masks = logits > mask_logit_threshold(mask_threshold)
        inside = (logits.sigmoid() * masks).sum((1, 2))
        quality[some] = inside / (masks.sum((1, 2)) + 1e-6)
        boxes[some] = boxes_around(masks)
        scores = (top_class_scores * quality)[some]
        for query, mask, box, score in zip(
            some.tolist(), masks, boxes[some].tolist(), scores.tolist(), strict=True
        ):
            if score >= threshold:
                instance_map.draw(query, mask, box, score)
        passing = scores >= threshold
        if return_rle:
            encodings = encode_masks(masks[passing])
            encoded.update(zip(some[passing].tolist(), encodings, strict=True))
        else:
            made_masks.append(masks[passing])

    scores = class_scores[pairs] * quality[pair_queries]
    passing_queries = queries[(top_class_scores * quality)[queries] >= threshold]
    order = scores.sort(descending=True, stable=True).indices
    order = order[scores[order] >= threshold]
    scores, labels, pair_queries = (
        scores[order],
        pairs[order] % num_classes,
        pair_queries[order],
    )

    found_masks: torch.Tensor | list[dict[str, Any]]
    if return_rle:
        found_masks = [dict(encoded[query]) for query in pair_queries.tolist()]
    else:
        empty = torch.zeros(0, *prediction.target_size, dtype=torch.bool, device=device)
        rows = torch.searchsorted(passing_queries, pair_queries)
        found_masks = torch.cat([empty, *made_masks])[rows]

    # The best pair of a query hides its others, which have the same mask.
    ids = torch.full((num_queries,), -1, dtype=torch.int64, device=device)
    ranks = torch.arange(len(order), device=device)
    ids.scatter_reduce_(0, pair_queries, ranks, reduce="amin", include_self=False)
    segmentation, shown = instance_map.finish(ids, overlap_mask_area_threshold)
    seen = prediction.seen_classes
    return {
        "scores": scores,
        "labels": labels,
        "boxes": boxes[pair_queries],
        "masks": found_masks,
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
