"""Tells whether a model's folder holds all of the code that its configuration files name."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAMING = ("config.json", "processor_config.json", "tokenizer_config.json")


def check_modelling_code(folder: Path) -> bool:
    """Checks that every class that is named is there, and every module that its code imports.

    Args:
        folder: The folder.

    Returns:
        Whether the model's configuration names code at all.

    Raises:
        ValueError: If something of it is missing or no Python.
    """
    modules: dict[str, ast.Module] = {}
    for file in _NAMING:
        for reference in _named_classes(folder / file):
            name, _, wanted = reference.partition(".")
            if not (folder / f"{name}.py").is_file():
                raise ValueError(f"its {file} names modelling code that is not there, {name}.py")
            _read_with_imports(folder, name, modules)
            if all(getattr(node, "name", None) != wanted for node in modules[name].body):
                raise ValueError(f"its {file} names {wanted}, which its {name}.py does not define")
    return any(_named_classes(folder / "config.json"))


def _named_classes(path: Path) -> Iterator[str]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    waiting: list[Any] = [content]
    while waiting:
        fields = waiting.pop()
        if isinstance(fields, dict):
            waiting += fields.values()
            for classes in (fields.get("auto_map") or {}).values():
                # Of a tokenizer a slow and a fast one, or neither.
                several = classes if isinstance(classes, list | tuple) else [classes]
                yield from (str(one) for one in several if one is not None)


def _read_with_imports(folder: Path, name: str, modules: dict[str, ast.Module]) -> None:
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        try:
            modules[name] = ast.parse((folder / f"{name}.py").read_bytes())
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"its {name}.py is no Python ({error})") from error
        for node in ast.walk(modules[name]):
            # All lies in one folder.
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                if not (folder / f"{node.module}.py").is_file():
                    raise ValueError(f"its {name}.py imports {node.module}.py, which is not there")
                waiting.append(node.module)
