"""Tiles to objects: one sweep over the rows of tiles, with no more than two of them in memory."""

from collections.abc import Callable, Iterator

from .grid import TileGrid
from .groups import Groups, StitchedObject, single
from .matching import Link, MatchingRule, mark_cut, match
from .pieces import Piece

ReadTile = Callable[[int, int], list[Piece]]


def stitch(
    grid: TileGrid, read_tile: ReadTile, rule: MatchingRule | None = None
) -> Iterator[StitchedObject]:
    """Puts the objects of a scene together from what its tiles show.

    If all tiles see the same pixels of a place and a predictor finds in each tile what it would
    find in the whole scene, these are the objects of the whole scene, pixel for pixel. Time grows
    with the number of pieces; memory with the width of the scene and the objects that are open.

    Args:
        grid: The tiles of the scene.
        read_tile: Gives the pieces of the tile in a row and column; called once a tile, row by
            row.
        rule: When pieces are one object.

    Yields:
        Objects whose score reaches the threshold of `rule`, in an order that depends on the
        pieces alone.
    """
    rule = rule or MatchingRule()
    groups, number = Groups(grid, rule), 0
    above: list[list[Piece]] = []
    for row in range(grid.rows):
        current: list[list[Piece]] = []
        links: list[Link] = []
        for column in range(grid.columns):
            shared = []
            unshared = grid.unshared(row, column)
            for piece in read_tile(row, column):
                piece.row, piece.column, piece.number = row, column, number
                number += 1
                mark_cut(piece, grid)
                if unshared.contains(piece.window):
                    yield from _sure([single(piece)], rule)
                    continue
                groups.add(piece)
                shared.append(piece)
            current.append(shared)
            links += _links_to_neighbours(grid, row, column, current, above, rule)
        groups.join(links)
        next_top = grid.window(row + 1, 0).top if row + 1 < grid.rows else grid.height
        yield from _sure(groups.close(row, next_top), rule)
        above = [[piece for piece in tile if piece.window.bottom > next_top] for tile in current]


def _links_to_neighbours(
    grid: TileGrid,
    row: int,
    column: int,
    current: list[list[Piece]],
    above: list[list[Piece]],
    rule: MatchingRule,
) -> list[Link]:
    """Links of a tile with the one to the left and the three above it."""
    neighbours = [(row, column - 1, current[column - 1])] if column else []
    neighbours += [
        (row - 1, other, above[other])
        for other in range(max(column - 1, 0), min(column + 2, grid.columns))
        if above
    ]
    tile, links = grid.window(row, column), []
    for other_row, other_column, pieces in neighbours:
        links += match(pieces, current[column], grid.window(other_row, other_column), tile, rule)
    return links


def _sure(
    objects: Iterator[StitchedObject] | list[StitchedObject], rule: MatchingRule
) -> Iterator[StitchedObject]:
    return (found for found in objects if rule.passes(found.label, found.score))
