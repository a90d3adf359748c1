import math

import pytest
import torch
from torch.nn.functional import interpolate

from score_hf.processing.mask_boxes import MaskMaker, boxes_around
from score_hf.processing.predictions import Prediction


def smooth_logits(queries, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, queries, height // 3 + 1, width // 3 + 1, generator=generator) - 1.0
    return interpolate(coarse, size=(height, width), mode="bicubic")[0]


def predicted(logits, image_size, target_size):
    return Prediction(torch.zeros(len(logits), 2), logits, None, image_size, target_size)


@pytest.mark.parametrize("threshold", [0.0, 0.7, -math.inf, math.inf])
@pytest.mark.parametrize("image_size", [(64, 96), (49, 70), (50, 61), (5, 3)])
@pytest.mark.parametrize("target_size", [None, (131, 90), (20, 31), (1, 1)])
def test_masks_equal_those_made_at_full_size(threshold, image_size, target_size):
    logits = smooth_logits(12, 16, 24, seed=image_size[0])
    prediction = predicted(logits, image_size, target_size or image_size)
    maker = MaskMaker(prediction, threshold)
    [(_, full)] = prediction.full_size_masks(torch.arange(12))
    for query, expected in enumerate(full):
        piece = maker.make(query)
        mask = torch.zeros(prediction.target_size, dtype=torch.bool)
        mask[piece.rows, piece.columns] = piece.mask
        inside = expected > threshold
        assert torch.equal(mask, inside)
        assert piece.area == inside.sum()
        mean = (expected.sigmoid() * inside).sum() / (inside.sum() + 1e-6)
        assert piece.quality == pytest.approx(mean.item(), abs=1e-6)
        assert piece.box == boxes_around(inside[None])[0].tolist()


def test_boxes():
    masks = torch.zeros(3, 4, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = masks[1, 3, 5] = True
    assert boxes_around(masks).tolist() == [[2, 1, 5, 3], [0, 0, 6, 4], [0, 0, 0, 0]]


def test_half_precision_logits_are_resized_in_float32():
    logits = smooth_logits(2, 8, 8, seed=1).to(torch.bfloat16)
    piece = MaskMaker(predicted(logits, (32, 32), (32, 32)), 0.0).make(0)
    exact = MaskMaker(predicted(logits.float(), (32, 32), (32, 32)), 0.0).make(0)
    assert piece.quality == exact.quality
