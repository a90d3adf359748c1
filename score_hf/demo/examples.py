"""Pictures to try the demo with."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..bundled import sample_pictures

_FILE = "examples.json"
_SAMPLE_CLASSES = "storage tank, roundabout, baseball diamond, vehicle | car, ship, solar panel"


@dataclass(frozen=True)
class Example:
    """A picture with class names.

    Args:
        picture: Path of the picture.
        title: What it shows, in some words.
        classes: Class names as a visitor types them.
        is_drawn: Whether it is no photograph.
    """

    picture: Path
    title: str
    classes: str
    is_drawn: bool = False


def read_examples(folder: Path | None) -> list[Example]:
    """Reads the examples of a folder, or those of the package.

    Args:
        folder: Holds pictures and `examples.json`, a list of objects with `file`, `title`,
            `classes` and perhaps `drawn`; None: the pictures of the package.

    Returns:
        The examples.

    Raises:
        ValueError: If there is no such file, or it does not tell of pictures that are there.
    """
    if folder is None:
        return [
            Example(
                path,
                path.stem.replace("_", " ").capitalize(),
                _SAMPLE_CLASSES,
                path.stem.startswith("drawn"),
            )
            for path in sample_pictures()
        ]
    try:
        entries = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        examples = [
            Example(folder / one["file"], one["title"], one["classes"], one.get("drawn", False))
            for one in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`examples` must be a folder with an {_FILE} that lists objects with `file`, `title` "
            f"and `classes`, but that of {str(folder)!r} cannot be read ({error!r})."
        ) from error
    missing = [one.picture.name for one in examples if not one.picture.is_file()]
    if missing:
        raise ValueError(f"`examples` {str(folder)!r} lists {missing[0]!r}, which is not there.")
    return examples
