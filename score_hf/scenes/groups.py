"""Pieces that were found to be one object, and what keeps neighbours from being joined."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .grid import TileGrid, Window
from .matching import Link, MatchingRule
from .pieces import PackedPiece, Piece, RunnerUp, trimmed


@dataclass(frozen=True)
class StitchedObject:
    """An object of a scene, put together from what tiles show of it.

    Args:
        label: Index of its class.
        score: That of the tile that saw it whole, else the mean of its parts, by area.
        stored: Masks that do not overlap, packed where they were packed before.
        tiles: How many tiles saw something of it.
        touches_border: Whether it touches the scene's border or pixels without data.
        runner_up: The class that it would have had next, by the tile that saw it whole, else by the
            one that saw most of it; None if that is not known.
    """

    label: int
    score: float
    stored: tuple[Piece | PackedPiece, ...]
    tiles: int
    touches_border: bool
    runner_up: RunnerUp | None = None

    @property
    def window(self) -> Window:
        """The box around it, in pixels of the scene."""
        return _box_around(self.stored)

    @property
    def area(self) -> int:
        """Its number of pixels."""
        return sum(int(np.count_nonzero(part.mask)) for part in self.parts())

    def parts(self) -> Iterator[Piece]:
        """Its parts, one after the other, since all together may be as large as the scene."""
        return (_unpacked(part) for part in self.stored)

    def mask(self) -> np.ndarray:
        """All of it in the box around it."""
        box = self.window
        mask = np.zeros((box.height, box.width), dtype=bool)
        for part in self.parts():
            mask[part.window.slices_in(box)] |= part.mask
        return mask


@dataclass(eq=False)
class _Group:
    """Pieces of one object.

    Args:
        members: All of them.
        numbers: The number of each member.
        tiles: Row and column of every tile that has one.
        whole: A member that is not cut; all others that are not cut agree with it.
        row: The last row of tiles with a member.
        bottom: How far its members of that row reach.
    """

    members: list[Piece | PackedPiece]
    numbers: list[int]
    tiles: set[tuple[int, int]]
    whole: Piece | None
    row: int
    bottom: int


class Groups:
    """The objects of a scene that are not finished yet.

    Args:
        grid: The tiles of the scene.
        rule: When pieces are one object.
    """

    def __init__(self, grid: TileGrid, rule: MatchingRule) -> None:
        self.grid, self.rule = grid, rule
        self._group_of: dict[int, _Group] = {}
        self._open: dict[_Group, None] = {}

    def add(self, piece: Piece) -> None:
        """Adds a piece as an object of its own."""
        whole, bottom = None if piece.is_cut else piece, piece.window.bottom
        group = _Group([piece], [piece.number], {piece.tile}, whole, piece.row, bottom)
        self._group_of[piece.number] = group
        self._open[group] = None

    def join(self, links: Sequence[Link]) -> None:
        """Joins pieces, by the strongest links first.

        Two guards keep neighbours apart. A tile shows a countable object once: groups that both
        have a piece of one tile stay two objects. And an object that some tile saw whole does not
        grow: a piece that is cut cannot join two groups that were each seen whole, unless these
        are the same. What is not joined stays an object of its own, unless it is a mere fragment
        of what the other tile saw whole.

        Args:
            links: Between any tiles.
        """
        for link in sorted(links, key=lambda link: link.order):
            first = self._group_of.get(link.first.number)
            second = self._group_of.get(link.second.number)
            if first is None or second is None or first is second:
                continue
            if self._may_join(link, first, second):
                self._unite(first, second)
            elif self._is_fragment(link.first, first, link.second):
                self._discard(first)
            elif self._is_fragment(link.second, second, link.first):
                self._discard(second)

    def _may_join(self, link: Link, first: _Group, second: _Group) -> bool:
        if self.rule.of(link.first.label) == "things" and not first.tiles.isdisjoint(second.tiles):
            return False
        is_direct = not link.first.is_cut and not link.second.is_cut
        if is_direct or first.whole is None or second.whole is None:
            return True
        one, other = first.whole, second.whole
        everywhere = _box_around([one, other])
        common = one.common_pixels(other, everywhere)
        total = one.count(everywhere) + other.count(everywhere) - common
        return common >= self.rule.agreement * total

    def _is_fragment(self, piece: Piece, group: _Group, other: Piece) -> bool:
        if not piece.is_cut or other.is_cut or len(group.members) > 1:
            return False
        seen = self.grid.window(*other.tile).contains(piece.window)
        inside = piece.common_pixels(other, piece.window)
        return seen and 2 * inside >= piece.count(piece.window)

    def _unite(self, first: _Group, second: _Group) -> None:
        if len(first.members) < len(second.members):
            first, second = second, first
        first.members += second.members
        first.numbers += second.numbers
        first.tiles |= second.tiles
        first.whole = first.whole or second.whole
        if second.row == first.row:
            first.bottom = max(first.bottom, second.bottom)
        elif second.row > first.row:
            first.row, first.bottom = second.row, second.bottom
        for number in second.numbers:
            self._group_of[number] = first
        del self._open[second]

    def _discard(self, group: _Group) -> None:
        del self._open[group], self._group_of[group.numbers[0]]

    def close(self, row: int, next_top: int) -> Iterator[StitchedObject]:
        """Finishes the objects that no further row of tiles can add to.

        Args:
            row: The row of tiles that was added last.
            next_top: Where the tiles of the next row begin.

        Yields:
            Objects, in the order of their first pieces.
        """
        done = [group for group in self._open if group.row < row or group.bottom <= next_top]
        for group in sorted(done, key=lambda group: min(group.numbers)):
            del self._open[group]
            for number in group.numbers:
                del self._group_of[number]
            finished = _compose(group, self.grid)
            if finished is not None:
                yield finished
        # Only pieces of this row will be compared again.
        for group in self._open:
            group.members = [
                PackedPiece(member) if isinstance(member, Piece) and member.row < row else member
                for member in group.members
            ]


def single(piece: Piece) -> StitchedObject:
    """An object that one tile alone saw."""
    return StitchedObject(
        piece.label, piece.score, (piece,), 1, piece.touches_border, piece.runner_up
    )


def _compose(group: _Group, grid: TileGrid) -> StitchedObject | None:
    """Makes the object that the pieces show; None if the owners of its pixels saw nothing."""
    order = np.argsort(group.numbers)
    members = [group.members[index] for index in order]
    pieces = (_unpacked(member) for member in members)
    touches = False
    whole: Piece | None = None
    parts: list[Piece | PackedPiece] = []
    pixels, weighted, tile_of_last = 0, 0.0, (-1, -1)
    most, runner_up = 0, None
    for member, piece in zip(members, pieces, strict=True):
        touches |= piece.touches_border
        if not piece.is_cut:
            whole = min(whole or piece, piece, key=lambda one: _rank(one, grid))
        core = grid.core(*piece.tile).intersection(piece.window)
        inner = trimmed(piece.crop(core), core.top, core.left)
        if inner is None:
            continue
        mask, top, left = inner
        part = Piece(piece.label, piece.score, top, left, mask)
        area = int(np.count_nonzero(mask))
        pixels, weighted = pixels + area, weighted + piece.score * area
        if area > most:
            most, runner_up = area, piece.runner_up
        if parts and tile_of_last == piece.tile:
            # Pieces of stuff in one tile may overlap.
            part = _united(_unpacked(parts.pop()), part)
        parts.append(PackedPiece(part) if isinstance(member, PackedPiece) else part)
        tile_of_last = piece.tile
    label, tiles = piece.label, len(group.tiles)
    if whole is not None and _saw_most(whole, parts, grid):
        return StitchedObject(label, whole.score, (whole,), tiles, touches, whole.runner_up)
    if not parts:
        return None
    return StitchedObject(label, weighted / pixels, tuple(parts), tiles, touches, runner_up)


def _united(first: Piece, second: Piece) -> Piece:
    box = _box_around([first, second])
    mask = np.zeros((box.height, box.width), dtype=bool)
    for piece in (first, second):
        mask[piece.window.slices_in(box)] |= piece.mask
    return Piece(first.label, first.score, box.top, box.left, mask)


def _saw_most(whole: Piece, parts: Sequence[Piece | PackedPiece], grid: TileGrid) -> bool:
    """Whether less lies beyond what its tile shows than in the whole itself.

    A mask that ends short of the sides of its tile may be a part only, if others go on beyond.
    """
    tile = grid.window(*whole.tile)
    beyond = 0
    for part in parts:
        if not tile.contains(part.window):
            piece = _unpacked(part)
            beyond += piece.count(piece.window) - piece.count(tile)
    return beyond < whole.count(whole.window)


def _rank(piece: Piece, grid: TileGrid) -> tuple[bool, float, int]:
    """Orders views of a whole object: first the tile that owns its middle, then the surest."""
    core, box = grid.core(*piece.tile), piece.window
    is_central = (
        2 * core.top <= box.top + box.bottom < 2 * core.bottom
        and 2 * core.left <= box.left + box.right < 2 * core.right
    )
    return not is_central, -piece.score, piece.number


def _unpacked(piece: Piece | PackedPiece) -> Piece:
    return piece.unpack() if isinstance(piece, PackedPiece) else piece


def _box_around(pieces: Sequence[Piece | PackedPiece]) -> Window:
    tops, lefts, bottoms, rights = zip(*(piece.window for piece in pieces), strict=True)
    return Window(min(tops), min(lefts), max(bottoms), max(rights))
