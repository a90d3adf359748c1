"""Which pieces of two tiles show one object.

Two tiles are compared only where both looked, in the band that they share: there a consistent
model says the same twice, whether it saw an object whole, half or as a sliver.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .extras import import_shapely
from .grid import TileGrid, Window
from .pieces import Piece

Merge = Literal["things", "stuff", "none"]
# Networks rarely bring a mask to the very last pixel of their image.
CUT_MARGIN = 2


@dataclass(frozen=True)
class MatchingRule:
    """When pieces of two tiles are one object.

    Args:
        merge: For each class "things" (countable: a tile shows an object at most once), "stuff"
            (amorphous, such as roads and water: a tile may show an object in several pieces) or
            "none" (pieces stay as they are). None: all are things.
        threshold: Lowest score of an object, one for all classes or one a class. Pieces with a
            lower score are matched after the others, so that faint duplicates cannot come between
            two clear views of an object.
        agreement: Lowest intersection over union, in the shared band, of two views of an object.
        inclusion: Lowest share of the smaller view that lies in the other one, for views that agree
            with no others: those of very small objects hardly ever agree.
        coverage: Lowest share of a run of cut pixels that its continuation must cover.
    """

    merge: Sequence[Merge] | None = None
    threshold: float | Sequence[float] = 0.0
    agreement: float = 0.5
    inclusion: float = 0.5
    coverage: float = 0.5

    def of(self, label: int) -> Merge:
        return "things" if self.merge is None else self.merge[label]

    def passes(self, label: int, score: float) -> bool:
        """Whether a score reaches the threshold of its class."""
        threshold = self.threshold
        return score >= (threshold[label] if isinstance(threshold, Sequence) else threshold)


@dataclass(frozen=True)
class Link:
    """Evidence that two pieces of neighbouring tiles show one object.

    Args:
        first: The one,
        second: and the other.
        order: Links with lower values are stronger.
    """

    first: Piece
    second: Piece
    order: tuple[float, ...]


def mark_cut(piece: Piece, grid: TileGrid) -> None:
    """Notes whether the object may go on beyond the tile: it comes close to an inner side."""
    tile, place = grid.window(*piece.tile), piece.window
    above, before, below, after = grid.inner_sides(*piece.tile)
    piece.is_cut = (
        (above and place.top < tile.top + CUT_MARGIN)
        or (before and place.left < tile.left + CUT_MARGIN)
        or (below and place.bottom > tile.bottom - CUT_MARGIN)
        or (after and place.right > tile.right - CUT_MARGIN)
    )


def match(
    firsts: Sequence[Piece],
    seconds: Sequence[Piece],
    first_tile: Window,
    second_tile: Window,
    rule: MatchingRule,
) -> list[Link]:
    """Finds evidence that pieces of two overlapping tiles show one object.

    Between pieces of one class, by three tests, the surest first. Agreement: inside the band both
    masks are mostly the same. Inclusion: most of the smaller one lies in the other. Continuity: a
    mask is cut by the side of its tile, and each run of the pixels in which it is cut goes to the
    mask of the other tile that covers it. A piece may be linked with several; which links hold is
    for `Groups` to say.

    Args:
        firsts: Pieces of the one tile.
        seconds: Pieces of the other.
        first_tile: What the one shows.
        second_tile: What the other shows.
        rule: When pieces match.

    Returns:
        Links, not in order; a pair may be linked more than once.
    """
    band = first_tile.intersection(second_tile)
    firsts, seconds = _inside(firsts, band, rule), _inside(seconds, band, rule)
    links: list[Link] = []
    near: dict[Piece, list[Piece]] = {}
    for i, j in _meeting(firsts, seconds, band):
        first, second = firsts[i], seconds[j]
        if first.label != second.label:
            continue
        common = first.common_pixels(second, band)
        if not common:
            continue
        near.setdefault(first, []).append(second)
        near.setdefault(second, []).append(first)
        pixels = first.count(band), second.count(band)
        agreement, inclusion = common / (sum(pixels) - common), common / min(pixels)
        if agreement >= rule.agreement:
            test, share = 0, agreement
        elif inclusion >= rule.inclusion:
            test, share = 1, inclusion
        else:
            continue
        faint = sum(not rule.passes(one.label, one.score) for one in (first, second))
        difference = abs(first.score - second.score)
        order = (test, faint, -share, difference, first.number, second.number)
        links.append(Link(first, second, order))
    for pieces, tile in ((firsts, first_tile), (seconds, second_tile)):
        lines = _cut_lines(tile, band)
        for piece in pieces:
            if piece.is_cut and piece in near:
                links.extend(_continuations(piece, near[piece], lines, rule))
    return links


def _inside(pieces: Sequence[Piece], band: Window, rule: MatchingRule) -> list[Piece]:
    return [
        piece
        for piece in pieces
        if rule.of(piece.label) != "none" and not piece.window.intersection(band).is_empty
    ]


def _meeting(
    firsts: Sequence[Piece], seconds: Sequence[Piece], band: Window
) -> list[tuple[int, int]]:
    """Indices of the pieces whose boxes meet inside the band."""
    if not firsts or not seconds:
        return []
    shapely = import_shapely()

    def boxes(pieces: Sequence[Piece]) -> np.ndarray:
        sides = np.array([piece.window.intersection(band) for piece in pieces])
        return shapely.box(sides[:, 1], sides[:, 0], sides[:, 3], sides[:, 2])

    found = shapely.STRtree(boxes(seconds)).query(boxes(firsts))
    return list(zip(*found.tolist(), strict=True))


def _continuations(
    piece: Piece, others: Sequence[Piece], lines: Sequence[Window], rule: MatchingRule
) -> Iterator[Link]:
    for line in lines:
        for run in _runs(piece, line):
            length = run.height * run.width
            covered = [(other.count(run), -other.number, other) for other in others]
            best, _, other = max(covered, key=lambda entry: entry[:2])
            if best >= rule.coverage * length:
                order = (2, -best / length, -best, piece.number, other.number)
                yield Link(piece, other, order)


def _cut_lines(tile: Window, band: Window) -> list[Window]:
    """The outermost lines of pixels of a tile that lie in a band."""
    lines = []
    for depth in range(CUT_MARGIN):
        top, left = tile.top + depth, tile.left + depth
        bottom, right = tile.bottom - depth, tile.right - depth
        lines += [
            Window(top, band.left, top + 1, band.right),
            Window(band.top, left, band.bottom, left + 1),
            Window(bottom - 1, band.left, bottom, band.right),
            Window(band.top, right - 1, band.bottom, right),
        ]
    return [line for line in lines if band.contains(line)]


def _runs(piece: Piece, line: Window) -> Iterator[Window]:
    """The parts of a line of pixels that belong to a piece without interruption."""
    line = piece.window.intersection(line)
    if line.is_empty:
        return
    pixels = piece.mask[line.slices_in(piece.window)].ravel()
    changes = np.flatnonzero(np.diff(pixels, prepend=False, append=False)).tolist()
    for start, end in zip(changes[::2], changes[1::2], strict=True):
        if line.height == 1:
            yield Window(line.top, line.left + start, line.bottom, line.left + end)
        else:
            yield Window(line.top + start, line.left, line.top + end, line.right)
