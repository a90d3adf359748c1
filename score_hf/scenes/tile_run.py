"""Tiles to shards: reads ahead, asks the predictor, stores what it found, tile by tile."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from .grid import TileGrid, Window
from .pieces import Found, Predictor, Tile, make_pieces
from .raster import Scene
from .shards import WorkFolder

# Called with the tiles done, all tiles, and the instances found in them.
TileProgress = Callable[[int, int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")
# Disks and networks deserve a second chance.
_RETRY_AFTER_SECONDS = (0.1, 1.0, 3.0)
# So many tiles in a row that cannot be read mean that none can.
_HOPELESS = 10


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


def run_tiles(
    scene: Scene,
    grid: TileGrid,
    predictor: Predictor,
    work: WorkFolder,
    tiles: Sequence[tuple[int, int]],
    classes: int,
    batch_size: int = 1,
    progress: TileProgress | None = None,
) -> list[FailedTile]:
    """Finds the instances of tiles and stores them; tiles that are stored already are skipped.

    The next tiles are read, and the last ones stored, while one batch is computed. What cannot be
    read or does not fit into memory is tried again, in smaller batches, and then passed over.

    Args:
        scene: Where to read.
        grid: The tiles of the scene.
        predictor: Finds instances.
        work: Where to store them.
        tiles: Row and column of the tiles wanted.
        classes: How many classes there are.
        batch_size: How many tiles the predictor is given at once, at most.
        progress: Told after each batch what is done.

    Returns:
        The tiles that failed.

    Raises:
        OSError: If what was found cannot be stored, or tile after tile cannot be read.
    """
    todo = [
        _Place(row, column, grid.window(row, column))
        for row, column in tiles
        if not work.is_done(row, column)
    ]
    done, found_in_all = len(tiles) - len(todo), 0
    failed: list[FailedTile] = []
    stored: deque[Future[None]] = deque()
    if progress is not None:
        progress(done, len(tiles), 0)

    def store(place: _Place, tile: Tile | None, found: Sequence[Found]) -> None:
        pieces = [] if tile is None else make_pieces(tile, found, grid, classes)
        _repeatedly(lambda: work.write(place.row, place.column, pieces))

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        try:
            unreadable = 0
            for batch in _batches(_read_ahead(scene, reader, todo, 2 * batch_size), batch_size):
                readable = []
                for place, tile in batch:
                    unreadable = unreadable + 1 if isinstance(tile, OSError) else 0
                    if unreadable == _HOPELESS:
                        raise OSError(f"{_HOPELESS} tiles in a row failed, the last one: {tile}")
                    if isinstance(tile, OSError):
                        failed.append(FailedTile(*_fields(place), str(tile)))
                    elif _is_empty(tile, grid.core(place.row, place.column)):
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
                while len(stored) > 4 * batch_size:
                    stored.popleft().result()
                if progress is not None:
                    progress(done, len(tiles), found_in_all)
            for future in stored:
                future.result()
        except BaseException:
            # What was found is still stored.
            reader.shutdown(cancel_futures=True)
            raise
    return failed


def _fields(place: _Place) -> tuple[int, int, Window]:
    return place.row, place.column, place.window


def _is_empty(tile: Tile, core: Window) -> bool:
    """Whether no pixel that the tile owns holds data; then no other one needs its opinion."""
    return tile.valid is not None and not tile.valid[core.slices_in(tile.window)].any()


def _read_ahead(
    scene: Scene, reader: ThreadPoolExecutor, places: Sequence[_Place], ahead: int
) -> Iterator[tuple[_Place, Tile | OSError]]:
    def read(place: _Place) -> Tile | OSError:
        try:
            return _repeatedly(lambda: scene.read(place.window))
        except OSError as error:
            return error

    waiting: deque[tuple[_Place, Future[Tile | OSError]]] = deque()
    for place in places:
        waiting.append((place, reader.submit(read, place)))
        if len(waiting) > ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
