import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import RepoCard

from score_hf.conversion.space import PACKAGE, brings_package, build_space

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "built"
    build_space(DEMO, folder, "me/score", "gradio", ["config.json", "model.safetensors"])
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_demo_takes_the_sources_along_but_no_weights(built):
    files = files_of(built)
    assert {path for path in files_of(DEMO) if "__pycache__" not in path} <= files
    sources = {
        f"score_hf/{path}"
        for path in files_of(PACKAGE)
        if path.endswith(".py") and not path.startswith(("models/", "samples/"))
    }
    assert sources <= files
    added = files - files_of(DEMO)
    assert not any(path.endswith((".safetensors", ".pyc", ".png")) for path in added)


def test_the_front_matter_names_the_model_and_keeps_the_rest(built):
    before, after = (RepoCard.load(folder / "README.md") for folder in (DEMO, built))
    assert after.text == before.text
    expected = {
        **before.data.to_dict(),
        "models": ["me/score"],
        "preload_from_hub": ["me/score config.json,model.safetensors"],
    }
    assert after.data.to_dict() == expected
    assert list(after.data.to_dict())[: len(before.data.to_dict())] == list(before.data.to_dict())


def test_the_built_folder_imports_its_own_package(built):
    code = "import score_hf.demo.space, sys; print(score_hf.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=built, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == built / "score_hf" / "__init__.py"


@pytest.mark.parametrize(
    ("kind", "source", "own", "expected"),
    [
        ("gradio", "import score_hf", False, True),
        ("gradio", "import gradio", False, False),
        ("gradio", "import score_hf", True, False),
        ("docker", "import score_hf", False, False),
    ],
)
def test_only_a_space_that_needs_the_package_gets_it(tmp_path, kind, source, own, expected):
    (tmp_path / "app.py").write_text(source)
    if own:
        (tmp_path / "score_hf").mkdir()
    assert brings_package(tmp_path, kind) is expected


def test_another_space_stays_as_it_is(tmp_path):
    space = tmp_path / "space"
    space.mkdir()
    (space / "app.py").write_text("print(1)")
    (space / "README.md").write_text("---\nsdk: gradio\n---\n# Mine\n")
    build_space(space, tmp_path / "built", "me/score", "gradio")
    assert {path.name: path.read_text() for path in (tmp_path / "built").iterdir()} == {
        path.name: path.read_text() for path in space.iterdir()
    }
