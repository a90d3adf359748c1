"""Files of recipes: found by name, based on one another, changed by the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..plain_yaml import read_yaml

RECIPES = Path(__file__).parent / "recipes"


class _OneOfAName(yaml.SafeLoader):
    """Refuses a name that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known = set()
        for name, _ in node.value:
            if name.value in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name.value!r} stands there twice", name.start_mark
                )
            known.add(name.value)
        return super().construct_mapping(node, deep)


def recipe_names(folder: Path = RECIPES) -> list[str]:
    """Lists the recipes that come with the package, in one of its folders."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_values(
    source: str | Path, changes: Sequence[str] = (), package: Path = RECIPES
) -> dict[str, Any]:
    """Reads the values of a recipe of any kind, what it is based on, and changes.

    Args:
        source: The name of a recipe of the package, or a YAML file.
        changes: As for [`load_recipe`].
        package: The package's folder of such recipes.

    Returns:
        Plain values, not checked yet.

    Raises:
        ValueError: If there is no such recipe, or it cannot be read.
    """
    values = _read_file(source, Path.cwd(), package)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise ValueError(f"A change must be of the form `name=value`, but got {change!r}.")
        try:
            value = read_yaml(text)
        except ValueError as error:
            raise ValueError(
                f"A change must be `name=value` with a value in YAML, but got {change!r}."
            ) from error
        for name in reversed(path.split(".")):
            value = {name: value}
        values = _merge(values, value)
    return values


def _read_file(
    source: str | Path, folder: Path, package: Path, chain: tuple[Path, ...] = ()
) -> dict[str, Any]:
    path = _find(source, folder, package)
    if path in chain:
        raise ValueError(f"The recipe {path.name!r} is based on itself.")
    try:
        values = read_yaml(path.read_text(encoding="utf-8"), _OneOfAName) or {}
    except OSError as error:
        raise ValueError(f"The recipe {str(path)!r} cannot be read ({error.strerror}).") from error
    # Also bytes that are no UTF-8.
    except ValueError as error:
        raise ValueError(f"The recipe {str(path)!r} is no valid YAML: {error}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"The recipe {str(path)!r} must be a list of `name: value`.")
    base = values.pop("base", None)
    if base is None:
        return values
    return _merge(_read_file(str(base), path.parent, package, (*chain, path)), values)


def _find(source: str | Path, folder: Path, package: Path) -> Path:
    path = folder / source
    if path.is_file():
        return path.resolve()
    names = recipe_names(package)
    if str(source) in names:
        return package / f"{source}.yaml"
    raise ValueError(
        f"There is no recipe {str(source)!r}: give a YAML file or one of {', '.join(names)}."
    )


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        known = merged.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[name] = _merge(known, value) if both else value  # type: ignore[arg-type]
    return merged


def demand(holds: bool, name: str, what: str, value: Any) -> None:
    """Raises an error that names the field, unless something holds for its value.

    Args:
        holds: Whether it does.
        name: The field, such as "data.workers".
        what: What the value must be.
        value: What it is.

    Raises:
        ValueError: If it does not hold.
    """
    if not holds:
        raise ValueError(f"`recipe.{name}` must be {what}, but is {value!r}.")
