"""The rule that joins what two tiles show, case by case, and what keeps neighbours apart."""

import numpy as np
import pytest

from score_hf.scenes import MatchingRule, Piece, TileGrid, stitch
from score_hf.scenes.matching import Merge

# Two tiles of 20 pixels side by side that share columns 12 to 20; cores meet at 16.
PAIR = TileGrid(20, 32, 20, 8)
# Four tiles around a shared square.
FOUR = TileGrid(32, 32, 20, 8)
# Three in a row: columns 0 to 20, 12 to 32, 24 to 44.
ROW = TileGrid(20, 44, 20, 8)


def box(rows: slice, columns: slice, score: float = 0.5, label: int = 0) -> Piece:
    mask = np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    return Piece(label, score, rows.start, columns.start, mask)


def turned(piece: Piece, grid: TileGrid, turn: str) -> Piece:
    """The piece in the scene mirrored left to right, or turned so that rows become columns."""
    top, left, mask = piece.top, piece.left, piece.mask
    if "mirrored" in turn:
        left, mask = grid.width - piece.window.right, mask[:, ::-1]
    if "turned" in turn:
        top, left, mask = left, top, mask.T
    return Piece(piece.label, piece.score, top, left, np.ascontiguousarray(mask))


@pytest.fixture(params=["as it is", "mirrored", "turned", "turned and mirrored"])
def run(request):
    """Stitches boxes by tile, and gives (rows, columns, score, tiles, area) of what comes out.

    Every test holds in all directions: the scene may be turned before, and what is found is turned
    back after.
    """
    turn = request.param

    def call(grid: TileGrid, tiles: dict, **rule) -> list:
        scene = grid
        if "turned" in turn:
            scene = TileGrid(grid.width, grid.height, grid.tile_size, grid.overlap)
        placed = {}
        for (row, column), pieces in tiles.items():
            column = grid.columns - 1 - column if "mirrored" in turn else column
            place = (column, row) if "turned" in turn else (row, column)
            placed[place] = [turned(piece, grid, turn) for piece in pieces]
        found = []
        for one in stitch(scene, lambda *place: placed.get(place, []), MatchingRule(**rule)):
            rows, columns = one.window[::2], one.window[1::2]
            if "turned" in turn:
                rows, columns = columns, rows
            if "mirrored" in turn:
                columns = (grid.width - columns[1], grid.width - columns[0])
            found.append((rows, columns, round(one.score, 6), one.tiles, one.area))
        return sorted(found)

    return call


def r(start: int, stop: int) -> slice:
    return slice(start, stop)


def test_an_object_outside_the_band_is_there_at_once(run):
    assert run(PAIR, {(0, 0): [box(r(2, 6), r(3, 12))]}) == [((2, 6), (3, 12), 0.5, 1, 36)]


def test_two_views_of_a_whole_object_are_one_by_the_tile_that_owns_its_middle(run):
    for columns, owner in ((r(14, 16), 0), (r(16, 18), 1)):
        # The other one is surer, but sees it less centrally.
        views = {(0, 0): [box(r(2, 6), columns, 0.5)], (0, 1): [box(r(2, 6), columns, 0.5)]}
        views[0, 1 - owner][0].score = 0.9
        assert run(PAIR, views) == [((2, 6), (columns.start, columns.stop), 0.5, 2, 8)]
    # Views that differ may each have their middle in the tile's core: then the score decides.
    left, right = box(r(2, 6), r(13, 17), 0.9), box(r(2, 6), r(15, 18), 0.5)
    assert run(PAIR, {(0, 0): [left], (0, 1): [right]}) == [((2, 6), (13, 17), 0.9, 2, 16)]


def test_halves_are_put_together_and_scored_by_area(run):
    left, right = box(r(2, 6), r(4, 20), 0.9), box(r(2, 6), r(12, 30), 0.5)
    # 12 columns of the left core, 14 of the right.
    score = round((12 * 0.9 + 14 * 0.5) / 26, 6)
    assert run(PAIR, {(0, 0): [left], (0, 1): [right]}) == [((2, 6), (4, 30), score, 2, 104)]


def test_other_classes_are_not_joined(run):
    left, right = box(r(2, 6), r(4, 20)), box(r(2, 6), r(12, 30), label=1)
    assert [one[1] for one in run(PAIR, {(0, 0): [left], (0, 1): [right]})] == [(4, 16), (16, 30)]


def test_a_class_that_is_not_to_be_merged(run):
    tiles = {(0, 0): [box(r(2, 6), r(4, 20))], (0, 1): [box(r(2, 6), r(12, 30))]}
    merge: list[Merge] = ["none"]
    assert len(run(PAIR, tiles, merge=merge)) == 2


