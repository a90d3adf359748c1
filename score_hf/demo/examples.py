"""Pictures to try the demo with."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..bundled import sample_pictures

_FILE = "examples.json"


@dataclass(frozen=True)
class Example:
    """A picture with class names.

    Args:
        picture: Path of the picture.
        title: What it shows, in some words.
        classes: Class names as a visitor types them.
    """

    picture: Path
    title: str
    classes: str


def read_examples(folder: Path | None) -> list[Example]:
    """Reads the examples of a Space, or those of the package.

    Args:
        folder: Holds the pictures and `examples.json`, a list of objects with `file`, `title` and
            `classes`; None: the pictures of the package.

    Returns:
        The examples.

    Raises:
        OSError: If there is no such file.
    """
    if folder is None:
        return [
            Example(path, path.stem.replace("_", " "), "plane, storage tank, ship, vehicle")
            for path in sample_pictures()
        ]
    entries = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return [Example(folder / one["file"], one["title"], one["classes"]) for one in entries]
