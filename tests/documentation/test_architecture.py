"""What docs/architecture.md names is there."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "score_hf"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
TERMS = re.findall(r"`([^`]+)`", PAGE)
# Commands, forms of statements, and attributes that are given, not defined.
OTHER = {"lint-imports", "from .name import …", "import score_hf", "head"}


def _is_path(term: str) -> bool:
    return "/" in term or term.endswith((".py", ".toml"))


def _defined() -> set[str]:
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def test_its_paths_are_there():
    paths = [term for term in TERMS if _is_path(term)]
    assert len(paths) > 40
    missing = [
        path for path in paths if not any((root / path).exists() for root in (PACKAGE, REPOSITORY))
    ]
    assert missing == []


def test_its_names_are_defined():
    names = [
        term
        for term in TERMS
        if not _is_path(term) and term not in OTHER and not term.startswith("score-hf ")
    ]
    assert len(names) > 20
    assert set(names) <= _defined()


def test_every_part_has_its_floor():
    table = PAGE.partition("## Who may import whom")[0]
    parts = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__.py"} <= set(re.findall(r"`([^`]+)`", table))
