import json

import pytest
import torch

from score_hf import ScoreImageProcessor
from score_hf.processing.coco_masks import decode_mask

SURE = 9.0


def squares(*boxes, grid=(16, 16)):
    """Mask logits that are positive inside boxes of cells (top, left, bottom, right)."""
    logits = torch.full((len(boxes), *grid), -SURE)
    for mask, (top, left, bottom, right) in zip(logits, boxes, strict=True):
        mask[top:bottom, left:right] = SURE
    return logits


def outputs(class_scores, masks, **more):
    """Outputs of one image whose class probabilities are `class_scores`, the rest void."""
    scores = torch.tensor(class_scores)
    void = 1 - scores.sum(-1, keepdim=True)
    return {
        "class_queries_logits": torch.cat([scores, void], -1).log()[None],
        "masks_queries_logits": masks[None],
        **more,
    }


def find(given, **options):
    return ScoreImageProcessor().post_process_instance_segmentation(given, **options)[0]


NEAR = ((2, 2, 10, 10), (4, 4, 12, 12), (13, 13, 15, 15))
SCORES = [[0.1, 0.6], [0.8, 0.1], [0.05, 0.3]]


def test_instances_are_ranked_and_may_overlap():
    found = find(outputs(SCORES, squares(*NEAR)), threshold=0.25, class_names=["ship", "plane"])
    assert found["labels"].tolist() == [0, 1, 1]
    assert found["names"] == ["ship", "plane", "plane"]
    assert found["scores"].tolist() == pytest.approx([0.8, 0.6, 0.3], rel=0.1)
    first, second, _ = found["masks"]
    assert first.dtype == torch.bool
    assert (first & second).sum() > 500
    boxes = found["boxes"].tolist()
    for box, (top, left, bottom, right) in zip(boxes, (NEAR[1], NEAR[0], NEAR[2]), strict=True):
        assert box == pytest.approx([4 * left, 4 * top, 4 * right, 4 * bottom], abs=2)


def test_the_better_instance_is_on_top_in_the_map():
    found = find(outputs(SCORES, squares(*NEAR)), threshold=0.25)
    assert found["segmentation"].dtype == torch.int32
    overlap = found["masks"][0] & found["masks"][1]
    assert found["segmentation"][overlap].unique().tolist() == [0]
    covered = found["masks"].any(0)
    assert torch.equal(found["segmentation"] >= 0, covered)
    assert [segment["id"] for segment in found["segments_info"]] == [0, 1, 2]
    assert found["segments_info"][1] == {
        "id": 1,
        "label_id": 1,
        "score": round(found["scores"][1].item(), 6),
        "was_fused": False,
    }


def test_what_is_mostly_hidden_is_left_out_of_the_map_only():
    given = outputs([[0.9], [0.8], [0.7]], squares((2, 2, 10, 10), (3, 3, 9, 10), (2, 5, 10, 14)))
    found = find(given, overlap_mask_area_threshold=0.6)
    assert len(found["scores"]) == 3
    assert [segment["id"] for segment in found["segments_info"]] == [0]
    assert found["segmentation"].unique().tolist() == [-1, 0]
    shown = find(given, overlap_mask_area_threshold=0.4)["segments_info"]
    assert [segment["id"] for segment in shown] == [0, 2]


def test_a_query_may_appear_under_two_classes():
    found = find(outputs([[0.5, 0.4]], squares(NEAR[0])), threshold=0.3)
    assert found["labels"].tolist() == [0, 1]
    assert torch.equal(found["masks"][0], found["masks"][1])
    assert [segment["id"] for segment in found["segments_info"]] == [0]


def test_equal_scores_rank_by_query_in_list_and_map():
    found = find(outputs([[0.8], [0.8]], squares(NEAR[0], NEAR[0])))
    assert found["segmentation"].max() == 0
    assert found["scores"][0] == found["scores"][1]


def test_scores_weigh_the_mask():
    logits = torch.full((1, 16, 16), 1.0)
    found = find(outputs([[0.9]], logits), threshold=0.0)
    assert found["scores"].item() == pytest.approx(0.9 * torch.tensor(1.0).sigmoid().item())
    assert len(find(outputs([[0.9]], logits), threshold=0.7)["scores"]) == 0


