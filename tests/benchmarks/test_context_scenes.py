import numpy as np
import pytest

from benchmarks.context.grounds import GROUNDS
from benchmarks.context.looks import (
    CLASS_NAMES,
    GREEN_PITCH,
    OWN,
    PITCHES,
    PLACES,
    RED_PITCH,
    SHARED,
    paint_shared,
)
from benchmarks.context.scenes import PLOT, draw_context_scene
from score_hf.drawn_scenes.canvas import Canvas, Frame
from score_hf.drawn_scenes.materials import CONCRETE

SEEDS = range(25)


def canvas():
    return Canvas(64, 64, CONCRETE, (0.5, 0.5))


def test_a_scene_is_a_function_of_its_seed():
    first, again = draw_context_scene(3, 96, 0.5), draw_context_scene(3, 96, 0.5)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.masks, again.masks)
    assert (first.class_names, first.kinds) == (again.class_names, again.kinds)
    assert not np.array_equal(first.pixels, draw_context_scene(4, 96, 0.5).pixels)


def test_objects_are_named_and_do_not_overlap():
    scenes = [draw_context_scene(seed, 128, 0.5) for seed in SEEDS]
    for scene in scenes:
        assert scene.pixels.shape == (128, 128, 3) and scene.pixels.dtype == np.uint8
        assert len(scene.masks) == len(scene.class_names) == len(scene.kinds)
        assert scene.masks.sum(axis=0).max() <= 1
    assert {name for scene in scenes for name in scene.class_names} == set(CLASS_NAMES)
    assert sum(len(scene.masks) for scene in scenes) > 3 * len(scenes)


@pytest.mark.parametrize(
    ("share", "kinds"), [(0.0, {"look", "sensor"}), (1.0, {"surroundings", "sensor"})]
)
def test_the_dial_decides_which_looks_are_shared(share, kinds):
    found = {kind for seed in SEEDS for kind in draw_context_scene(seed, 128, share).kinds}
    assert found == kinds
    names = {"sensor": set(PITCHES), "look": set(PLACES), "surroundings": set(PLACES)}
    for seed in SEEDS:
        scene = draw_context_scene(seed, 128, share)
        for name, kind in zip(scene.class_names, scene.kinds, strict=True):
            assert name in names[kind]


def test_a_shared_look_belongs_to_several_classes_and_each_ground_to_one():
    assert all(len(classes) > 1 for classes in SHARED.values())
    grounds = [ground for classes in SHARED.values() for ground in classes]
    assert sorted(grounds) == sorted(GROUNDS) and len(set(grounds)) == len(grounds)
    assert set(OWN) == set(PLACES) and not set(PLACES) & set(PITCHES)


@pytest.mark.parametrize("look", SHARED)
def test_a_shared_look_is_the_same_for_all_its_classes(look):
    pictures = []
    for name in SHARED[look].values():
        drawn = canvas()
        paint_shared(drawn, np.random.default_rng(1), Frame(32, 32, 0.3), look, name)
        (mask,), (called,) = drawn.masks(12)
        assert called == name and mask.sum() > 40
        pictures.append((drawn.colour(), drawn.texture(), mask))
    for picture in pictures[1:]:
        for ours, theirs in zip(picture, pictures[0], strict=True):
            assert np.array_equal(ours, theirs)


def test_the_sensor_takes_one_pitch_for_the_other():
    green, red, blue = (GREEN_PITCH[place] for place in (1, 0, 2))
    assert (green, red, blue) == RED_PITCH


def test_grounds_are_told_apart_without_an_object():
    """By their mean colours, textures or lines: no two are the same picture."""
    pictures = {}
    for name, paint in GROUNDS.items():
        drawn = canvas()
        paint(drawn, np.random.default_rng(2), Frame(32, 32, 0.0), PLOT)
        pictures[name] = np.concatenate((drawn.colour(), 255 * drawn.texture()), axis=2)
    names = list(pictures)
    for place, name in enumerate(names):
        for other in names[:place]:
            assert np.abs(pictures[name] - pictures[other]).mean() > 8, (name, other)
