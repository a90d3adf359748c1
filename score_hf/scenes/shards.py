"""What was found in each tile, on disk: a run that is killed goes on where it was."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Piece, RunnerUp

PLAN_FILE, NOTES_FILE = "plan.json", "notes.json"
_LARGEST_SHARD = 2**30
# What stands for a runner-up that is not known.
_NOBODY = RunnerUp(-1, 0.0)


class WorkFolder:
    """A folder with one file for each tile that is done, empty tiles too.

    Args:
        path: The folder.
        plan: All that the pieces depend on, ready for JSON; files of another plan are refused.
    """

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        text = json.dumps(plan, sort_keys=True, allow_nan=False)
        self.path, self.plan = path, json.loads(text)
        self.key = hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def existing(cls, path: Path) -> "WorkFolder":
        """Opens a folder that an earlier run left.

        Args:
            path: The folder.

        Raises:
            ValueError: If it is none.
        """
        plan, folder = _read_json(path / PLAN_FILE), None
        # Numbers that are none cannot be written again.
        with contextlib.suppress(ValueError):
            folder = None if plan is None else cls(path, plan)
        if folder is None:
            raise ValueError(
                f"`work` must be the work folder of a run, with a {PLAN_FILE} in it, but "
                f"{str(path)!r} has none that can be read."
            )
        return folder

    def prepare(self, notes: dict[str, Any], fresh: bool = False) -> None:
        """Makes the folder, or checks that an older one belongs to the same plan.

        Args:
            notes: What the tiles do not depend on, but what comes after them does.
            fresh: Whether what an older run left is thrown away.

        Raises:
            ValueError: If it holds the tiles of another plan.
            OSError: If it cannot be written to.
        """
        if fresh and self.path.exists():
            # Only what a run made: the folder may hold other things of the user.
            shutil.rmtree(self.path / "tiles", ignore_errors=True)
            (self.path / PLAN_FILE).unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        older = _read_json(self.path / PLAN_FILE)
        if older is not None and older != self.plan:
            changed = sorted(
                name for name in {*older, *self.plan} if older.get(name) != self.plan.get(name)
            )
            raise ValueError(
                f"{str(self.path)!r} holds tiles of a run that differs in {', '.join(changed)}; "
                "repeat that run, give another `work` folder, or throw them away with `--fresh`."
            )
        if older is None:
            _write_json(self.path / PLAN_FILE, self.plan)
        _write_json(self.path / NOTES_FILE, notes)
        (self.path / "tiles").mkdir(exist_ok=True)

    def is_there(self) -> bool:
        """Whether the folder is still there: it goes when the map is written."""
        return (self.path / PLAN_FILE).exists()

    def notes(self) -> dict[str, Any]:
        """What was noted by the last run; empty if it cannot be read."""
        return _read_json(self.path / NOTES_FILE) or {}

    def _shard(self, row: int, column: int) -> Path:
        # A folder a row of tiles: file systems are slow with very many files in one.
        return self.path / "tiles" / f"{row:05d}" / f"{column:05d}.npz"

    def is_done(self, row: int, column: int) -> bool:
        """Whether the tile's file is there, whole, and of this plan."""
        try:
            self.read(row, column)
        except (OSError, ValueError):
            return False
        return True

    def write(self, row: int, column: int, pieces: Sequence[Piece]) -> None:
        """Stores what a tile shows; readers see all of it or nothing.

        Args:
            row: Of the tile.
            column: Of the tile.
            pieces: What was found in it.

        Raises:
            OSError: If the disk is full, cannot be written to, or the folder is not there.
        """
        bits = [np.packbits(piece.mask) for piece in pieces]
        arrays: dict[str, Any] = {
            "key": np.array(self.key),
            "label": np.array([piece.label for piece in pieces], dtype=np.int32),
            "score": np.array([piece.score for piece in pieces], dtype=np.float64),
            "window": np.array([piece.window for piece in pieces], dtype=np.int64).reshape(-1, 4),
            "touches_border": np.array([piece.touches_border for piece in pieces], dtype=bool),
            "runner_up": np.array([(piece.runner_up or _NOBODY)[0] for piece in pieces], np.int32),
            "runner_up_score": np.array(
                [(piece.runner_up or _NOBODY)[1] for piece in pieces], np.float64
            ),
            "bits": np.concatenate([np.zeros(0, dtype=np.uint8), *bits]),
        }
        path = self._shard(row, column)
        # Not the folder above: it is gone when another process has stitched.
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with unfinished.open("wb") as file:
                np.savez_compressed(file, **arrays)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def read(self, row: int, column: int) -> list[Piece]:
        """Reads what a tile shows.

        Args:
            row: Of the tile.
            column: Of the tile.

        Raises:
            FileNotFoundError: If the tile is not done.
            ValueError: If its file is damaged or of another plan.
        """
        path = self._shard(row, column)
        try:
            arrays = _read_arrays(path)
            if str(arrays["key"]) != self.key:
                raise ValueError("it belongs to another run")
            pieces = _pieces(arrays)
            self._check_pieces(pieces)
            return pieces
        except FileNotFoundError:
            raise
        # What is cut off or altered fails wherever that is, in as many ways.
        except Exception as error:
            raise ValueError(f"{str(path)!r} is damaged ({error}).") from error

    def _check_pieces(self, pieces: Sequence[Piece]) -> None:
        classes, height, width = (self.plan[name] for name in ("classes", "height", "width"))
        for piece in pieces:
            window = piece.window
            is_inside = window.top >= 0 and window.left >= 0 and not window.is_empty
            is_inside = is_inside and window.bottom <= height and window.right <= width
            second = piece.label if piece.runner_up is None else piece.runner_up.label
            if not is_inside or not 0 <= min(piece.label, second) <= max(piece.label, second) < len(
                classes
            ):
                raise ValueError("it shows what is not of this scene")

    def remove(self) -> None:
        """Deletes what the run made, and the folder if nothing else is in it."""
        # The plan first: it tells other processes that there is nothing left to do.
        for name in (PLAN_FILE, NOTES_FILE):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "tiles", ignore_errors=True)
        for folder in (self.path, self.path.parent):
            try:
                folder.rmdir()
            except OSError:
                return


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    # What a shard may hold is far below; a damaged one may ask for any amount.
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_SHARD:
            raise ValueError("it would take too much memory")
        parts = {entry: BytesIO(archive.read(entry)) for entry in archive.namelist()}
    for part in parts.values():
        version = np.lib.format.read_magic(part)
        read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, _, dtype = read_header(part)
        if math.prod(shape) * dtype.itemsize != len(part.getbuffer()) - part.tell():
            raise ValueError("it has another size than it says")
        part.seek(0)
    return {
        name.removesuffix(".npy"): np.lib.format.read_array(part, allow_pickle=False)
        for name, part in parts.items()
    }


def _pieces(arrays: dict[str, np.ndarray]) -> list[Piece]:
    pieces, start = [], 0
    for label, score, window, touches, second, second_score in zip(
        arrays["label"].tolist(),
        arrays["score"].tolist(),
        arrays["window"].tolist(),
        arrays["touches_border"].tolist(),
        arrays["runner_up"].tolist(),
        arrays["runner_up_score"].tolist(),
        strict=True,
    ):
        top, left, bottom, right = window
        pixels = (bottom - top) * (right - left)
        end = start + -(-pixels // 8)
        bits = arrays["bits"][start:end]
        if pixels <= 0 or len(bits) < end - start:
            raise ValueError("its masks are cut off")
        mask = np.unpackbits(bits, count=pixels).view(bool)
        shape = (bottom - top, right - left)
        runner_up = None if second < 0 else RunnerUp(second, second_score)
        pieces.append(Piece(label, score, top, left, mask.reshape(shape), touches, runner_up))
        start = end
    return pieces


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return plan if isinstance(plan, dict) else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
