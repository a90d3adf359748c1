import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import score_hf
from score_hf.bundled import bundled_model, bundled_models, limits_of, sample_pictures

REPOSITORY = Path(__file__).parents[1]


def run_python(code: str) -> str:
    """Runs code in a fresh process, where nothing is imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["score_hf", "score_hf.cli", "score_hf.bundled"])
def test_import_loads_neither_torch_nor_transformers(module):
    heavy = run_python(
        f"import sys, {module}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    )
    assert heavy == "[]"


def test_nothing_connects_when_it_is_imported():
    code = """
import importlib, pkgutil, socket
asked = []

def refuse(*arguments, **options):
    asked.append(arguments)
    raise OSError("there is no network")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import score_hf
for module in pkgutil.walk_packages(score_hf.__path__, "score_hf."):
    importlib.import_module(module.name)
print(asked)
"""
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", score_hf.__all__)
def test_public_name_is_what_it_is_called(name):
    assert name in dir(score_hf)
    assert getattr(score_hf, name).__name__ == name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'ScoreNothing'"):
        _ = score_hf.ScoreNothing


def test_type_checkers_see_the_same_names():
    tree = ast.parse((REPOSITORY / "score_hf/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {name.name for node in block.body for name in node.names}
    assert imported == set(score_hf.__all__) == set(score_hf._HOMES)


def test_first_use_tells_the_auto_classes():
    code = """
from score_hf import ScoreConfig
from transformers import AutoConfig, AutoModelForInstanceSegmentation, AutoModel
from transformers import AutoImageProcessor, AutoProcessor
from transformers import AutoModelForImageSegmentation, AutoModelForUniversalSegmentation
import score_hf
assert type(AutoConfig.for_model("score")) is ScoreConfig
for auto in (AutoModel, AutoModelForInstanceSegmentation, AutoModelForImageSegmentation,
             AutoModelForUniversalSegmentation):
    assert auto._model_mapping[ScoreConfig] is score_hf.ScoreForInstanceSegmentation
from transformers import IMAGE_PROCESSOR_MAPPING, PROCESSOR_MAPPING
assert IMAGE_PROCESSOR_MAPPING[ScoreConfig]["torchvision"] is score_hf.ScoreImageProcessor
assert PROCESSOR_MAPPING[ScoreConfig] is score_hf.ScoreProcessor
print("registered")
"""
    assert run_python(code) == "registered"


def test_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="score-hf")
    assert command.value == "score_hf.cli:app"


def test_bundled_model_names_those_there_are():
    with pytest.raises(ValueError, match="`name` must be a model that comes with score_hf") as info:
        bundled_model("score-huge")
    assert all(name in str(info.value) for name in bundled_models())


@pytest.mark.parametrize("name", bundled_models())
def test_bundled_model_is_a_folder_to_load_from(name):
    folder = bundled_model(name)
    assert str(limits_of(folder)).startswith(name) and limits_of(folder.name) is None
    assert (folder / "config.json").is_file()
    assert (folder / "model.safetensors").is_file()


def test_every_sample_picture_has_its_attribution():
    pictures = sample_pictures()
    assert [path.name for path in pictures] == ["drawn_scene.png", "usgs_storage_tanks.png"]
    attribution = (pictures[0].parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(path.name in attribution for path in pictures)
