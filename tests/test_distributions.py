"""The wheel and the sources that are published, and what they ask for."""

import ast
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import score_hf

REPOSITORY = Path(__file__).parents[1]
NAME = f"score_hf-{score_hf.__version__}"
# Spaces bring it along; ours works without.
GIVEN_BY_SPACES = {"spaces"}
# What a package that is asked for cannot be without, and hands on as its own.
BROUGHT_BY = {"onnx-ir": "onnxscript", "tokenizers": "transformers"}


@pytest.fixture(scope="module")
def package_files() -> set[str]:
    """What is in the repository, or would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "score_hf"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, and the wheel that is built of them."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="Python has it from 3.11 on")
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_the_sources_are_the_package_and_what_tells_of_it(built, package_files):
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}
    texts = {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE"}
    assert names == package_files | texts | {"pyproject.toml", "PKG-INFO", ".gitignore"}


def test_the_wheel_is_the_package(built, package_files):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as archive:
        names = set(archive.namelist())
    about = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert names == package_files | {f"{NAME}.dist-info/{name}" for name in about}
    assert "score_hf/py.typed" in names


def test_the_metadata_says_what_it_is(built):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as archive:
        about = message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))
    assert about["Version"] == score_hf.__version__
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in about.get_all("Classifier")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert about.get_payload(decode=True).decode().strip() == readme.strip()


def test_every_requirement_says_from_which_version_on(project):
    extras = project["optional-dependencies"].values()
    for line in project["dependencies"] + [line for lines in extras for line in lines]:
        one = Requirement(line)
        if one.name != "score-hf":
            assert any(part.operator == ">=" for part in one.specifier), line


def test_what_is_imported_is_asked_for(project):
    extras = dict(project["optional-dependencies"])
    del extras["dev"]
    lines = project["dependencies"] + [line for lines in extras.values() for line in lines]
    asked = {Requirement(line).name.lower().replace("_", "-") for line in lines}
    asked |= {brought for brought, by in BROUGHT_BY.items() if by in asked}
    known = packages_distributions()
    for path in (REPOSITORY / "score_hf").rglob("*.py"):
        for module in _imported(path) - {"score_hf", *sys.stdlib_module_names, *GIVEN_BY_SPACES}:
            names = {name.lower().replace("_", "-") for name in known[module]}
            assert names & asked, f"{path} imports {module}"


def _imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules.add(node.module)
    return {module.partition(".")[0] for module in modules}
