"""How well what was found fits what is there."""

from collections.abc import Sequence

import numpy as np
import shapely

from score_hf.scenes import Window

from .four_classes import CLASSES, DrawnObject

Result = tuple[int, Window, np.ndarray]


def score(truth: Sequence[DrawnObject], found: Sequence[Result]) -> dict[str, dict[str, float]]:
    """F1 at a mask IoU of 0.75 and duplicates, class by class.

    Args:
        truth: The objects.
        found: Label, box and mask in the box of what was found.

    Returns:
        For each class `f1`, `found`, `true`, and `duplicates`: found ones beyond the first that
        lie mostly in one and the same object.
    """
    scores = {}
    for label, name in enumerate(CLASSES):
        objects = [one for one in truth if one.label == label]
        results = [one for one in found if one[0] == label]
        pairs, owners = [], np.zeros(len(objects), dtype=int)
        if results:
            index = shapely.STRtree([shapely.box(*_sides(one[1])) for one in results])
            for number, one in enumerate(objects):
                for other in index.query(shapely.box(*_sides(one.window))).tolist():
                    common = one.window.intersection(results[other][1])
                    if common.is_empty:
                        continue
                    mask = results[other][2]
                    both = np.count_nonzero(
                        one.mask[common.slices_in(one.window)]
                        & mask[common.slices_in(results[other][1])]
                    )
                    owners[number] += 2 * both > np.count_nonzero(mask)
                    total = np.count_nonzero(one.mask) + np.count_nonzero(mask) - both
                    if both >= 0.75 * total:
                        pairs.append((both / total, number, other))
        used: tuple[set[int], set[int]] = (set(), set())
        for _, number, other in sorted(pairs, reverse=True):
            if number not in used[0] and other not in used[1]:
                used[0].add(number)
                used[1].add(other)
        scores[name] = {
            "f1": 2 * len(used[0]) / max(len(objects) + len(results), 1),
            "found": len(results),
            "true": len(objects),
            "duplicates": int(np.maximum(owners - 1, 0).sum()),
        }
    return scores


def _sides(window: Window) -> tuple[int, int, int, int]:
    return window.left, window.top, window.right, window.bottom
