import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from score_hf.data.loading import coco_ground_truth
from score_hf.evaluation.coco_metrics import (
    accumulate_matches,
    summarize,
)
from score_hf.evaluation.mask_matching import match_image
from tests.evaluation.made_sets import encode, instance_set, noisy_predictions, rectangle

IDS = [1, 2, 3, 4]
NAMES = ["ship", "storage_tank", "harbor", "bridge"]


def plain_pycocotools(truth: dict, predictions: list[dict]) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(predictions)), "segm")
        evaluation.params.maxDets = [1, 10, 300]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def by_image(truth: dict, predictions: list[dict]):
    def of(entries, number):
        return [entry for entry in entries if entry["image_id"] == number]

    images = sorted(truth["images"], key=lambda image: image["id"])
    return accumulate_matches(
        [
            match_image(
                of(truth["annotations"], image["id"]),
                of(predictions, image["id"]),
                IDS,
            )
            for image in images
        ],
        IDS,
    )


@pytest.mark.parametrize("seed", range(4))
def test_image_by_image_is_the_whole_dataset_at_once(seed):
    truth = coco_ground_truth(instance_set(12, seed))
    predictions = noisy_predictions(truth, seed)
    expected = plain_pycocotools(truth, predictions).eval
    curves = by_image(truth, predictions)
    np.testing.assert_array_equal(curves.precision, expected["precision"])
    np.testing.assert_array_equal(curves.recall, expected["recall"])
    np.testing.assert_array_equal(curves.scores, expected["scores"])


def test_figures_are_those_of_a_plain_script():
    truth = coco_ground_truth(instance_set(20, 5))
    predictions = noisy_predictions(truth, 5)
    precision = plain_pycocotools(truth, predictions).eval["precision"]
    figures = summarize(by_image(truth, predictions), NAMES, [True, False, True, False])

    def mean(values):
        return values[values > -1].mean()

    assert 0.1 < figures["AP"] < 0.9
    assert figures["AP"] == mean(precision[:, :, :, 0, 2])
    assert figures["AP50"] == mean(precision[0, :, :, 0, 2])
    assert figures["AP75"] == mean(precision[5, :, :, 0, 2])
    # No object of the made sets has 96 x 96 pixels.
    assert figures["APs"] == mean(precision[:, :, :, 1, 2]) and figures["APl"] is None
    assert figures["per_class"]["ship"] == mean(precision[:, :, 0, 0, 2])
    assert figures["per_class"]["bridge"] is None
    assert figures["seen"] == pytest.approx(
        (figures["per_class"]["ship"] + figures["per_class"]["harbor"]) / 2
    )
    assert figures["unseen"] == figures["per_class"]["storage_tank"]


def test_three_hundred_detections_count():
    """A usual 100 would cut off the right one, which has the lowest score."""
    right, wrong = encode(rectangle(4, 4, 20, 20)), encode(rectangle(30, 40, 5, 5))
    entry = {"category_id": 1, "segmentation": right, "area": 400, "iscrowd": False}
    predictions = [{"category_id": 1, "segmentation": wrong, "score": 0.9}] * 299
    predictions.append({"category_id": 1, "segmentation": right, "score": 0.1})
    curves = accumulate_matches([match_image([entry], predictions, [1])], [1])
    figures = summarize(curves, ["ship"], None)
    assert figures["AR"] == 1
    assert figures["AP"] == pytest.approx(1 / 300)


def test_object_and_image_with_number_zero_count():
    mask = encode(rectangle(4, 4, 20, 20))
    entry = {"id": 0, "category_id": 1, "segmentation": mask, "area": 400, "iscrowd": False}
    predictions = [{"category_id": 1, "segmentation": mask, "score": 0.5}]
    curves = accumulate_matches([match_image([entry], predictions, [1])], [1])
    assert summarize(curves, ["ship"], None)["AP"] == pytest.approx(1)


def test_nothing_predicted_and_nothing_to_find():
    truth = coco_ground_truth(instance_set(4))
    figures = summarize(by_image(truth, []), NAMES, None)
    assert figures["AP"] == 0 and figures["AR"] == 0 and figures["seen"] is None
    empty = {**truth, "annotations": []}
    assert summarize(by_image(empty, []), NAMES, None)["AP"] is None
