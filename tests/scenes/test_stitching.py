import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from score_hf.scenes import MatchingRule, Piece, Tile, TileGrid, Window, make_pieces, stitch

from .truth import (
    Jittered,
    TrueObject,
    TrueScene,
    TruthInWindow,
    key,
    random_scene,
    spaced_scene,
    true_object,
)


def read_with(scene: TrueScene, predictor: TruthInWindow):
    def read(row: int, column: int) -> list[Piece]:
        window = scene.grid.window(row, column)
        tile = Tile(np.zeros((0, 0, 3), dtype=np.uint8), window)
        return make_pieces(tile, predictor([tile])[0], scene.grid)

    return read


def check_equals_whole(seed: int, in_parts: bool) -> None:
    scene = random_scene(seed, in_parts)
    predictor = TruthInWindow(scene.objects, in_parts)
    stitched = stitch(scene.grid, read_with(scene, predictor), MatchingRule(merge=scene.merge))
    assert sorted(map(key, stitched)) == scene.keys(), f"seed {seed}, parts {in_parts}"


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_tiled_equals_whole(start):
    for seed in range(start, start + 50):
        check_equals_whole(seed, in_parts=bool(seed % 2))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 21000, 1000))
def test_tiled_equals_whole_for_twenty_thousand_scenes(start):
    for seed in range(start, start + 1000):
        check_equals_whole(seed, in_parts=bool(seed % 2))


def overlap(first: TrueObject, window: Window, mask: np.ndarray) -> float:
    common = first.window.intersection(window)
    if common.is_empty:
        return 0.0
    both = first.mask[common.slices_in(first.window)] & mask[common.slices_in(window)]
    return both.sum() / (first.mask.sum() + mask.sum() - both.sum())


def check_one_to_one(scene: TrueScene, predictor: TruthInWindow, context: object) -> None:
    """Each object is found once, and nothing else."""
    rule = MatchingRule(merge=scene.merge)
    found = [
        (one.window, one.mask()) for one in stitch(scene.grid, read_with(scene, predictor), rule)
    ]
    overlaps = np.array([[overlap(one, *other) for other in found] for one in scene.objects])
    assert len(found) == len(scene.objects), context
    assert (overlaps.max(axis=0) >= 0.5).all() and (overlaps.max(axis=1) >= 0.5).all(), context


def test_a_jittered_predictor_finds_each_object_once():
    for seed in range(150):
        scene = spaced_scene(seed)
        check_one_to_one(scene, Jittered(scene.objects, seed), seed)


def test_one_tile_gives_what_the_predictor_gives():
    scene = random_scene(3)
    grid = TileGrid(scene.grid.height, scene.grid.width, 200, 20)
    whole = TrueScene(scene.objects, grid, scene.merge)
    stitched = list(stitch(grid, read_with(whole, TruthInWindow(scene.objects)), MatchingRule()))
    assert [key(one) for one in stitched] == [one.key() for one in scene.objects]
    assert {one.tiles for one in stitched} == {1}


def test_a_scene_moved_by_strides_moves_what_is_found():
    # Neither grid ends with a tile that is moved back.
    grid, larger = TileGrid(64, 64, 24, 4), TileGrid(64 + 40, 64 + 60, 24, 4)
    mask = np.zeros((64, 64), dtype=bool)
    mask[5:50, 5:9] = mask[30:33, 5:60] = True
    here = true_object(0, 0.5, mask)
    there = true_object(0, 0.5, np.pad(mask, ((40, 0), (60, 0))))
    (found,) = stitch(grid, read_with(TrueScene([here], grid, []), TruthInWindow([here])))
    (moved,) = stitch(larger, read_with(TrueScene([there], larger, []), TruthInWindow([there])))
    assert found.window == tuple(np.subtract(moved.window, (40, 60, 40, 60)))
    assert (found.mask() == moved.mask()).all() and found.tiles == moved.tiles


def test_threshold_keeps_what_reaches_it_in_the_order_of_rows():
    scene = random_scene(11)
    read = read_with(scene, TruthInWindow(scene.objects))
    everything = [key(one) for one in stitch(scene.grid, read)]
    middle = sorted(one.score for one in scene.objects)[len(scene.objects) // 2]
    strong = [key(one) for one in stitch(scene.grid, read, MatchingRule(threshold=middle))]
    assert 0 < len(strong) < len(everything)
    assert strong == [one for one in everything if one[1] >= round(middle, 9)]


def test_thresholds_of_classes():
    scene = random_scene(11)
    read = read_with(scene, TruthInWindow(scene.objects))
    rule = MatchingRule(threshold=[1.0, 0.0])
    assert {one.label for one in stitch(scene.grid, read, rule)} == {1}


def test_memory_grows_with_the_width_alone():
    def peak(height: int) -> int:
        grid = TileGrid(height, 120, 40, 10)
        objects = [
            true_object(0, 0.5, np.pad(np.ones((6, 6), dtype=bool), ((top, 0), (left, 0))))
            for top in range(2, height - 8, 12)
            for left in range(2, 112, 12)
        ]
        read = read_with(TrueScene(objects, grid, []), TruthInWindow(objects))
        gc.collect()
        tracemalloc.start()
        count = sum(1 for _ in stitch(grid, read))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == len(objects)
        return used

    # Threads that earlier tests left add to it now and then.
    peak(120)
    assert min(peak(960) for _ in range(3)) <= 1.2 * min(peak(240) for _ in range(3))


def test_cores_share_out_the_scene():
    for seed in range(50):
        grid = random_scene(seed).grid
        owners = np.zeros((grid.height, grid.width), dtype=int)
        for tile in grid:
            window, core = grid.window(*tile), grid.core(*tile)
            assert window.contains(core)
            assert Window(0, 0, grid.height, grid.width).contains(window)
            owners[core.top : core.bottom, core.left : core.right] += 1
        assert (owners == 1).all()
        last = grid.window(grid.rows - 1, grid.columns - 1)
        assert (last.bottom, last.right) == (grid.height, grid.width)
        for first, second in pairwise(range(grid.rows)):
            assert grid.window(first, 0).bottom - grid.window(second, 0).top >= grid.overlap


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ((0, 9, 8, 2), "`height` must be a positive integer"),
        ((9, 9, 8, 8), "`tile_size` must be larger than `overlap`, but got tiles of 8"),
        ((9, 9, 8, 0), "`overlap` must be a positive integer"),
    ],
)
def test_grids_that_cannot_be(sides, message):
    with pytest.raises(ValueError, match=message):
        TileGrid(*sides)
