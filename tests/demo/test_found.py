import numpy as np
import pytest
import torch

from score_hf import Segmenter
from score_hf.demo.found import (
    LOWEST_THRESHOLD,
    Ensemble,
    FoundObject,
    filter_objects,
    find_objects,
    object_at,
)
from score_hf.processing.mask_boxes import MaskPiece
from tests.demo.conftest import NAMES, SCENE


@pytest.mark.parametrize("threshold", [LOWEST_THRESHOLD, 0.3, 0.8])
def test_objects_are_those_of_the_segmenter(engine, result, objects, threshold):
    names = engine.read_vocabulary(NAMES).class_names
    segmenter = Segmenter("score-tiny", names, device="cpu")
    expected = next(segmenter.segment(str(SCENE), threshold)).instances
    found = filter_objects(objects, threshold, range(len(names)))
    assert len(found) > 1
    assert [one.label for one in found] == expected["labels"].tolist()
    assert torch.equal(torch.tensor([one.score for one in found]), expected["scores"])
    assert torch.equal(torch.tensor([one.piece.box for one in found]), expected["boxes"])
    masks = np.stack([one.mask(result.size) for one in found])
    assert (masks == expected["masks"].numpy()).all()


def test_another_ensemble_is_that_of_a_model_configured_so(engine, result):
    segmenter = Segmenter("score-tiny", engine.read_vocabulary(NAMES).class_names, device="cpu")
    segmenter.model.config.alpha, segmenter.model.config.beta = 0.7, 0.1
    expected = next(segmenter.segment(str(SCENE), 0.3)).instances
    found = find_objects(result, Ensemble(0.7, 0.1, "general"), 100)
    kept = filter_objects(found, 0.3, range(6))
    assert torch.equal(torch.tensor([one.score for one in kept]), expected["scores"])
    own = filter_objects(find_objects(result, engine.about.ensemble, 100), 0.3, range(6))
    assert [one.score for one in own] != [one.score for one in kept]


def test_filters_by_score_and_class(objects):
    some = filter_objects(objects, 0.5, {0, 3})
    assert some == [one for one in objects if one.score >= 0.5 and one.label in {0, 3}]
    assert filter_objects(objects, 0.5, set()) == []
    assert [one.number for one in objects] == list(range(1, len(objects) + 1))


def test_fewer_can_be_asked_for(engine, result):
    assert len(find_objects(result, engine.about.ensemble, 5)) <= 5


def rectangle(number: int, left: int, top: int, side: int, hole: bool = False) -> FoundObject:
    mask = torch.ones(side, side, dtype=torch.bool)
    if hole:
        mask[1:-1, 1:-1] = False
    piece = MaskPiece(number, mask, left, top, int(mask.sum()), 0.9)
    return FoundObject(number, number, 0, 1 / number, 1 / number, piece)


def test_a_click_means_the_smallest_object_there():
    large, small, twin = rectangle(1, 0, 0, 10), rectangle(2, 2, 2, 4), rectangle(3, 2, 2, 4)
    assert object_at([large, small, twin], 3.9, 3.9) is small
    assert object_at([large, small, twin], 9.5, 0) is large
    assert object_at([large, small, twin], 10, 0) is None


def test_a_click_into_a_hole_means_the_object_around_it():
    ring, far = rectangle(1, 0, 0, 10, hole=True), rectangle(2, 20, 20, 5)
    assert object_at([ring, far], 5, 5) is ring


def test_a_mask_is_drawn_at_another_size():
    one = rectangle(1, 2, 4, 4)
    full = one.mask((20, 10))
    assert full.sum() == 16 and full[4:8, 2:6].all()
    half = one.mask((20, 10), (10, 5))
    assert half.sum() == 4 and half[2:4, 1:3].all()
    double = one.mask((20, 10), (40, 20))
    assert double.sum() == 64 and double[8:16, 4:12].all()


def test_an_empty_mask_stays_empty():
    nothing = MaskPiece(0, torch.zeros(0, 0, dtype=torch.bool), 0, 0, 0, 0.0)
    one = FoundObject(1, 0, 0, 0.5, 0.5, nothing)
    assert not one.mask((8, 8)).any() and object_at([one], 0, 0) is None
