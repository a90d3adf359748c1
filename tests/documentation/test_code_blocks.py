"""Every code block of README, docs and cards is run, or checked as far as can be done here.

Three levels. *Run*: in a folder with a few drawn pictures and a small GeoTIFF. *Run elsewhere*: by
the test that is named. *Parsed*: commands by the programs' own readers of options, Python by
compiling it, importing what it imports and comparing keywords with signatures; for what needs
downloads, data sets, accounts, servers or hours. A block that stands in no table fails.
"""

import argparse
import ast
import inspect
import os
import re
import shlex
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import typer
import typer.main
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.drawn_scenes import draw_scene

from .blocks import FILES, REPOSITORY, Block, blocks_of, commands_of, inline_commands_of

RUN = "run"
SERVER = "parsed: needs a running demo"
MODEL = "parsed: needs a model and a data set of the reader"
# What becomes of the Python blocks of a page, in their order. A path: the test that runs them.
PYTHON = {
    "README.md": [RUN],
    "demo/README.md": [SERVER],
    "docs/demo.md": [SERVER],
    "docs/evaluation.md": [MODEL],
    "docs/export.md": ["tests/export/test_export_documentation.py"] * 2,
    "docs/interoperability.md": ["tests/integrations/test_interoperability_documentation.py"] * 5,
    "docs/quick_start.md": [RUN],
    "docs/scenes.md": ["tests/scenes/test_scenes_documentation.py"] * 2,
    "docs/segmenting.md": [RUN] * 3,
    "docs/vocabulary.md": [RUN] * 6,
}
# Commands that are run, in this order, each once, wherever they stand.
SHELL = (
    "score-hf segment --sample -o out",
    'score-hf segment photos/ --classes "ship, harbor, storage tank | oil tank" -o out',
    "score-hf segment photos/ --classes-file names.txt -o out",
)
SCENE_SHELL = (
    "score-hf info port.tif",
    'score-hf segment port.tif -c "ship, harbor, storage tank | oil tank" -o port.gpkg',
    "score-hf map port.gpkg",
)
# The beginnings of commands that are not ours; those of CONTRIBUTING.md are run by `.ci/run`.
FOREIGN = (
    *("python -m venv", "accelerate config", "hf auth login", "sbatch"),
    *("ruff", "mypy", "pytest", "zensical"),
)
BLOCKS = [block for path in FILES for block in blocks_of(path)]
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]
COMMANDS = sorted(
    {one for block in BLOCKS if block.language == "bash" for one in commands_of(block)}
)
INLINE = sorted({command for path in FILES for command in inline_commands_of(path)})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with the pictures that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", "photos/a.png")):
        draw_scene(2000019 + number, 128).image.save(name)
    (tmp_path / "names.txt").write_text("plane\nvehicle | car\n")
    return tmp_path


def test_all_blocks_are_of_a_known_kind():
    assert {block.language for block in BLOCKS} <= {"bash", "python", "yaml"}


def test_all_python_blocks_are_classified():
    numbers: dict[str, int] = {}
    for block in PYTHON_BLOCKS:
        numbers[block.page] = numbers.get(block.page, 0) + 1
    assert numbers == {page: len(levels) for page, levels in PYTHON.items()}


@pytest.mark.parametrize("page", [page for page, levels in PYTHON.items() if RUN in levels])
def test_python_blocks_that_are_run(page, folder):
    names: dict = {}
    for block, level in zip(
        (block for block in PYTHON_BLOCKS if block.page == page), PYTHON[page], strict=True
    ):
        if level == RUN:
            exec(compile(block.text, page, "exec"), names)


def test_tests_that_run_blocks_exist():
    for page, levels in PYTHON.items():
        for level in levels:
            if level.startswith("tests/"):
                assert Path(page).name in (REPOSITORY / level).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=lambda block: block.page)