def test_the_best_pairs_are_joined_first(run):
    # Nested boxes of one class: each has its like.
    left = [box(r(2, 12), r(4, 20), 0.9), box(r(4, 10), r(10, 20), 0.8)]
    right = [box(r(4, 10), r(12, 24), 0.8), box(r(2, 12), r(12, 30), 0.9)]
    assert sorted(one[1] for one in run(PAIR, {(0, 0): left, (0, 1): right})) == [
        (4, 30),
        (10, 24),
    ]


def test_what_agrees_is_joined_before_what_is_included(run):
    # Of the left, the large one agrees by 10 rows of 14, and the small one lies in the right view.
    left = [box(r(2, 14), r(4, 20), 0.9), box(r(5, 7), r(10, 20), 0.6)]
    right = box(r(4, 16), r(12, 30), 0.9)
    found = run(PAIR, {(0, 0): left, (0, 1): [right]})
    assert [(one[0], one[1], one[3]) for one in found] == [
        ((2, 16), (4, 30), 2),
        ((5, 7), (10, 16), 1),
    ]


def test_of_equal_views_those_with_like_scores_are_joined(run):
    left = [box(r(2, 6), r(4, 20), 0.9), box(r(2, 6), r(8, 20), 0.4)]
    right = [box(r(2, 6), r(12, 24), 0.4), box(r(2, 6), r(12, 30), 0.9)]
    assert sorted(one[1:3] for one in run(PAIR, {(0, 0): left, (0, 1): right})) == [
        ((4, 30), 0.9),
        ((8, 24), 0.4),
    ]


def test_faint_duplicates_do_not_come_between(run):
    # The faint view of the left agrees better with the clear one of the right.
    left = [box(r(2, 11), r(4, 20), 0.9), box(r(2, 12), r(4, 20), 0.1)]
    right = [box(r(2, 12), r(12, 30), 0.9)]
    found = run(PAIR, {(0, 0): left, (0, 1): right}, threshold=0.3)
    assert [one[2:4] for one in found] == [(0.9, 2)]


def test_very_small_views_that_hardly_agree_are_one(run):
    left, right = box(r(4, 8), r(13, 16)), box(r(6, 9), r(14, 17))
    assert len(run(PAIR, {(0, 0): [left], (0, 1): [right]})) == 2  # a third lies in the other
    left, right = box(r(4, 8), r(13, 16)), box(r(5, 7), r(14, 18))
    assert run(PAIR, {(0, 0): [left], (0, 1): [right]})[0][3] == 2


def test_what_is_cut_goes_on_in_what_covers_the_cut(run):
    # The left tile sees a stump of 2 columns less; inside the band the two hardly agree.
    left = box(r(8, 10), r(10, 20), 0.5)
    right = Piece(0, 0.5, 0, 12, np.zeros((20, 18), dtype=bool))
    right.mask[:, 6:] = True  # columns 18 to 30
    right = Piece(0, 0.5, 0, 18, right.mask[:, 6:].copy())
    assert run(PAIR, {(0, 0): [left], (0, 1): [right]})[0][3] == 2
    # One that covers less than half of the cut is another object.
    right = box(r(9, 20), r(18, 30))
    left = box(r(0, 10), r(10, 20), 0.5)
    assert {one[3] for one in run(PAIR, {(0, 0): [left], (0, 1): [right]})} == {1}


def test_stuff_may_enter_a_tile_in_several_pieces(run):
    prongs = [box(r(2, 4), r(10, 20), 0.5), box(r(8, 10), r(10, 20), 0.5)]
    bend = Piece(0, 0.5, 2, 12, np.zeros((8, 18), dtype=bool))
    bend.mask[:2] = bend.mask[6:] = bend.mask[:, 12:] = True
    tiles = {(0, 0): prongs, (0, 1): [bend]}
    merge: list[Merge] = ["stuff"]
    assert run(PAIR, tiles, merge=merge) == [((2, 10), (10, 30), 0.5, 2, 104)]
    assert len(run(PAIR, tiles)) == 2


def test_overlapping_pieces_of_stuff_count_once(run):
    left = [box(r(2, 6), r(4, 20)), box(r(4, 8), r(4, 20))]
    tiles = {(0, 0): left, (0, 1): [box(r(2, 8), r(12, 30))]}
    assert run(PAIR, tiles, merge=["stuff"]) == [((2, 8), (4, 30), 0.5, 2, 156)]


