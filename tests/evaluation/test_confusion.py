import numpy as np

from score_hf.evaluation.confusion import confused_classes, most_confused
from tests.evaluation.made_sets import encode, rectangle

HERE, THERE = rectangle(0, 0, 20, 20), rectangle(25, 30, 20, 20)


def object_of(category: int, mask: np.ndarray, iscrowd: int = 0) -> dict:
    return {"category_id": category, "segmentation": encode(mask), "iscrowd": iscrowd}


def found(category: int, mask: np.ndarray, score: float) -> dict:
    return {"category_id": category, "segmentation": encode(mask), "score": score}


def test_best_scoring_match_gives_the_name():
    objects = [object_of(1, HERE), object_of(2, THERE), object_of(3, HERE, iscrowd=1)]
    predictions = [
        found(1, HERE, 0.5),
        found(3, rectangle(0, 0, 20, 15), 0.9),
        # Too little of it to count, whatever its score.
        found(2, rectangle(0, 0, 20, 5), 1.0),
    ]
    called = confused_classes(objects, predictions, missed=3)
    assert called.tolist() == [[0, 2], [1, 3]]


def test_nothing_there_or_nothing_found():
    assert confused_classes([], [found(1, HERE, 1.0)], 3).shape == (0, 2)
    assert confused_classes([object_of(2, HERE)], [], 3).tolist() == [[1, 3]]


def test_pairs_are_listed_by_number():
    counts = np.array([[5, 1, 2, 9], [4, 0, 0, 0], [0, 0, 7, 0]])
    pairs = most_confused(counts, ["ship", "pier", "car"])
    assert [(pair["class"], pair["called"], pair["count"]) for pair in pairs] == [
        ("pier", "ship", 4),
        ("ship", "car", 2),
        ("ship", "pier", 1),
    ]
    assert pairs[1]["share"] == 2 / 17
    assert len(most_confused(counts, ["ship", "pier", "car"], limit=1)) == 1
    assert most_confused(np.diag([3, 4]), ["a", "b"]) == []
