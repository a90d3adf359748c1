import numpy as np
import pytest
from PIL import Image

from score_hf.demo.found import filter_objects
from score_hf.demo.views import (
    INSTANCES,
    PANOPTIC,
    SEMANTIC,
    Wish,
    display_size,
    draw_full_size,
    draw_parts,
    highlight,
    make_parts,
    outline,
)


def wish(engine, view: str, threshold: float = 0.3, shown=range(6)) -> Wish:
    return Wish(view, threshold, frozenset(shown), engine.about.ensemble, 100)


def post_process(engine, result, kind: str):
    method = getattr(engine.image_processor, f"post_process_{kind}_segmentation")
    outputs = result.outputs(engine.about.ensemble)
    return method(outputs, target_sizes=[result.size], threshold=0.3)[0]


def test_instances_are_the_objects(engine, result, objects):
    parts = make_parts(result, objects, wish(engine, INSTANCES), engine.image_processor)
    kept = filter_objects(objects, 0.3, range(6))
    assert [(one.number, one.label, one.score) for one in parts] == [
        (one.number, one.label, one.score) for one in kept
    ]


def test_the_semantic_view_has_a_part_for_each_class(engine, result, objects):
    expected = post_process(engine, result, "semantic").numpy()
    parts = make_parts(result, objects, wish(engine, SEMANTIC), engine.image_processor)
    assert [one.label for one in parts] == [label for label in np.unique(expected) if label >= 0]
    assert all(np.array_equal(one.mask, expected == one.label) for one in parts)


def test_the_panoptic_view_has_a_part_for_each_segment(engine, result, objects):
    expected = post_process(engine, result, "panoptic")
    parts = make_parts(result, objects, wish(engine, PANOPTIC), engine.image_processor)
    assert len(parts) == len(expected["segments_info"]) > 2
    assert sum(one.mask.astype(int) for one in parts).max() == 1
    ids = expected["segmentation"].numpy()
    assert all(np.array_equal(one.mask, ids == one.number) for one in parts)


@pytest.mark.parametrize("view", [INSTANCES, SEMANTIC, PANOPTIC])
def test_hidden_classes_are_not_drawn(engine, result, objects, view):
    every, some = (
        make_parts(result, objects, wish(engine, view, shown=shown), engine.image_processor)
        for shown in (range(6), {0})
    )
    assert [one.label for one in some] == [one.label for one in every if one.label == 0]
    assert 0 < len(some) < len(every)


def test_a_large_picture_is_shown_smaller():
    assert display_size((100, 200)) == (100, 200)
    assert display_size((1000, 2560)) == (500, 1280)
    assert display_size((1, 5000)) == (1, 1280)


def test_the_view_is_drawn_over_the_picture(engine, result, objects):
    parts = make_parts(result, objects, wish(engine, INSTANCES), engine.image_processor)
    drawn, plain = np.asarray(draw_parts(result, parts)), np.asarray(result.picture)
    changed = (drawn != plain).any(-1)
    inside = np.any([one.mask for one in parts], axis=0)
    assert drawn.shape == plain.shape and changed[inside].mean() > 0.95
    assert np.array_equal(np.asarray(draw_parts(result, [])), plain)


def test_the_full_size_has_a_legend(result, objects):
    drawn = draw_full_size(result, objects[:3])
    assert drawn.height >= result.picture.height and drawn.width > result.picture.width


def test_a_chosen_object_stays_bright_and_is_outlined():
    picture = Image.new("RGB", (40, 40), (100, 150, 200))
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:20, 10:20] = True
    chosen = np.asarray(highlight(picture, mask))
    assert (chosen[mask] == (100, 150, 200)).all()
    assert (chosen[0, 0] < (100, 150, 200)).all()
    assert tuple(chosen[9, 15]) == (255, 255, 255) and tuple(chosen[8, 15]) == (0, 0, 0)


def test_nothing_to_outline_changes_nothing():
    picture = Image.new("RGB", (10, 10), (1, 2, 3))
    empty = np.zeros((10, 10), dtype=bool)
    assert np.array_equal(np.asarray(outline(picture, empty)), np.asarray(picture))