def test_a_tile_shows_a_countable_object_once(run):
    # Two ships side by side that the other tile takes for one; both are cut.
    ships = [box(r(2, 6), r(2, 20), 0.9), box(r(6, 10), r(2, 20), 0.9)]
    both = box(r(2, 10), r(12, 32), 0.6)
    found = run(PAIR, {(0, 0): ships, (0, 1): [both]})
    assert len(found) == 2 and {one[1][0] for one in found} == {2}


def test_a_cut_piece_does_not_join_two_objects_that_were_seen_whole(run):
    # Whole in the outer tiles; the middle tile sees one long thing through both.
    first, last = box(r(4, 8), r(8, 17), 0.9), box(r(4, 8), r(27, 36), 0.8)
    through = box(r(4, 8), r(12, 32), 0.5)
    found = run(ROW, {(0, 0): [first], (0, 1): [through], (0, 2): [last]})
    assert [(one[1], one[2]) for one in found] == [((8, 17), 0.9), ((27, 36), 0.8)]


def test_whole_views_in_four_tiles_are_one_object(run):
    views = {
        (0, 0): [box(r(13, 18), r(13, 18), 0.6)],
        (0, 1): [box(r(13, 18), r(14, 19), 0.7)],
        (1, 0): [box(r(14, 19), r(13, 18), 0.8)],
        (1, 1): [box(r(14, 19), r(14, 19), 0.9)],
    }
    ((_, _, score, tiles, area),) = run(FOUR, views)
    assert (score, tiles, area) == (0.9, 4, 25)


def test_a_fragment_of_what_another_tile_saw_whole_is_dropped(run):
    # The right tile sees all; the left one two fragments, cut by its side.
    whole = box(r(2, 12), r(14, 30), 0.9)
    fragments = [box(r(2, 9), r(13, 20), 0.5), box(r(9, 12), r(13, 20), 0.4)]
    assert run(PAIR, {(0, 0): fragments, (0, 1): [whole]}) == [((2, 12), (14, 30), 0.9, 2, 160)]


def test_a_neighbour_that_is_more_than_a_fragment_stays(run):
    # It reaches out of what the other tile shows.
    whole = box(r(2, 12), r(14, 30), 0.9)
    pieces = [box(r(2, 9), r(13, 20), 0.5), box(r(9, 12), r(2, 20), 0.4)]
    found = run(PAIR, {(0, 0): pieces, (0, 1): [whole]})
    assert ((9, 12), (2, 16), 0.4, 1, 42) in found


def test_what_the_owner_of_its_pixels_did_not_see_is_dropped_if_cut(run):
    # A sliver at the side of the left tile, which the right tile shows in its middle.
    assert run(PAIR, {(0, 0): [box(r(2, 6), r(17, 20))]}) == []
    # An object seen whole stays, though its owner missed it.
    assert len(run(PAIR, {(0, 0): [box(r(2, 5), r(14, 17))]})) == 1


def test_what_ends_just_short_of_a_side_is_cut_too(run):
    # Masks of networks: the left ends a pixel short of its tile, the right begins one late.
    left, right = box(r(2, 6), r(4, 19), 0.5), box(r(2, 6), r(13, 30), 0.5)
    assert run(PAIR, {(0, 0): [left], (0, 1): [right]}) == [((2, 6), (4, 30), 0.5, 2, 104)]


def test_a_tile_that_shows_less_than_others_did_not_see_the_whole(run):
    # The middle view ends well inside its tile, but others go on beyond it.
    left, middle, right = (
        box(r(2, 6), r(2, 20), 0.5),
        box(r(2, 6), r(15, 29), 0.9),
        box(r(2, 6), r(24, 42), 0.5),
    )
    ((_, columns, _, tiles, _),) = run(ROW, {(0, 0): [left], (0, 1): [middle], (0, 2): [right]})
    assert (columns, tiles) == ((2, 42), 3)


def test_diagonal_neighbours_are_compared_too(run):
    # The two other tiles at the corner missed it.
    views = {(0, 0): [box(r(13, 18), r(13, 18), 0.6)], (1, 1): [box(r(13, 18), r(13, 18), 0.9)]}
    assert len(run(FOUR, views)) == 1
    views = {(0, 1): [box(r(13, 18), r(13, 18), 0.6)], (1, 0): [box(r(13, 18), r(13, 18), 0.9)]}
    assert len(run(FOUR, views)) == 1


def test_touching_the_border_is_remembered():
    left, right = box(r(2, 6), r(4, 20)), box(r(2, 6), r(12, 32))
    right.touches_border = True
    (found,) = stitch(PAIR, lambda row, column: [[left], [right]][column])
    assert found.touches_border
