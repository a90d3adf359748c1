"""The classes of a scene, and the files in which people list them."""

import csv
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..plain_yaml import read_yaml
from ..processing.predictions import check_fraction
from ..processing.prompts import parse_class_names, split_synonyms
from .matching import Merge

# What a name says by its last word: such things have no number, and tiles cut them into pieces.
_AMORPHOUS = frozenset(
    """
    road roads street streets highway highways motorway railway railways rail runway taxiway
    pavement sidewalk river rivers stream canal canals waterway water sea ocean lake reservoir
    wetland marsh beach sand coastline forest forests woodland trees vegetation grass grassland
    meadow lawn shrub shrubland cropland farmland bare soil ground land snow ice
    """.split()  # noqa: SIM905
)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_COLUMNS = ("name", "prompts", "threshold", "min_area_m2", "max_area_m2", "merge", "color", "id")


@dataclass(frozen=True)
class SceneClass:
    """A class of the vocabulary of a scene.

    Args:
        name: As the user calls it.
        synonyms: All its names, the first included.
        seen: Whether the model was trained on it; None if that is not known.
        merge: "things", "stuff" or "none"; see `MatchingRule`.
        threshold: Lowest score of its instances; None: that of the run.
        min_area: Smallest ground area of its instances in square metres; None: that of the run.
        max_area: Largest ground area of its instances in square metres; None: that of the run.
        color: As "#rrggbb"; None: chosen from a palette.
        number: What maps call it; None: its place in the vocabulary.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    seen: bool | None = None
    merge: Merge = "things"
    threshold: float | None = None
    min_area: float | None = None
    max_area: float | None = None
    color: str | None = None
    number: int | None = None


def usual_merge(name: str) -> Merge:
    """Tells from its name whether a class is countable.

    Args:
        name: Such as "river" or "swimming pool".

    Returns:
        "stuff" if it usually has no clear number, else "things".
    """
    words = name.lower().replace("_", " ").replace("-", " ").split()
    return "stuff" if words and words[-1] in _AMORPHOUS else "things"


def class_of(name: str, **settings: Any) -> SceneClass:
    """Makes a class.

    Args:
        name: One or several synonyms, separated by commas.
        **settings: Other fields of `SceneClass`.
    """
    synonyms = tuple(one.strip() for one in name.split(","))
    return SceneClass(synonyms[0], synonyms, **{"merge": usual_merge(synonyms[0]), **settings})


def class_numbers(classes: Sequence[SceneClass]) -> list[int]:
    """The number of each class in maps: its own, else its place in the vocabulary."""
    return [place if one.number is None else one.number for place, one in enumerate(classes)]


def names_of(classes: Sequence[SceneClass]) -> list[str]:
    """The class names as `Segmenter` takes them, synonyms separated by commas."""
    return [", ".join(one.synonyms or (one.name,)) for one in classes]


def read_vocabulary(path: Path) -> list[SceneClass]:
    """Reads a vocabulary file.

    Args:
        path: .csv: a table with the column `name` and perhaps `prompts` (synonyms, separated by
            `|`), `threshold`, `min_area_m2`, `max_area_m2`, `merge` (things, stuff or none),
            `color` (#rrggbb) and `id` (the class's number in maps). .yaml: a list of names or of
            such entries. Else names as on the command line, where new lines separate too and `#`
            begins a comment.

    Returns:
        The classes.

    Raises:
        ValueError: If the file cannot be read or an entry is not valid.
    """
    text, suffix, where = _read_text(path), path.suffix.lower(), repr(str(path))
    if suffix == ".csv":
        entries = _csv_entries(text, where)
    elif suffix in (".yaml", ".yml"):
        entries = _yaml_entries(text, where)
    else:
        lines = (line.partition("#")[0] for line in text.splitlines())
        return [class_of(name) for name in parse_class_names("\n".join(lines), "--classes-file")]
    unknown = {str(column) for entry in entries for column in entry if column not in _COLUMNS}
    for column in sorted(unknown):
        warnings.warn(
            f"`--classes-file` {where}: the column {column!r} is not known and ignored; known are "
            f"{', '.join(_COLUMNS)}.",
            stacklevel=2,
        )
    classes = [_read_entry(number, entry, where) for number, entry in enumerate(entries, start=1)]
    if not classes:
        raise ValueError(f"`--classes-file` {where} lists no class.")
    numbers = class_numbers(classes)
    if len(set(numbers)) < len(numbers):
        raise ValueError(
            f"`--classes-file` {where}: each `id` must be that of one class, and those without one "
            f"are counted from 0, but got {numbers}."
        )
    return classes


def _read_text(path: Path) -> str:
    try:
        # Some editors of Windows begin a file with a mark that is no part of the first name.
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`--classes-file` must be in UTF-8, but {str(path)!r} is not ({error.reason} "
            f"at byte {error.start}); save it with that encoding."
        ) from error
    except OSError as error:
        raise ValueError(
            f"`--classes-file` must be a text file, but {str(path)!r} cannot be read "
            f"({error.strerror})."
        ) from error


def _csv_entries(text: str, where: str) -> list[dict[Any, Any]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True, strict=True)
    try:
        entries: list[dict[Any, Any]] = list(rows)
    except csv.Error as error:
        raise ValueError(f"`--classes-file` {where} is no valid CSV table ({error}).") from error
    names = list(rows.fieldnames or ())
    if "name" not in names:
        raise ValueError(
            f"`--classes-file` {where} must have a column `name`, but its first line is "
            f"{','.join(names)!r}."
        )
    if any(None in entry for entry in entries):
        raise ValueError(f"`--classes-file` {where} has a line with more than {len(names)} cells.")
    return entries


def _yaml_entries(text: str, where: str) -> list[dict[Any, Any]]:
    try:
        entries = read_yaml(text)
    except ImportError as error:
        raise ImportError(
            "Vocabularies in YAML need the package PyYAML: run `pip install pyyaml`, or write a "
            ".csv file."
        ) from error
    except ValueError as error:
        raise ValueError(f"`--classes-file` {where} is no valid YAML ({error}).") from error
    if not isinstance(entries, list):
        raise ValueError(f"`--classes-file` {where} must hold a list of names or of entries.")
    return [dict(one) if isinstance(one, Mapping) else {"name": one} for one in entries]


def _read_entry(number: int, entry: Mapping[Any, Any], where: str) -> SceneClass:
    name = str(entry.get("name") or "").strip()
    place = f"`--classes-file` {where}, entry {number} ({name})"
    prompts = str(entry.get("prompts") or "")
    synonyms = [name, *(one.strip() for one in prompts.split("|") if one.strip())]
    if not name or any("," in one for one in synonyms):
        raise ValueError(
            f"{place}: `name` and `prompts` must be names without commas, synonyms separated by "
            f"|, but got {name!r} and {prompts!r}."
        )
    # The name itself is often listed among its prompts.
    distinct: dict[str, str] = {}
    for one in synonyms:
        distinct.setdefault(split_synonyms(one)[0], one)
    settings: dict[str, Any] = {
        field: _number(entry.get(column), column, place)
        for column, field in (
            ("threshold", "threshold"),
            ("min_area_m2", "min_area"),
            ("max_area_m2", "max_area"),
        )
    }
    if settings["threshold"] is not None:
        check_fraction(settings["threshold"], "threshold")
    merge, color = entry.get("merge") or None, entry.get("color") or None
    if merge is not None:
        if merge not in get_args(Merge):
            raise ValueError(f"{place}: `merge` must be things, stuff or none, got {merge!r}.")
        settings["merge"] = merge
    if color is not None and not _COLOR.fullmatch(str(color)):
        raise ValueError(f"{place}: `color` must be such as #1f77b4, but got {color!r}.")
    given = _number(entry.get("id"), "id", place)
    if given is not None and (given % 1 or given >= 2**31):
        raise ValueError(f"{place}: `id` must be a whole number, but got {entry['id']!r}.")
    settings["number"] = None if given is None else int(given)
    return class_of(", ".join(distinct.values()), color=color, **settings)


def _number(value: Any, column: str, place: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{place}: `{column}` must be a number from 0, but got {value!r}.")
    return number
