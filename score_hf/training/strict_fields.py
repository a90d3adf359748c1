"""Dataclasses from what YAML reads: every field checked, every unknown one refused."""

import contextlib
import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


def nearest(name: str, known: Iterable[str]) -> str:
    """Says which known name was probably meant, or which there are.

    Args:
        name: What was given.
        known: What is known.

    Returns:
        The end of a sentence about `name`.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}."


def make_strictly(kind: type[Made], values: Any, place: str) -> Made:
    """Makes a dataclass, and the dataclasses inside it.

    Args:
        kind: The dataclass.
        values: Its fields as plain YAML values.
        place: What the whole is called; named in the errors.

    Returns:
        The object.

    Raises:
        ValueError: If a field is unknown, missing or of the wrong kind.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"`{place}` must be a list of `name: value`, but got {values!r:.100}.")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    made = {}
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"`{place}` has no field {name!r}; {nearest(str(name), fields)}")
        made[name] = _read(hints[name], value, f"{place}.{name}")
    for name, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in made:
            raise ValueError(f"`{place}` must say its `{name}`.")
    return kind(**made)


def _read(hint: Any, value: Any, place: str) -> Any:
    """Checks a value against a type, and turns it into that type where YAML has no better one."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in parts:
            return None
        kinds = [part for part in parts if part is not types.NoneType]
        # Of one thing and a list of such, the one that is given.
        listed = isinstance(value, list | tuple)
        fitting = (kind for kind in kinds if (get_origin(kind) is tuple) == listed)
        return _read(next(fitting, kinds[0]), value, place)
    if dataclasses.is_dataclass(hint):
        return make_strictly(hint, value, place)  # type: ignore[arg-type]
    if origin is Literal:
        # YAML takes a bare `no` or `off` for False.
        value = "no" if value is False and "no" in parts else value
        if value not in parts:
            raise ValueError(f"`{place}` must be one of {', '.join(parts)}, but is {value!r:.100}.")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"`{place}` must be a list, but is {value!r:.100}.")
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(value):
            raise ValueError(f"`{place}` must have {len(kinds)} entries, but is {value!r:.100}.")
        return tuple(
            _read(kind, one, f"{place}[{index}]")
            for index, (kind, one) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"`{place}` must be a list of `name: value`, but is {value!r:.100}.")
        return {str(name): _read(parts[1], one, f"{place}.{name}") for name, one in value.items()}
    return _read_plain(hint, value, place)


def _read_plain(kind: type, value: Any, place: str) -> Any:
    if kind is float and isinstance(value, str):
        # YAML takes 1e-5 for a word.
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            value = float(value)
    if type(value) is not kind:
        called = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise ValueError(f"`{place}` must be {called[kind]}, but is {value!r:.100}.")
    return value
