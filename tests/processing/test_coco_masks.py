import sys

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_api

from score_hf.processing.coco_masks import decode_mask, encode_mask


@pytest.mark.parametrize("seed", range(6))
def test_encoding_equals_that_of_pycocotools(seed):
    generator = np.random.default_rng(seed)
    height, width = generator.integers(1, 9, 2)
    top, left = generator.integers(0, height), generator.integers(0, width)
    piece = generator.random((height - top, width - left)) < 0.6
    full = np.zeros((height, width), dtype=np.uint8)
    full[top:, left:] = piece
    expected = coco_api.encode(np.asfortranarray(full))
    encoded = encode_mask(torch.from_numpy(piece), int(left), int(top), (int(height), int(width)))
    assert encoded == {
        "size": [height, width],
        "counts": expected["counts"].decode(),
    }


@pytest.mark.parametrize("value", [False, True])
def test_full_and_empty_masks(value):
    mask = torch.full((5, 7), value)
    encoded = encode_mask(mask, 0, 0, (5, 7))
    assert torch.equal(decode_mask(encoded, (5, 7), "masks").bool(), mask)


def test_a_mask_without_pixels_is_an_empty_mask():
    encoded = encode_mask(torch.zeros(0, 0, dtype=torch.bool), 0, 0, (5, 7))
    assert decode_mask(encoded, (5, 7), "masks").sum() == 0


def test_uncompressed_runs_and_polygons():
    uncompressed = decode_mask({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3), "masks")
    assert uncompressed.tolist() == [[0, 1, 0], [1, 0, 0]]
    square = [[1, 1, 4, 1, 4, 3, 1, 3], np.array([5, 0, 6, 0, 6, 1, 5, 1])]
    drawn = decode_mask(square, (4, 6), "masks")
    assert drawn[1:3, 1:4].all()
    assert drawn.sum() == 6 + 1


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ("3c", "polygons"),
        ([], "polygons"),
        ([[1, 2, 3, 4]], "polygons"),
        ([1, 2, 3, 4, 5, 6], "polygons"),
        ({"counts": "0"}, "size"),
        ({"size": [3, 2], "counts": [6]}, r"\(3, 2\).*\(2, 3\)"),
        ([["a", 1, 2, 3, 4, 5]], "valid"),
        ([["x" * 9999, 1, 2, 3, 4, 5]], r"valid COCO segmentation \(.{200}\)\.$"),
        ([[float("nan"), 1, 2, 3, 4, 5]], "its corners must be finite numbers"),
        ({"size": [2, 3], "counts": [-1, 7]}, "valid"),
        ({"size": 6, "counts": [6]}, "height and width 6"),
        ({"size": [2, 3], "counts": 6}, "its runs do not fill 2 x 3 pixels"),
        # pycocotools would fill up with whatever lies in memory.
        ({"size": [2, 3], "counts": [5]}, "its runs do not fill 2 x 3 pixels"),
        ({"size": [2, 3], "counts": "5"}, "its runs do not fill 2 x 3 pixels"),
        ({"size": [2, 3], "counts": "6o"}, "its last run length is cut off"),
        ([[0, 0, 1e300, 0, 1e300, 2]], "it reaches far out of its image"),
    ],
)
def test_what_is_no_segmentation_is_refused(segmentation, message):
    with pytest.raises(ValueError, match=rf"`masks\[0\]`.*{message}"):
        decode_mask(segmentation, (2, 3), "masks[0]")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ImportError, match="pip install pycocotools"):
        encode_mask(torch.ones(1, 1, dtype=torch.bool), 0, 0, (1, 1))
