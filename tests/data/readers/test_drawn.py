import numpy as np
import pytest

from score_hf.data.readers.drawn import read_drawn
from score_hf.drawn_scenes import DRAWN_VOCABULARY, draw_scene
from tests.data.drawn_coco import draw, records_of


def test_scenes_of_the_seeds():
    source = read_drawn("train", 3, 64)
    assert source.class_names == tuple(DRAWN_VOCABULARY)
    for seed, record in enumerate(records_of(source)):
        scene = draw_scene(seed, 64)
        assert (record.image_id, record.width, record.height) == (seed, 64, 64)
        assert record.image.tobytes() == scene.image.tobytes()
        assert [one.category for one in record.objects] == scene.class_names
        for one, mask in zip(record.objects, scene.masks, strict=True):
            np.testing.assert_array_equal(draw(one.segmentation), mask)


def test_splits_share_no_scene():
    train, val = read_drawn("train", 1000), read_drawn("val", 1000)
    assert not set(train.keys) & set(val.keys)


def test_another_split():
    with pytest.raises(ValueError, match="must be one of 'train' and 'val', but got 'test'"):
        read_drawn("test", 3)
