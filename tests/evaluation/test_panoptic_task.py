import numpy as np
import pytest
import torch

from score_hf.evaluation.panoptic_task import PanopticTask, compare_segments, summarize_segments
from score_hf.evaluation.truth_maps import TruthSegments, class_map, true_segments
from score_hf.evaluation.vocabulary import Vocabulary
from tests.evaluation.made_sets import (
    NAMES,
    encode,
    instance_rows,
    instance_set,
    rectangle,
    semantic_rows,
)

VOCABULARY = Vocabulary(NAMES, NAMES)


def object_of(category: int, mask: np.ndarray, iscrowd: bool = False) -> dict:
    return {"category": category, "segmentation": encode(mask), "iscrowd": iscrowd}


def row_of(*objects: dict) -> dict:
    return {**instance_rows(1)[0], "objects": list(objects)}


def compared(truth: TruthSegments, segments: list[tuple[int, np.ndarray]]) -> np.ndarray:
    drawn = np.zeros(truth.segment_ids.shape, dtype=np.int32)
    for number, (_, mask) in enumerate(segments, start=1):
        drawn[mask] = number
    return compare_segments(truth, drawn, np.array([label for label, _ in segments]), 4)


class TestTruth:
    def test_small_objects_lie_on_large_ones(self):
        bridge, car = rectangle(0, 0, 30, 30), rectangle(10, 10, 4, 4)
        truth = true_segments(row_of(object_of(1, car), object_of(0, bridge)), 4)
        assert (truth.segment_ids[car] == 1).all()
        assert (truth.segment_ids[bridge & ~car] == 2).all()
        assert not truth.segment_ids[~bridge].any() and not truth.void.any()

    def test_groups_lie_below(self):
        group, ship = rectangle(10, 10, 4, 4), rectangle(0, 0, 30, 30)
        truth = true_segments(row_of(object_of(0, group, iscrowd=True), object_of(0, ship)), 4)
        assert not (truth.segment_ids == 1).any()

    def test_semantic_set_has_a_segment_a_class(self):
        row = semantic_rows(1)[0]
        truth, classes = true_segments(row, 4), class_map(row, 4)
        assert len(truth.labels) == len(row["classes"])
        for number, label in enumerate(truth.labels, start=1):
            np.testing.assert_array_equal(truth.segment_ids == number, classes == label)
        np.testing.assert_array_equal(truth.void, classes == 255)

    def test_classes_of_an_instance_set(self):
        bridge, car = rectangle(0, 0, 30, 30), rectangle(10, 10, 4, 4)
        classes = class_map(row_of(object_of(1, car), object_of(0, bridge)), 4)
        assert (classes[car] == 1).all() and (classes[bridge & ~car] == 0).all()
        assert (classes[~bridge] == 255).all()

    def test_no_objects(self):
        truth = true_segments(row_of(), 4)
        assert len(truth.labels) == 0 and not truth.segment_ids.any()


class TestComparison:
    def test_the_truth_itself(self):
        row = instance_set(6, seed=2)[3]
        truth = true_segments(row, 4)
        kept = [n for n in range(len(truth.labels)) if not truth.crowd[n]]
        segments = [(int(truth.labels[n]), truth.segment_ids == n + 1) for n in kept]
        segments = [(label, mask) for label, mask in segments if mask.any()]
        counts = compared(truth, segments)
        assert counts[:, 0].sum() == counts[:, 1].sum() == len(segments) > 0
        assert not counts[:, 2:].any()

    def test_half_is_not_enough_and_classes_must_agree(self):
        truth = true_segments(row_of(object_of(0, rectangle(0, 0, 10, 20))), 4)
        half = rectangle(0, 0, 10, 10)
        assert compared(truth, [(0, half)])[0].tolist() == [0, 0, 1, 1]
        more = rectangle(0, 0, 10, 11)
        assert compared(truth, [(0, more)])[0].tolist() == [0.55, 1, 0, 0]
        counts = compared(truth, [(2, more)])
        assert counts[0].tolist() == [0, 0, 0, 1] and counts[2].tolist() == [0, 0, 1, 0]

    def test_void_is_left_out_of_the_union_and_excuses(self):
        void = rectangle(0, 10, 10, 10)
        ids = rectangle(0, 0, 10, 10).astype(np.int64)
        truth = TruthSegments(ids, np.array([0]), np.array([False]), void)
        assert compared(truth, [(0, rectangle(0, 0, 10, 20))])[0].tolist() == [1, 1, 0, 0]
        mostly = rectangle(0, 12, 10, 10)
        assert compared(truth, [(1, mostly)])[1].tolist() == [0, 0, 0, 0]
        half = rectangle(0, 15, 10, 10)
        assert compared(truth, [(1, half)])[1].tolist() == [0, 0, 1, 0]

    def test_groups_excuse_their_own_class_only(self):
        group = rectangle(0, 0, 20, 20)
        truth = true_segments(row_of(object_of(0, group, iscrowd=True)), 4)
        assert not compared(truth, [(0, rectangle(0, 0, 5, 5))]).any()
        assert compared(truth, [(1, rectangle(0, 0, 5, 5))])[1].tolist() == [0, 0, 1, 0]

    def test_hidden_objects_and_extra_names_do_not_count(self):
        mask = rectangle(0, 0, 10, 10)
        truth = true_segments(row_of(object_of(0, mask), object_of(1, mask)), 4)
        counts = compared(truth, [(1, mask), (4, rectangle(20, 20, 5, 5))])
        assert counts.sum(axis=0).tolist() == [1, 1, 0, 0]

    def test_background_is_not_void(self):
        truth = true_segments(row_of(), 4)
        assert compared(truth, [(3, rectangle(0, 0, 5, 5))])[3].tolist() == [0, 0, 1, 0]


def test_quality_is_recognition_times_segmentation():
    counts = np.array([[2.4, 3, 1, 1], [0.0, 0, 0, 2], [0, 0, 0, 0], [0.9, 1, 0, 0]])
    figures = summarize_segments(counts, VOCABULARY)
    assert figures["per_class"]["ship"] == pytest.approx(2.4 / 4)
    assert figures["per_class"]["storage_tank"] == 0 and figures["per_class"]["harbor"] is None
    assert figures["PQ"] == pytest.approx((0.6 + 0 + 0.9) / 3)
    assert figures["SQ"] == pytest.approx((0.8 + 0 + 0.9) / 3)
    assert figures["RQ"] == pytest.approx((0.75 + 0 + 1) / 3)
    assert summarize_segments(np.zeros((4, 4)), VOCABULARY)["PQ"] is None


def test_records_hold_segments_and_counts():
    class Answer:
        def post_process_panoptic_segmentation(self, outputs, **options):
            assert list(options["label_ids_to_fuse"]) == []
            drawn = torch.from_numpy(rectangle(0, 0, 10, 10).astype(np.int32))
            info = {"id": 1, "label_id": 2, "score": 0.5, "was_fused": False}
            return [{"segmentation": drawn, "segments_info": [info]}]

    task = PanopticTask(Answer(), VOCABULARY, fuse=False)
    (record,) = task.read(None, [row_of(object_of(2, rectangle(0, 0, 10, 10)))])
    assert [entry["category_id"] for entry in record["predictions"]] == [3]
    findings = task.summarize([task.measure(record)])
    assert findings.figures["PQ"] == 1 and findings.image_scores == [1]
