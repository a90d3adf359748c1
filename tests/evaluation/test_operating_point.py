import pytest

from score_hf.evaluation.mask_matching import match_image
from score_hf.evaluation.operating_point import best_threshold, image_f1
from tests.evaluation.made_sets import encode, rectangle

HERE, THERE = encode(rectangle(0, 0, 20, 20)), encode(rectangle(25, 30, 20, 20))


def matches(objects: list[tuple[int, dict]], found: list[tuple[int, dict, float]]):
    return match_image(
        [
            {"category_id": category, "segmentation": mask, "area": 400, "iscrowd": False}
            for category, mask in objects
        ],
        [
            {"category_id": category, "segmentation": mask, "score": score}
            for category, mask, score in found
        ],
        [1, 2],
    )


def test_threshold_with_the_best_f1():
    images = [
        matches([(1, HERE)], [(1, HERE, 0.9), (1, THERE, 0.2)]),
        matches([(2, THERE)], [(2, THERE, 0.5), (1, THERE, 0.4)]),
    ]
    assert best_threshold(images) == 0.5
    assert [image_f1(image, 0.5) for image in images] == [1, 1]
    # 0.4: one right of two, with one object.
    assert image_f1(images[1], 0.4) == pytest.approx(2 / 3)
    assert image_f1(images[1], 0.6) == 0


def test_equal_scores_stand_or_fall_together():
    images = [matches([(1, HERE)], [(1, HERE, 0.5), (2, HERE, 0.5), (1, THERE, 0.5)])]
    assert best_threshold(images) == 0.5
    assert image_f1(images[0], 0.5) == 0.5


def test_nothing_is_right():
    images = [matches([(1, HERE)], [(2, HERE, 0.5)]), matches([], [])]
    assert best_threshold(images) is None
    assert image_f1(images[1], 0.5) is None
