"""Tiles to shards: reads ahead, asks the predictor, stores what it found, tile by tile."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import torch

from ..reading_ahead import ahead
from .grid import TileGrid, Window
from .pieces import Found, Predictor, Tile, make_pieces
from .raster import Scene
from .shards import WorkFolder

# Called with the tiles done, all tiles, and the instances found in them.
TileProgress = Callable[[int, int, int], None]
# Row and column of the tiles that are computed together.
TileBatch = Sequence[tuple[int, int]]
Result = TypeVar("Result")
# Disks and networks deserve a second chance.
_RETRY_AFTER_SECONDS = (0.1, 1.0, 3.0)
# So many tiles in a row that cannot be read mean that none can.
_HOPELESS = 10
# Batches that are read before, and stored after, one is computed.
_READ_AHEAD, _STORED_LATER = 2, 4


@dataclass(frozen=True)
class FailedTile:
    """A tile that could not be read or computed.

    Args:
        row: Of the tile.
        column: Of the tile.
        window: What it would have shown.
        reason: Why not.
    """

    row: int
    column: int
    window: Window
    reason: str


@dataclass(frozen=True)
class _Place:
    row: int
    column: int
    window: Window


def batches_of(grid: TileGrid, size: int) -> list[TileBatch]:
    """Shares out the tiles of a scene into what is computed at once.

    What a network finds in a picture depends, in the last bits, on how many others it is computed
    with: so a tile always belongs to the same batch, whatever was done before.

    Args:
        grid: The tiles of the scene.
        size: How many tiles a batch has at most.

    Returns:
        Rows and columns, row by row.
    """
    tiles = list(grid)
    return [tiles[start : start + size] for start in range(0, len(tiles), size)]


def run_tiles(
    scene: Scene,
    grid: TileGrid,
    predictor: Predictor,
    work: WorkFolder,
    batches: Sequence[TileBatch],
    classes: int,
    progress: TileProgress | None = None,
) -> list[FailedTile]:
    """Finds the instances of tiles and stores them; batches that are stored already are skipped.

    The next tiles are read, and the last ones stored, while one batch is computed. What cannot be
    read or does not fit into memory is tried again, in smaller batches, and then passed over.

    Args:
        scene: Where to read.
        grid: The tiles of the scene.
        predictor: Finds instances.
        work: Where to store them.
        batches: The tiles wanted, see `batches_of`.
        classes: How many classes there are.
        progress: Told after each batch what is done.

    Returns:
        The tiles that failed.

    Raises:
        OSError: If what was found cannot be stored, or tile after tile cannot be read.
    """
    total, done, found_in_all = sum(map(len, batches)), 0, 0
    failed: list[FailedTile] = []
    stored: deque[Future[None]] = deque()

    def store(place: _Place, tile: Tile | None, found: Sequence[Found]) -> None:
        pieces = [] if tile is None else make_pieces(tile, found, grid, classes)
        _repeatedly(lambda: work.write(place.row, place.column, pieces))

    def read(batch: TileBatch) -> list[tuple[_Place, Tile | OSError]]:
        # Looked at late: another process may have done it by now.
        if all(work.is_done(*tile) for tile in batch):
            return []
        places = [_Place(*tile, grid.window(*tile)) for tile in batch]
        return [(place, _read(scene, place.window)) for place in places]

    with (
        ThreadPoolExecutor(1) as writer,
        closing(ahead(read, batches, _READ_AHEAD)) as read_batches,
    ):
        unreadable = 0
        for batch, tiles in zip(batches, read_batches, strict=True):
            readable = []
            for place, tile in tiles:
                unreadable = unreadable + 1 if isinstance(tile, OSError) else 0
                if unreadable == _HOPELESS:
                    raise OSError(f"{_HOPELESS} tiles in a row failed, the last one: {tile}")
                if isinstance(tile, OSError):
                    failed.append(FailedTile(*_fields(place), str(tile)))
                elif is_empty(tile, grid.core(place.row, place.column)):
                    stored.append(writer.submit(store, place, None, ()))
                else:
                    readable.append((place, tile))
            found = _predict(predictor, [tile for _, tile in readable])
            for (place, tile), instances in zip(readable, found, strict=True):
                if isinstance(instances, BaseException):
                    failed.append(FailedTile(*_fields(place), f"out of memory: {instances}"))
                    continue
                found_in_all += len(instances)
                stored.append(writer.submit(store, place, tile, instances))
            done += len(batch)
            while len(stored) > _STORED_LATER * len(batch):
                stored.popleft().result()
            if progress is not None:
                progress(done, total, found_in_all)
        for future in stored:
            future.result()
    return failed


def _fields(place: _Place) -> tuple[int, int, Window]:
    return place.row, place.column, place.window


def is_empty(tile: Tile, core: Window) -> bool:
    """Whether no pixel that a tile owns holds data; then no other one needs its opinion.

    Args:
        tile: What it shows.
        core: What it owns.
    """
    return tile.valid is not None and not tile.valid[core.slices_in(tile.window)].any()


def _read(scene: Scene, window: Window) -> Tile | OSError:
    try:
        return _repeatedly(lambda: scene.read(window))
    except OSError as error:
        return error


def _repeatedly(action: Callable[[], Result]) -> Result:
    """Tries what depends on disks and networks a few times."""
    for seconds in _RETRY_AFTER_SECONDS:
        try:
            return action()
        except OSError:
            time.sleep(seconds)
    return action()


def _predict(
    predictor: Predictor, tiles: list[Tile]
) -> Sequence[Sequence[Found] | MemoryError | torch.OutOfMemoryError]:
    """Asks the predictor, in smaller batches if memory runs out."""
    if not tiles:
        return []
    try:
        found = list(predictor(tiles))
    except (MemoryError, torch.OutOfMemoryError) as error:
        if len(tiles) == 1:
            return [error]
        half = len(tiles) // 2
        return [*_predict(predictor, tiles[:half]), *_predict(predictor, tiles[half:])]
    if len(found) != len(tiles):
        raise ValueError(
            f"The predictor must return one list of instances a tile, but got {len(found)} for "
            f"{len(tiles)} tiles."
        )
    return found
