"""Predictions on disk: a line an image, a file a process, resumable after any interruption."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

SETTINGS_FILE = "settings.json"
Record = dict[str, Any]


class PredictionFolder:
    """What was predicted so far, image by image.

    Each process appends to its own file `part-<rank>.jsonl`, one JSON object a line with at least
    `image_id`. A process that is killed leaves at most one line unfinished, which is dropped; the
    files of a run with another number of processes are taken over.

    Args:
        folder: Made if missing.
        settings: What the predictions depend on, ready for JSON.
        rank: Of this process.

    Raises:
        ValueError: If the folder holds predictions that were made with other settings, or a file
            in it is damaged.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], rank: int = 0) -> None:
        self.folder, self.rank = folder, rank
        self._places: dict[int, tuple[Path, int]] = {}
        self._readers: dict[Path, BinaryIO] = {}
        self._writer: BinaryIO | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._check_settings(json.loads(json.dumps(settings)))
        self.refresh()

    def __enter__(self) -> "PredictionFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def image_ids(self) -> set[int]:
        """The images that are done."""
        return set(self._places)

    def refresh(self) -> None:
        """Looks again at what all processes have written."""
        self._places.clear()
        for path in sorted(self.folder.glob("part-*.jsonl")):
            with path.open("rb") as lines:
                place = 0
                for line in lines:
                    if line.endswith(b"\n"):
                        self._places.setdefault(_parse(line, path)["image_id"], (path, place))
                    place += len(line)

    def append(self, record: Record) -> None:
        """Writes what was predicted for one image."""
        if self._writer is None:
            self._writer = _open_whole(self.folder / f"part-{self.rank:05d}.jsonl")
        self._writer.write(json.dumps(record).encode() + b"\n")
        self._writer.flush()

    def read(self, image_id: int) -> Record:
        """Reads what was predicted for one image."""
        path, place = self._places[image_id]
        if path not in self._readers:
            self._readers[path] = path.open("rb")
        self._readers[path].seek(place)
        return _parse(self._readers[path].readline(), path)

    def close(self) -> None:
        """Closes the files."""
        for file in (self._writer, *self._readers.values()):
            if file is not None:
                file.close()
        self._writer, self._readers = None, {}

    def remove(self) -> None:
        """Deletes the folder."""
        self.close()
        shutil.rmtree(self.folder)

    def _check_settings(self, settings: dict[str, Any]) -> None:
        path = self.folder / SETTINGS_FILE
        if not path.exists():
            # Every process may write it, with the same content.
            write_json(path, settings, f".{self.rank}.part")
            return
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        # Also bytes that are no text, and brackets in brackets without end.
        except (ValueError, RecursionError):
            known = None
        if not isinstance(known, dict):
            raise ValueError(f"{path} is damaged: delete {self.folder}, and begin anew.")
        for name in sorted({*known, *settings}):
            if known.get(name) != settings.get(name):
                raise ValueError(
                    f"{self.folder} holds unfinished predictions made with `{name}` "
                    f"{known.get(name)!r:.120} instead of {settings.get(name)!r:.120}: go on with "
                    "the same settings, delete that folder, or write elsewhere."
                )


def write_predictions(store: PredictionFolder, image_ids: Iterable[int], path: Path) -> None:
    """Writes the predictions of all images as one file in COCO's results format.

    It has no boxes, from which `COCO.loadRes` would take the areas. Predictions are written image
    by image, so that those of a large dataset need no memory.

    Args:
        store: Has a record of every image.
        image_ids: The images in the order to write.
        path: Of the JSON file; an older one stays whole until the new one is.
    """
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write("[")
        separator = "\n"
        for number in image_ids:
            for entry in store.read(number)["predictions"]:
                file.write(separator + json.dumps({"image_id": number, **entry}))
                separator = ",\n"
        file.write("\n]\n")
    os.replace(unfinished, path)


def write_json(path: Path, content: Any, suffix: str = ".part", indent: int | None = None) -> None:
    """Writes a JSON file; an older one stays whole until the new one is.

    Args:
        path: Of the file.
        content: What to write; NaN and infinity are refused.
        suffix: What the unfinished file's name ends with.
        indent: As in `json.dumps`.

    Raises:
        ValueError: If the content holds NaN or infinity.
    """
    unfinished = path.with_name(path.name + suffix)
    unfinished.write_text(json.dumps(content, indent=indent, allow_nan=False), encoding="utf-8")
    os.replace(unfinished, path)


def _open_whole(path: Path) -> BinaryIO:
    """Opens a file for further lines, without the unfinished one that a killed process left."""
    file = path.open("a+b")
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    file.truncate(whole)
    file.seek(whole)
    return file


def _parse(line: bytes, path: Path) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("image_id"), int)
        or not isinstance(record.get("predictions", []), list)
    ):
        raise ValueError(f"{path} is damaged: delete it, and its images are done again.")
    return record
