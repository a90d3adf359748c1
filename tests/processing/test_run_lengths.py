import numpy as np
import pytest
from pycocotools import mask as coco_mask

from score_hf.processing.run_lengths import area_of, run_lengths


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (120, 333)])
def test_same_runs_as_pycocotools(density, shape):
    mask = np.random.default_rng(0).random(shape) < density
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encoded["counts"].decode("ascii")
    runs = run_lengths(counts)
    drawn = np.repeat(np.arange(len(runs)) % 2, runs).reshape(shape[::-1]).T
    assert np.array_equal(drawn.astype(bool), mask)
    assert area_of(counts, *shape) == mask.sum()


def test_a_large_picture_with_one_pixel():
    counts = [20_000 * 19_999, 1, 19_999]
    encoded = coco_mask.frPyObjects({"size": [20_000, 20_000], "counts": counts}, 20_000, 20_000)
    assert run_lengths(encoded["counts"].decode("ascii")).tolist() == counts


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("", "characters"),
        (" 1", "characters"),
        ("é", "ascii"),
        ("1\U0001f6a2", "ascii"),
        ("1P", "cut off"),
        ("P" * 7 + "0", "longer than any picture"),
        ("O" + "o" * 6 + "?", "do not fill"),
        ("0", "do not fill"),
        ("O1", "do not fill"),
        ("123456", "do not fill"),
    ],
)
def test_damaged_counts(counts, message):
    with pytest.raises(ValueError, match=message):
        area_of(counts, 10, 12)
