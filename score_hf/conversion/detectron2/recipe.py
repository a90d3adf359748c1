"""Reads the yaml file that a detectron2 model was trained with."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...plain_yaml import read_yaml

# Values whose absence is told apart from null.
_ABSENT = object()
# SCORE and FC-CLIP keep the same settings in sections of their own.
_OWN_SECTIONS = ("MODEL.SCORE", "MODEL.FC_CLIP")


@dataclass(frozen=True)
class Detectron2Recipe:
    """Settings of a training.

    Args:
        path: The file.
        values: Its nested sections, those of its `_BASE_` below them.
        missing_base: The `_BASE_` that is not there, so that its values are not known.
    """

    path: Path
    values: dict[str, Any]
    missing_base: Path | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """Looks a value up by its path, for example "MODEL.MASK_FORMER.NHEADS"."""
        value: Any = self.values
        for part in key.split("."):
            value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
        return default if value is _ABSENT else _plain(value)

    def get_own(self, name: str, default: Any = None) -> Any:
        """Looks a value up in the section of SCORE or FC-CLIP, whichever the file has."""
        for section in _OWN_SECTIONS:
            if (value := self.get(f"{section}.{name}", _ABSENT)) is not _ABSENT:
                return value
        return default

    def training_set(self) -> str | None:
        """Returns detectron2's name of the first data set of the training."""
        names = self.get("DATASETS.TRAIN")
        if isinstance(names, list | tuple):
            names = names[0] if names else None
        return names if isinstance(names, str) else None

    def number(self, key: str) -> int | float | None:
        """Looks a number up.

        Args:
            key: Its path.

        Returns:
            The number; None if the file does not say it.

        Raises:
            ValueError: If something else stands there.
        """
        return self._as_number(key, self.get(key))

    def whole_number(self, key: str) -> int | None:
        """Looks a whole number above 0 up; see `number`."""
        value = self.number(key)
        if value is None or (isinstance(value, int) and value > 0):
            return value
        raise ValueError(
            f"`config_file` {self.path} must give {key} as a whole number above 0, got {value!r}."
        )

    def own_number(self, name: str) -> int | float | None:
        """Looks a number up in the section of SCORE or FC-CLIP; see `number`."""
        return self._as_number(name, self.get_own(name))

    def _as_number(self, key: str, value: Any) -> int | float | None:
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise ValueError(f"`config_file` {self.path} must give {key} as a number, got {value!r}.")


def read_recipe(path: Path) -> Detectron2Recipe:
    """Reads a yaml file and what it is based on.

    Args:
        path: The file. A `_BASE_` is looked for beside it.

    Returns:
        The settings.

    Raises:
        ValueError: If the file, or its base, is not such a yaml file.
    """
    values: dict[str, Any] = {}
    missing, seen, current = None, set(), path
    while True:
        own = _read_yaml(current)
        base = own.pop("_BASE_", None)
        values = _merge(own, values)
        seen.add(current.resolve())
        if base is None:
            break
        below = current.parent / str(base)
        if below.resolve() in seen:
            raise ValueError(f"`config_file` {path} is based on itself: _BASE_ is {base!r}.")
        if not below.is_file():
            missing = below
            break
        current = below
    return Detectron2Recipe(path, values, missing)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    # ValueError: also bytes that are no text.
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`config_file` {path} cannot be read as detectron2's yaml: {reason}"
        ) from error
    is_recipe = isinstance(content, dict) and ("_BASE_" in content or "MODEL" in content)
    if not is_recipe or not isinstance(content.get("MODEL", {}), dict):
        held = list(content)[:5] if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"`config_file` {path} must be a yaml file of detectron2, with a section MODEL or a "
            f"_BASE_, but it holds {held}."
        )
    return content


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[name] = value
    return merged


def _plain(value: Any) -> Any:
    """Reads tuples, which yaml takes for strings."""
    if isinstance(value, str) and value.startswith("("):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value
