import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from score_hf.evaluation.mask_matching import match_image

SIDE = 260
IDS = [1, 2, 3]


def rectangle(top: int, left: int, height: int, width: int) -> dict:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    mask[top : top + height, left : left + width] = 1
    encoded = coco_mask.encode(mask)
    return {"size": [SIDE, SIDE], "counts": encoded["counts"].decode()}


def crowded_image(seed: int) -> tuple[list[dict], list[dict]]:
    """Objects of all sizes, doubled and in groups; predictions with equal scores and overlaps."""
    random = np.random.default_rng(seed)
    objects, predictions = [], []
    for _ in range(40):
        side = int(random.choice([10, 30, 34, 90, 100, 140]))
        top, left = random.integers(0, SIDE - side + 1, 2) // 20 * 20
        mask = rectangle(top, left, side, side)
        objects.append(
            {
                "category_id": int(random.choice(IDS[:2])),
                "segmentation": mask,
                # What a file states need not be what the mask has.
                "area": float(side**2 * random.choice([0.8, 1.0, 1.3])),
                "iscrowd": int(random.random() < 0.15),
            }
        )
        for _ in range(int(random.integers(0, 5))):
            shift = random.integers(-side // 6, side // 6 + 1, 2)
            moved = rectangle(max(top + shift[0], 0), max(left + shift[1], 0), side, side)
            predictions.append(
                {
                    "category_id": int(random.choice(IDS)),
                    "segmentation": mask if random.random() < 0.3 else moved,
                    "score": int(random.integers(0, 6)) / 5,
                }
            )
    return objects, predictions


def by_pycocotools(objects: list[dict], predictions: list[dict]) -> list[dict | None]:
    image = {"id": 1, "height": SIDE, "width": SIDE}
    common = {"images": [image], "categories": [{"id": number} for number in IDS]}
    truth = COCO()
    truth.dataset = {
        **common,
        "annotations": [
            {**entry, "id": n, "image_id": 1} for n, entry in enumerate(objects, start=1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes([{**entry, "image_id": 1} for entry in predictions])
        evaluation = COCOeval(truth, results, "segm")
        evaluation.params.maxDets = [1, 10, 300]
        evaluation.evaluate()
    return evaluation.evalImgs


@pytest.mark.parametrize("seed", range(8))
def test_entries_are_those_of_pycocotools(seed):
    objects, predictions = crowded_image(seed)
    entries = match_image(objects, predictions, IDS)
    expected = by_pycocotools(objects, predictions)
    assert len(entries) == len(expected) == 12
    hits = 0
    for entry, wanted in zip(entries, expected, strict=True):
        np.testing.assert_array_equal(entry["dtScores"], wanted["dtScores"])
        np.testing.assert_array_equal(entry["dtMatches"], wanted["dtMatches"] > 0)
        np.testing.assert_array_equal(entry["dtIgnore"], wanted["dtIgnore"])
        assert sorted(entry["gtIgnore"]) == sorted(wanted["gtIgnore"])
        hits += entry["dtMatches"].sum()
    assert hits > 100


def test_only_some_areas():
    objects, predictions = crowded_image(0)
    whole, one = (
        match_image(objects, predictions, IDS),
        match_image(objects, predictions, IDS, ("all",)),
    )
    assert len(one) == 3
    for place, entry in enumerate(one):
        np.testing.assert_array_equal(entry["dtIgnore"], whole[4 * place]["dtIgnore"])


def test_nothing_at_all():
    assert match_image([], [], IDS) == [None] * 12
    (entry,) = match_image(
        [], [{"category_id": 2, "segmentation": rectangle(0, 0, 9, 9), "score": 1.0}], [2], ("all",)
    )
    assert entry["dtMatches"].shape == (10, 1) and not entry["dtMatches"].any()
    assert len(entry["gtIgnore"]) == 0
