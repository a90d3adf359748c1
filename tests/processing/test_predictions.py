from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from score_hf.processing import predictions
from score_hf.processing.predictions import check_count, check_fraction, split_outputs


def outputs(batch_size=2, queries=5, classes=3, grid=(8, 12), **more):
    generator = torch.Generator().manual_seed(0)
    return {
        "class_queries_logits": torch.randn(batch_size, queries, classes + 1, generator=generator),
        "masks_queries_logits": torch.randn(batch_size, queries, *grid, generator=generator),
        **more,
    }


def test_sizes_default_to_the_padded_input():
    first, _ = split_outputs(outputs())
    assert first.image_size == first.target_size == (32, 48)
    assert first.seen_classes is None


def test_outputs_may_be_objects_and_sizes_tensors():
    given = SimpleNamespace(
        **outputs(image_sizes=torch.tensor([[20, 30], [32, 40]])),
        seen_classes=torch.tensor([True, False, True]),
    )
    first, second = split_outputs(given)
    assert (first.image_size, second.target_size) == ((20, 30), (32, 40))
    assert second.seen_classes.tolist() == [True, False, True]
    first, second = split_outputs(given, torch.tensor([[1, 2], [3, 4]]))
    assert (first.target_size, second.target_size) == ((1, 2), (3, 4))


def test_seen_classes_may_differ_between_images():
    seen = torch.tensor([[True, False, True], [False, False, True]])
    assert split_outputs(outputs(seen_classes=seen))[1].seen_classes.tolist() == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("target_size", [(20, 30), (37, 91), (5, 3)])
def test_masks_are_resized_cropped_and_resized_again(monkeypatch, target_size):
    given = outputs(image_sizes=[(20, 30), (32, 48)])
    padded = interpolate(given["masks_queries_logits"], scale_factor=4, mode="bilinear")
    expected = interpolate(padded[:1, :, :20, :30], size=target_size, mode="bilinear")[0]
    prediction = split_outputs(given, [target_size, (1, 1)])[0]
    monkeypatch.setattr(predictions, "_CHUNK_PIXELS", 2 * 24 * 36)
    wanted = torch.tensor([0, 2, 4])
    chunks = list(prediction.full_size_masks(wanted))
    assert torch.equal(torch.cat([queries for queries, _ in chunks]), wanted)
    assert len(chunks) > 1
    torch.testing.assert_close(torch.cat([masks for _, masks in chunks]), expected[wanted])


def test_no_queries_make_no_masks():
    prediction = split_outputs(outputs())[0]
    assert list(prediction.full_size_masks(torch.zeros(0, dtype=torch.int64))) == []


@pytest.mark.parametrize(
    ("change", "target_sizes", "message"),
    [
        ({"class_queries_logits": None}, None, "`class_queries_logits`"),
        ({"class_queries_logits": torch.zeros(2, 4, 4)}, None, r"\(2, 4, 4\)"),
        ({"masks_queries_logits": torch.zeros(2, 5, 8)}, None, r"\(2, 5, 8\)"),
        ({"image_sizes": [(33, 48), (1, 1)]}, None, r"`outputs.image_sizes`.*\(32, 48\)"),
        ({"image_sizes": [(1, 1)]}, None, "`outputs.image_sizes`"),
        ({"seen_classes": torch.ones(2)}, None, "`outputs.seen_classes`"),
        ({}, [(1, 1)], "`target_sizes` has 1 entries for 2 images"),
        ({}, [(1, 0), (1, 1)], "`target_sizes`.*positive"),
        ({}, [1, 2], "`target_sizes`"),
        ({}, 5, "`target_sizes`"),
        ({}, [(20.0, 30.7), (1, 1)], r"`target_sizes` must hold two whole .* \[\(20.0, 30.7\), "),
        ({}, torch.ones(2, 2), "`target_sizes` must hold two whole numbers"),
        ({}, [(1, 2, 3), (1, 2, 3)], "`target_sizes`"),
    ],
)
def test_outputs_that_do_not_go_together(change, target_sizes, message):
    with pytest.raises(ValueError, match=message):
        split_outputs({**outputs(), **change}, target_sizes)


@pytest.mark.parametrize("sizes", [torch.tensor([[20, 30], [1, 1]]), np.array([[20, 30], [1, 1]])])
def test_target_sizes_may_be_arrays(sizes):
    assert split_outputs(outputs(), sizes)[0].target_size == (20, 30)


def test_numbers_out_of_range():
    assert check_fraction(1, "threshold") == 1.0
    for value in (-0.1, 1.1, float("nan"), "0.5", None, True):
        with pytest.raises(ValueError, match="`threshold` must be a number between 0 and 1"):
            check_fraction(value, "threshold")
    assert check_fraction(np.float32(0.5), "threshold") == 0.5
    assert check_count(3, "max_detections") == check_count(np.int64(3), "max_detections") == 3
    for number in (0, -1, 2.0, True, None):
        with pytest.raises(ValueError, match="`max_detections` must be a positive integer"):
            check_count(number, "max_detections")
