"""Network outputs to maps in which every pixel has one meaning: semantic and panoptic."""

from collections.abc import Collection
from typing import Any

import torch

from .predictions import Prediction


def _best_queries(scores: torch.Tensor, max_detections: int) -> torch.Tensor:
    """The indices of the highest scores, in rising order."""
    return scores.sort(descending=True, stable=True).indices[:max_detections].sort().values


def score_pixels(prediction: Prediction, max_detections: int) -> torch.Tensor:
    """Scores every class at every pixel, as Mask2Former does.

    Args:
        prediction: The network's output for one image.
        max_detections: Only so many queries take part, those with the highest class probability.

    Returns:
        `(classes, height, width)`: sum over queries of class probability x mask probability. A
        sum, it may exceed 1.
    """
    class_scores = prediction.class_logits.softmax(-1)[:, :-1]
    total = class_scores.new_zeros(prediction.num_classes, *prediction.target_size)
    queries = _best_queries(class_scores.amax(1), max_detections)
    for some, logits in prediction.full_size_masks(queries):
        total += torch.einsum("qc,qhw->chw", class_scores[some], logits.sigmoid())
    return total


def label_pixels(scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Gives every pixel its best class.

    Args:
        scores: `(classes, height, width)`.
        threshold: A pixel whose best score is lower has no class.

    Returns:
        `(height, width)` int64 class indices, -1 for no class.
    """
    best, labels = scores.max(0)
    return labels.masked_fill(best < threshold, -1)


def find_segments(
    prediction: Prediction,
    threshold: float,
    mask_threshold: float,
    overlap_mask_area_threshold: float,
    label_ids_to_fuse: Collection[int],
    max_detections: int,
) -> dict[str, Any]:
    """Divides one image into segments that do not overlap, as Mask2Former does.

    Each pixel goes to the query with the highest class probability x mask probability there. A
    query keeps its pixels if they are a large enough share of its mask.

    Args:
        prediction: The network's output for the image.
        threshold: A query's class probability must be higher than this.
        mask_threshold: Lowest mask probability of a pixel that is kept.
        overlap_mask_area_threshold: Lowest share of its mask that a query must have won.
        label_ids_to_fuse: Classes whose segments become one.
        max_detections: Only so many queries take part, those with the highest class probability.

    Returns:
        See `ScoreImageProcessor.post_process_panoptic_segmentation`.
    """
    scores, labels = prediction.class_logits.softmax(-1).max(-1)
    candidates = _best_queries(scores, max_detections)
    kept = (labels[candidates] < prediction.num_classes) & (scores[candidates] > threshold)
    candidates = candidates[kept]

    size, device = prediction.target_size, scores.device
    winner = torch.full(size, -1, dtype=torch.int64, device=device)
    winning_score = torch.full(size, -1.0, device=device)
    winner_is_inside = torch.zeros(size, dtype=torch.bool, device=device)
    mask_areas = torch.zeros(len(scores), dtype=torch.int64, device=device)
    for some, logits in prediction.full_size_masks(candidates):
        probabilities = logits.sigmoid()
        inside = probabilities >= mask_threshold
        mask_areas[some] = inside.sum((1, 2))
        pixel_scores = scores[some, None, None] * probabilities
        for query, query_scores, query_inside in zip(
            some.tolist(), pixel_scores, inside, strict=True
        ):
            wins = query_scores > winning_score
            winning_score = torch.where(wins, query_scores, winning_score)
            winner.masked_fill_(wins, query)
            winner_is_inside = torch.where(wins, query_inside, winner_is_inside)

    won_areas = torch.bincount(winner.flatten() + 1, minlength=len(scores) + 1)[1:]
    drawn_areas = torch.bincount(winner[winner_is_inside] + 1, minlength=len(scores) + 1)[1:]
    id_of_query = torch.zeros(len(scores) + 1, dtype=torch.int32, device=device)
    segments: list[dict[str, Any]] = []
    fused: dict[int, dict[str, Any]] = {}
    for query in candidates.tolist():
        enough = won_areas[query] / mask_areas[query] >= overlap_mask_area_threshold
        if not drawn_areas[query] or not enough:
            continue
        label, score = int(labels[query]), round(float(scores[query]), 6)
        segment = fused.get(label)
        if segment is None:
            segment = {
                "id": len(segments) + 1,
                "label_id": label,
                "score": score,
                "was_fused": label in label_ids_to_fuse,
            }
            segments.append(segment)
            if segment["was_fused"]:
                fused[label] = segment
        segment["score"] = max(segment["score"], score)
        id_of_query[query] = segment["id"]
    segmentation = torch.where(winner_is_inside, id_of_query[winner], 0)
    return {"segmentation": segmentation, "segments_info": segments}
