"""Where each image's annotations stand in a COCO file, so that no more is held in memory."""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .json_stream import iterate_lists

_LONGEST_SIDE = 1_000_000


@dataclass(frozen=True)
class CocoImage:
    """An entry of the list `images`.

    Args:
        image_id: Its number; its place in the list if the file has other than whole numbers.
        file_name: With `/` between folders.
        width: In pixels; None if the file does not say.
        height: In pixels; None if the file does not say.
    """

    image_id: int
    file_name: str
    width: int | None
    height: int | None


class CocoIndex:
    """A COCO file, read once from begin to end and then wherever an image's annotations stand.

    Attributes:
        path: The file.
        images: Sorted by number.
        categories: Name of each category number, sorted by number.
        notes: Sentences about what is odd in the file.
        unique_ids: Whether the annotations have whole numbers, each of them once.
        annotated: How many annotations there are of each category number.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not a COCO file of instances.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(
                f"`annotations` must be a COCO json file, but '{path}' is none."
            )
        self.path = path
        self.notes: list[str] = []
        self.categories: dict[int, str] = {}
        self.annotated: Counter[Any] = Counter()
        images: list[dict[str, Any]] = []
        owners: list[Any] = []
        ids: list[Any] = []
        starts, lengths = array("q"), array("q")
        for item in iterate_lists(path):
            if item.key not in ("images", "annotations", "categories"):
                continue
            entry = self._checked(item.key, item.value)
            if item.key == "images":
                images.append(entry)
            elif item.key == "categories":
                self._add_category(entry["id"], str(entry["name"]))
            else:
                owners.append(entry["image_id"])
                ids.append(entry.get("id"))
                starts.append(item.start)
                lengths.append(item.length)
                self.annotated[entry.get("category_id")] += 1
        if not images or not self.categories:
            raise ValueError(
                f"`annotations` must be a COCO file with 'images' and 'categories', but '{path}' "
                f"has {len(images)} images and {len(self.categories)} categories."
            )
        self.categories = dict(sorted(self.categories.items()))
        place_of = self._read_images(images)
        self.unique_ids = all(map(_is_whole, ids)) and len(set(ids)) == len(ids)
        if not self.unique_ids:
            self.notes.append(
                "annotation numbers are missing, repeated or not whole: objects are renumbered"
            )
        places = np.array([place_of.get(owner, -1) for owner in owners], dtype=np.int64)
        stray = int((places < 0).sum())
        if stray:
            self.notes.append(f"{stray} annotations belong to images that are not listed")
        self._order = np.argsort(places, kind="stable")
        self._bounds = np.searchsorted(places[self._order], np.arange(len(self.images) + 1))
        self._starts, self._lengths = np.array(starts), np.array(lengths)

    def _checked(self, key: str, entry: Any) -> dict[str, Any]:
        needed = {
            "images": ("id", "file_name"),
            "annotations": ("image_id",),
            "categories": ("id", "name"),
        }[key]
        if not isinstance(entry, dict) or not all(name in entry for name in needed):
            raise ValueError(
                f"`annotations` must be a COCO file, but '{self.path}' has an entry of '{key}' "
                f"without {' and '.join(needed)}: {str(entry)[:80]}."
            )
        if key == "categories" and not isinstance(entry["id"], int):
            raise ValueError(
                f"`annotations`: category numbers must be whole numbers, but '{self.path}' has "
                f"{entry['id']!r:.80}."
            )
        if key == "categories" and not isinstance(entry["name"], str | int):
            raise ValueError(
                f"`annotations`: names of categories must be texts, but '{self.path}' has "
                f"{entry['name']!r:.80}."
            )
        for name in ("id", "image_id", "category_id"):
            if isinstance(entry.get(name), list | dict):
                raise ValueError(
                    f"`annotations`: '{self.path}' has an entry of '{key}' whose {name} is no "
                    f"number: {str(entry[name])[:80]}."
                )
        return entry

    def _add_category(self, number: int, name: str) -> None:
        known = self.categories.setdefault(number, name)
        if known != name:
            raise ValueError(
                f"`annotations`: '{self.path}' gives the category number {number} to both "
                f"{known!r:.200} and {name!r:.200}, so it is not known which of them the objects "
                "are."
            )

    def _read_images(self, entries: list[dict[str, Any]]) -> dict[Any, int]:
        """Fills `images` and returns the place of each image number of the file."""
        names: dict[Any, str] = {}
        unique: list[dict[str, Any]] = []
        for entry in entries:
            number, name = entry["id"], str(entry["file_name"]).replace("\\", "/")
            if names.setdefault(number, name) != name:
                raise ValueError(
                    f"`annotations`: '{self.path}' gives the number {number!r:.80} to both "
                    f"'{names[number]:.200}' and '{name:.200}', so it is not known to which of "
                    "them the annotations belong."
                )
            if len(names) > len(unique):
                unique.append(entry)
        if len(unique) < len(entries):
            self.notes.append(f"{len(entries) - len(unique)} images are listed twice")
        whole = all(map(_is_whole, names))
        if whole:
            unique.sort(key=lambda entry: int(entry["id"]))
        else:
            self.notes.append("image numbers are not whole numbers: images are renumbered")
        self.images = [
            CocoImage(
                image_id=entry["id"] if whole else place,
                file_name=names[entry["id"]],
                width=_side(entry.get("width")),
                height=_side(entry.get("height")),
            )
            for place, entry in enumerate(unique)
        ]
        return {entry["id"]: place for place, entry in enumerate(unique)}

    def annotations_of(self, place: int) -> Iterator[dict[str, Any]]:
        """Reads the annotations of one image from the file.

        Args:
            place: Place of the image in `images`.

        Yields:
            The entries as they are.
        """
        with self.path.open("rb") as stream:
            for number in self._order[self._bounds[place] : self._bounds[place + 1]]:
                stream.seek(int(self._starts[number]))
                yield json.loads(stream.read(int(self._lengths[number])))

    def digest(self) -> str:
        """Returns a checksum of the file."""
        checksum = hashlib.sha256()
        with self.path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                checksum.update(chunk)
        return checksum.hexdigest()


def _is_whole(number: Any) -> bool:
    """Whether it is a whole number that Parquet can hold."""
    return isinstance(number, int) and abs(number) < 1 << 63


def _side(value: Any) -> int | None:
    """Some writers give sizes as 800.0, or 0 where they do not know.

    A size that no picture has is not known either: memory follows what is drawn at it.
    """
    return int(value) if isinstance(value, int | float) and 1 <= value <= _LONGEST_SIDE else None
