"""The snippets of the documentation and the notebook are run."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from score_hf.cli import app
from score_hf.scenes import SceneSegmenter
from score_hf.scenes.vector_files import feature_table

from .drawn_rasters import boxes_raster

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scenes.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


@pytest.mark.skipif(find_spec("folium") is None, reason="needs folium")
def test_python_snippets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    boxes_raster(tmp_path / "port.tif")
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        exec(compile(snippet, str(PAGE), "exec"), {})
    assert (tmp_path / "roofs.gpkg").exists()


@pytest.mark.skipif(find_spec("folium") is None, reason="needs folium")
def test_the_notebook():
    notebook = json.loads((ROOT / "notebooks" / "whole_scene.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "whole_scene.ipynb", "exec"), names)
            assert cell["outputs"] == []
    assert sum(names["result"].counts.values()) == len(names["table"]) > 10
    assert isinstance(names["segmenter"], SceneSegmenter)


def test_all_options_and_attributes_are_known():
    text = PAGE.read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    known = {
        name
        for command in ("segment", "stitch", "info", "map")
        for one in commands[command].params
        for name in one.opts
    }
    # Those of torchrun and sbatch.
    others = {"--nproc-per-node", "--no-python", "--array"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - others <= known
    columns = set(feature_table([], 1, "").column_names) - {"geometry"}
    table = text.partition("| attribute | |")[2].partition("\n\n")[0]
    assert columns == {
        name
        for line in table.splitlines()
        for name in re.findall(r"`(\w+)`", line.partition("|")[2].partition("|")[0])
    }
