import numpy as np
import pytest
from pycocotools import mask as coco_mask

from score_hf.data.checking import OTHER_MASK_SIZE
from score_hf.data.readers.segmentations import (
    BAD_FORM,
    BAD_POLYGON,
    BAD_RUNS,
    FAR_POLYGON,
    NO_MASK,
    PART_LEFT_OUT,
    compress,
)
from tests.data.drawn_coco import box_polygon, box_runs, draw

HEIGHT, WIDTH = 40, 60
BOX = box_polygon(5, 10, 25, 20)
OTHER = box_polygon(40, 0, 70, 15)


def pixels(segmentation) -> np.ndarray:
    compressed, remark = compress(segmentation, HEIGHT, WIDTH)
    assert remark is None
    assert compressed is not None
    assert type(compressed["counts"]) is str
    assert compressed["size"] == [HEIGHT, WIDTH]
    return draw(compressed)


def test_polygon_of_two_parts_beyond_the_border():
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[10:20, 5:25] = expected[0:15, 40:60] = True
    np.testing.assert_array_equal(pixels([BOX, OTHER]), expected)


def test_polygon_without_the_outer_list():
    np.testing.assert_array_equal(pixels(BOX), pixels([BOX]))


def test_run_lengths_in_both_forms_are_the_same_mask():
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.3
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    counts = np.diff(edges, prepend=0).tolist()
    np.testing.assert_array_equal(pixels({"size": [HEIGHT, WIDTH], "counts": counts}), mask)
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}
    np.testing.assert_array_equal(pixels(text), mask)


@pytest.mark.parametrize(
    "bad", [[1, 2, 3, 4], [*BOX, 1], [None] * 6, ["a"] * 6, [float("nan")] * 6]
)
def test_bad_part_is_left_out_and_the_object_only_if_none_is_good(bad):
    compressed, remark = compress([BOX, bad], HEIGHT, WIDTH)
    assert remark == PART_LEFT_OUT
    np.testing.assert_array_equal(draw(compressed), pixels([BOX]))
    assert compress([bad], HEIGHT, WIDTH) == (None, BAD_POLYGON)


RUNS = box_runs((HEIGHT, WIDTH), 5, 10, 25, 20)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, NO_MASK),
        ([], NO_MASK),
        ({}, NO_MASK),
        ("RLE", BAD_FORM),
        ({"size": [HEIGHT, WIDTH]}, BAD_FORM),
        ({"size": [WIDTH, HEIGHT], "counts": RUNS["counts"]}, OTHER_MASK_SIZE),
        # pycocotools would draw the first of these with what lies in memory.
        ({"size": [HEIGHT, WIDTH], "counts": RUNS["counts"][:5]}, BAD_RUNS),
        ({"size": [HEIGHT, WIDTH], "counts": "schön"}, BAD_RUNS),
        ({"size": [HEIGHT, WIDTH], "counts": [10, 5]}, BAD_RUNS),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, 5, HEIGHT * WIDTH]}, BAD_RUNS),
        ({"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH / 1.0]}, BAD_RUNS),
        ([box_polygon(0, 0, 1e9, 1e9)], FAR_POLYGON),
        ([box_polygon(0, 0, 10**400, 5)], FAR_POLYGON),
        ([box_polygon(0, 0, float("nan"), 5)], BAD_POLYGON),
    ],
)
def test_what_is_no_mask_of_the_image(segmentation, reason):
    assert compress(segmentation, HEIGHT, WIDTH) == (None, reason)