def test_a_higher_mask_threshold_makes_smaller_masks():
    ramp = torch.linspace(-3, 3, 16).expand(1, 16, 16)
    areas = [
        find(outputs([[1.0 - 1e-6]], ramp), threshold=0.1, mask_threshold=value)["masks"].sum()
        for value in (0.0, 0.3, 0.5, 0.8)
    ]
    assert areas == sorted(areas, reverse=True)
    assert len(set(areas)) == 4
    assert areas[0] == 64 * 64


def test_empty_masks_are_kept_only_without_a_threshold():
    given = outputs([[0.9, 0.05]], squares((0, 0, 0, 0)))
    found = find(given, threshold=0.0)
    assert found["scores"].tolist() == [0.0, 0.0]
    assert found["boxes"].tolist() == [[0.0] * 4] * 2
    assert found["segments_info"] == []
    assert len(find(given, threshold=0.01)["scores"]) == 0


@pytest.mark.parametrize("return_rle", [False, True])
def test_the_form_of_a_result_does_not_depend_on_what_is_found(return_rle):
    given = outputs(SCORES, squares(*NEAR))
    some = find(given, threshold=0.5, return_rle=return_rle, target_sizes=[(30, 40)])
    none = find(given, threshold=0.99, return_rle=return_rle, target_sizes=[(30, 40)])
    assert some.keys() == none.keys()
    assert len(some["names"]) == 2
    assert none["names"] == []
    for name, value in some.items():
        empty = none[name]
        assert type(value) is type(empty)
        if isinstance(value, torch.Tensor):
            assert value.dtype == empty.dtype
            assert value.ndim == empty.ndim
            assert value.shape[1:] == empty.shape[1:]
    assert none["segmentation"].tolist() == [[-1] * 40] * 30


def test_run_lengths_hold_the_same_masks():
    given = outputs(SCORES, squares(*NEAR), image_sizes=[(60, 50)])
    options = {"threshold": 0.01, "target_sizes": [(90, 111)]}
    masks = find(given, **options)["masks"]
    encoded = find(given, **options, return_rle=True)["masks"]
    assert json.loads(json.dumps(encoded)) == encoded
    decoded = [decode_mask(mask, (90, 111), "masks") for mask in encoded]
    assert torch.equal(torch.stack(decoded).bool(), masks)


def test_only_the_best_pairs_are_considered():
    given = outputs(SCORES, squares(*NEAR))
    assert find(given, threshold=0.0, max_detections=2)["labels"].tolist() == [0, 1]
    assert len(find(given, threshold=0.0)["labels"]) == 6
    few = ScoreImageProcessor(max_detections=1)
    [found] = few.post_process_instance_segmentation(given, threshold=0.0)
    assert found["labels"].tolist() == [0]


def test_masks_of_pairs_below_the_threshold_are_not_made(monkeypatch):
    from score_hf.processing import instances

    made = []
    make = instances.MaskMaker.make
    monkeypatch.setattr(
        instances.MaskMaker, "make", lambda self, query: made.append(query) or make(self, query)
    )
    find(outputs(SCORES, squares(*NEAR)), threshold=0.5)
    assert made == [0, 1]


def test_seen_classes():
    given = outputs(SCORES, squares(*NEAR))
    assert find(given, threshold=0.25)["seen"].tolist() == [False] * 3
    given["seen_classes"] = torch.tensor([False, True])
    assert find(given, threshold=0.25)["seen"].tolist() == [False, True, True]


def test_class_names():
    given = outputs(SCORES, squares(*NEAR))
    assert find(given, threshold=0.5)["names"] == ["LABEL_0", "LABEL_1"]
    assert find(given, threshold=0.5, class_names={1: "b", 0: "a"})["names"] == ["a", "b"]
    for names, error in (
        (["a"], ValueError),
        ({0: "a", 2: "b"}, ValueError),
        ("ab", TypeError),
        (7, TypeError),
    ):
        with pytest.raises(error, match="`class_names`"):
            find(given, class_names=names)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.5},
        {"mask_threshold": -0.1},
        {"overlap_mask_area_threshold": 2},
        {"max_detections": 0},
        {"target_sizes": [(1, 1), (1, 1)]},
    ],
)
def test_options_out_of_range_are_named(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        find(outputs(SCORES, squares(*NEAR)), **options)
