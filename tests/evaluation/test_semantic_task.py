import numpy as np
import pytest
import torch

from score_hf.evaluation.semantic_task import SemanticTask, count_pixels, summarize_pixels
from score_hf.evaluation.truth_maps import class_map
from score_hf.evaluation.vocabulary import Vocabulary
from tests.evaluation.made_sets import NAMES, png, semantic_rows

VOCABULARY = Vocabulary(NAMES, NAMES, (True, False, False, True))


def by_hand(truths: list[np.ndarray], answers: list[np.ndarray]) -> list[float | None]:
    """IoU of each class by counting pixels one class at a time."""
    truth, answer = np.stack(truths), np.stack(answers)
    answer = np.where(truth == 255, 255, answer)
    return [
        float(((truth == label) & (answer == label)).sum())
        / ((truth == label) | (answer == label)).sum()
        if (truth == label).any()
        else None
        for label in range(len(NAMES))
    ]


class Answers:
    """A processor whose maps are given."""

    def __init__(self, maps):
        self.maps = maps

    def post_process_semantic_segmentation(self, outputs, sizes):
        return [torch.from_numpy(one.astype(np.int64)) for one in self.maps]


def decoded(row: dict) -> np.ndarray:
    return class_map(row, len(NAMES))


@pytest.mark.parametrize("extra", [(), ("background", "water")])
def test_figures_are_those_counted_by_hand(extra):
    random = np.random.default_rng(0)
    rows = semantic_rows(5)
    truths = [decoded(row) for row in rows]
    answers = []
    for truth in truths:
        wrong = random.integers(0, len(NAMES) + len(extra), truth.shape)
        answers.append(np.where((random.random(truth.shape) < 0.6) & (truth < 255), truth, wrong))
    task = SemanticTask(Answers(answers), Vocabulary(NAMES, NAMES, VOCABULARY.seen, extra))
    figures = task.summarize([task.measure(one) for one in task.read(None, rows)]).figures
    expected = by_hand(truths, answers)
    assert list(figures["per_class"].values()) == pytest.approx(expected)
    # The class that never occurs takes no part, though it is answered.
    measured = [value for value in expected if value is not None]
    assert len(measured) == 3
    assert figures["mIoU"] == pytest.approx(np.mean(measured))
    kept = np.stack(truths) < 255
    right = (np.stack(truths) == np.stack(answers))[kept]
    assert figures["pixel_accuracy"] == pytest.approx(right.mean())
    assert figures["seen"] == pytest.approx(expected[0])
    assert figures["unseen"] == pytest.approx((expected[1] + expected[2]) / 2)


def test_right_answers_score_one_and_ignored_pixels_do_not_count():
    rows = semantic_rows(2)
    answers = [np.where(decoded(row) == 255, 0, decoded(row)) for row in rows]
    task = SemanticTask(Answers(answers), VOCABULARY)
    records = task.read(None, rows)
    assert task.summarize([task.measure(record) for record in records]).figures["mIoU"] == 1
    assert {entry["category_id"] for entry in records[0]["predictions"]} == {
        int(label) + 1 for label in np.unique(answers[0])
    }


def test_extra_names_cost_the_true_class():
    truth = np.array([[0, 0, 1, 255]])
    counts = count_pixels(truth, np.array([[0, 4, 1, 4]]), 4, 5)
    figures = summarize_pixels(counts, VOCABULARY)
    assert figures["per_class"] == {
        "ship": 0.5,
        "storage_tank": 1.0,
        "harbor": None,
        "bridge": None,
    }
    assert figures["fwIoU"] == pytest.approx((0.5 * 2 + 1) / 3)
    assert figures["mean_accuracy"] == 0.75


def test_counts_do_not_overflow():
    counts = np.zeros((4, 4), dtype=np.int64)
    counts[0, 0] = 2**40
    assert summarize_pixels(counts * 2, VOCABULARY)["mIoU"] == 1


def test_nothing_but_ignored_pixels():
    figures = summarize_pixels(np.zeros((4, 4), dtype=np.int64), VOCABULARY)
    assert figures["mIoU"] is None and figures["harmonic_mean"] is None


@pytest.mark.parametrize(
    "label, message",
    [
        (np.full((48, 64), 7, dtype=np.uint8), "holds class 7, but there are 4 classes"),
        (np.zeros((10, 10), dtype=np.uint8), r"of shape \(10, 10\), but its image"),
        (np.zeros((48, 64, 3), dtype=np.uint8), r"of shape \(48, 64, 3\)"),
    ],
)
def test_label_that_does_not_fit(label, message):
    with pytest.raises(ValueError, match=f"label of image 'scene_0.png' of `dataset`.* {message}"):
        decoded({**semantic_rows(1)[0], "label": png(label)})


def test_damaged_label():
    row = semantic_rows(1)[0]
    row["label"]["bytes"] = row["label"]["bytes"][:40]
    with pytest.raises(ValueError, match=r"label of image 'scene_0\.png' .* cannot be decoded"):
        decoded(row)
