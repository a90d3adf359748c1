"""Instances, semantic and panoptic maps at every output size."""

import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from score_hf import ScoreProcessor
from score_hf.processing.predictions import Prediction, split_outputs

from .golden import Entries, Tensors, unpack_masks
from .report import Report
from .tolerances import BOX_PIXELS, FLIPPED_SHARE, flips_allowed, value_tolerance


def check_results(
    place: str,
    golden: Tensors,
    entries: Entries,
    outputs: Any,
    processor: ScoreProcessor,
    report: Report,
) -> None:
    """Checks what is read from the outputs of one case.

    Args:
        place: Seed and case.
        golden: The case's tensors.
        entries: The case in the manifest.
        outputs: What our model returned.
        processor: Reads them.
        report: Where the outcome goes.
    """
    noise = entries.get("float_noise_max_abs", Entries({}))
    queries = outputs.class_queries_logits.shape[1]
    if "pos_fraction_final_mask" in entries:
        shares = torch.stack([_all_masks(one).float().mean() for one in split_outputs(outputs)])
        expected = torch.tensor(entries["pos_fraction_final_mask"])
        report.close("share of mask pixels", place, shares, expected, FLIPPED_SHARE)
    scales = [match[1] for name in entries if (match := re.match(r"(.+)\.sizes$", name))]
    for scale in scales:
        sizes = [tuple(size) for size in entries[f"{scale}.sizes"]]
        panoptic = processor.post_process_panoptic_segmentation(
            outputs,
            threshold=0.0,
            mask_threshold=0.5,
            overlap_mask_area_threshold=0.8,
            target_sizes=sizes,
            max_detections=queries,
        )
        semantic = processor.post_process_semantic_segmentation(
            outputs, target_sizes=sizes, return_segmentation_scores=True, max_detections=queries
        )
        for index, prediction in enumerate(split_outputs(outputs, sizes)):
            name = f"{scale}.{index}"
            if f"inst.{name}.scores" in golden:
                found = processor.post_process_instance_segmentation(
                    outputs,
                    threshold=0.0,
                    target_sizes=sizes,
                    max_detections=len(golden[f"inst.{name}.scores"]),
                )[index]
                _check_instances(place, name, golden, noise, prediction, found, report)
            if f"semseg.{name}" in golden:
                _check_semantic(place, name, golden, noise, semantic[index], report)
            if f"panoptic.{name}.seg" in golden:
                _check_panoptic(place, name, golden, entries, panoptic[index], report)


def _check_instances(
    place: str,
    name: str,
    golden: Tensors,
    noise: Entries,
    prediction: Prediction,
    found: dict[str, Any],
    report: Report,
) -> None:
    expected = {
        part: golden[f"inst.{name}.{part}"]
        for part in ("scores", "classes", "query", "class_scores", "boxes", "query_masks_packed")
    }
    at = f"{place} {name}"
    queries, classes = expected["query"].long(), expected["classes"].long()
    ours = _all_masks(prediction)
    theirs = unpack_masks(expected["query_masks_packed"], *prediction.target_size)
    flips = int((ours != theirs).sum())
    report.number("instances: mask bits", at, flips, flips_allowed(theirs.numel()))

    class_scores = prediction.class_logits.softmax(dim=-1)[queries, classes]
    _close(
        "instances: class scores",
        at,
        f"inst.{name}.class_scores",
        class_scores,
        golden,
        noise,
        report,
    )

    # The order of instances is free, and a result does not tell its query: an instance is known
    # by its class and by its mask, which is that of a query, and equal ones by their scores.
    found_keys = _identities(found["labels"], found["masks"])
    keys = _identities(classes, ours[queries])
    wrong = (Counter(found_keys) - Counter(keys)).total() + (
        Counter(keys) - Counter(found_keys)
    ).total()
    report.number("instances: (query, class) pairs", at, wrong, 0)
    if wrong:
        return
    order = _order(found_keys, found["scores"])
    golden_order = _order(keys, expected["scores"])
    tolerance = value_tolerance(expected["scores"], noise.get(f"inst.{name}.scores"))
    report.close(
        "instances: scores",
        at,
        found["scores"][order],
        expected["scores"][golden_order],
        tolerance[golden_order],
    )
    boxes = expected["boxes"][golden_order]
    report.close("instances: boxes", at, found["boxes"][order], boxes, BOX_PIXELS)


def _all_masks(prediction: Prediction) -> Tensor:
    everyone = torch.arange(len(prediction.class_logits))
    return torch.cat([logits > 0 for _, logits in prediction.full_size_masks(everyone)])


def _identities(labels: Tensor, masks: Tensor) -> list[tuple[int, bytes]]:
    packed = np.packbits(masks.flatten(1).numpy(), axis=1)
    return [(int(label), row.tobytes()) for label, row in zip(labels, packed, strict=True)]


def _order(keys: list[tuple[int, bytes]], scores: Tensor) -> list[int]:
    return sorted(range(len(keys)), key=lambda index: (keys[index], float(scores[index])))


def _check_semantic(
    place: str, name: str, golden: Tensors, noise: Entries, found: Any, report: Report
) -> None:
    scores = found["segmentation_scores"]
    _close("semantic: scores", place, f"semseg.{name}", scores, golden, noise, report)
    labels = golden[f"semseg.{name}"].argmax(dim=0)
    wrong = int((found["segmentation"] != labels).sum())
    report.number("semantic: classes", f"{place} {name}", wrong, flips_allowed(labels.numel()))


def _check_panoptic(
    place: str,
    name: str,
    golden: Tensors,
    entries: Entries,
    found: dict[str, Any],
    report: Report,
) -> None:
    theirs = golden[f"panoptic.{name}.seg"]
    wrong = int((found["segmentation"] != theirs).sum())
    report.number("panoptic: pixels", f"{place} {name}", wrong, flips_allowed(theirs.numel()))
    segments = entries.get(f"panoptic.{name}.segments")
    if segments is not None:
        ours = [(segment["id"], segment["label_id"]) for segment in found["segments_info"]]
        listed = [(segment["id"], segment["category_id"]) for segment in segments]
        report.same("panoptic: segments", f"{place} {name}", ours, listed)


def _close(
    group: str,
    place: str,
    key: str,
    ours: Tensor,
    golden: Tensors,
    noise: Entries,
    report: Report,
) -> None:
    tolerance = value_tolerance(golden[key], noise.get(key))
    report.close(group, f"{place} {key}", ours, golden[key], tolerance)