def test_python_blocks_name_what_there_is(block):
    tree = ast.parse(block.text)
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = pytest.importorskip(str(node.module))
            for one in node.names:
                imported[one.asname or one.name] = getattr(module, one.name)
        elif isinstance(node, ast.Import):
            for one in node.names:
                pytest.importorskip(one.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = imported.get(node.func.id)
            if inspect.isfunction(called):
                inspect.signature(called).bind_partial(
                    **{str(one.arg): None for one in node.keywords if one.arg}
                )


@pytest.mark.parametrize("command", SHELL)
def test_commands_that_are_run(command, folder):
    run(command)


@pytest.mark.skipif(find_spec("folium") is None, reason="needs score-hf[geo]")
def test_commands_for_scenes_are_run(folder):
    from tests.scenes.drawn_rasters import boxes_raster

    boxes_raster(folder / "port.tif")
    for command in SCENE_SHELL:
        run(command)
    assert (folder / "port.html").exists()


def test_commands_that_are_run_stand_somewhere():
    assert {shlex.join(shlex.split(one)) for one in (*SHELL, *SCENE_SHELL)} <= set(COMMANDS)


def run(command: str) -> None:
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_can_be_parsed(command, monkeypatch):
    """Foreign programs are let through; a program that is not known fails."""
    if command.startswith(FOREIGN):
        return
    words = shlex.split(command)
    if words[0] == "pip":
        check_pip(words)
    elif words[0] == "score-hf":
        check_options(words[1:])
    else:
        module = words.index("-m") if "-m" in words else None
        assert words[0] in ("python", "accelerate", "torchrun"), f"unknown program: {command}"
        if module is not None:
            check_module(words[module + 1], words[module + 2 :], monkeypatch)
        else:
            check_options(words[words.index("score-hf") + 1 :])


@pytest.mark.parametrize("command", INLINE)
def test_commands_in_sentences_name_what_there_is(command):
    """They may leave out what is required, and have placeholders."""
    words = shlex.split(command)
    known, words = find_command(words[1:])
    options = {option for parameter in known.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """Finds a command of ours, and what is left to it; "a|b" and "COMMAND" stand for any."""
    known: click.Command = typer.main.get_command(app)  # type: ignore[assignment]
    while hasattr(known, "commands") and words and not words[0].startswith(("-", "…")):
        if words[0].isupper():
            return next(iter(known.commands.values())), words[1:]
        known, words = known.commands[words[0].split("|")[0]], words[1:]
    return known, words


def check_options(words: list[str]) -> None:
    """Reads options as the command does, without running it; "…" leaves some out."""
    known, words = find_command(words)
    if "…" in words:
        options = {option for parameter in known.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options
    else:
        known.make_context(known.name, words)


def check_module(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads options as the module does, without running it."""
    module = import_module(name)
    if hasattr(module, "__path__"):
        module = import_module(f"{name}.__main__")
    words = [word for word in words if word != "…"]
    if name == "score_hf.training.train":
        options = module.read_options(words)
        # A recipe of the reader is checked where it stands.
        if not options.recipe.endswith(".yaml"):
            module.recipe_of(options)
    elif name == "score_hf.training.evaluate":
        options = {
            option
            for parameter in typer.main.get_command(app).commands["evaluate"].params  # type: ignore[attr-defined]
            for option in parameter.opts
        }
        assert {word for word in words if word.startswith("-")} <= options
    else:
        read = argparse.ArgumentParser.parse_args

        def stop(parser: argparse.ArgumentParser, given: list[str] | None = None) -> None:
            read(parser, given)
            raise KeyboardInterrupt

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
        monkeypatch.setattr(sys, "argv", [name, *words])
        with pytest.raises(KeyboardInterrupt):
            module.main()


def check_pip(words: list[str]) -> None:
    """Extras of this package must exist."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    _, _, section = text.partition("[project.optional-dependencies]")
    known = set(re.findall(r"^([a-z]+) = \[", section.partition("\n[")[0], re.MULTILINE))
    assert words[1] == "install"
    for word in words[2:]:
        if word == "-e":
            continue
        name, _, extras = word.rstrip("]").partition("[")
        assert name in (".", "score-hf"), word
        assert set(filter(None, extras.split(","))) <= known


@pytest.mark.parametrize(
    "block", [one for one in BLOCKS if one.language == "yaml"], ids=lambda one: one.page
)
def test_recipes_can_be_read(block: Block, tmp_path):
    from score_hf.training.recipe import load_recipe

    (tmp_path / "mine.yaml").write_text(block.text)
    assert load_recipe(tmp_path / "mine.yaml").steps > 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_between_files_lead_somewhere(path):
    """As they are read in the repository: files, and headings by GitHub's rule."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = Path(os.path.normpath(path.parent / name)) if name else path
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles}
            assert heading in slugs, link
