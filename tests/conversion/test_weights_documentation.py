"""`docs/weights.md` says nothing that the commands do not know."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import typer.main

from score_hf import ScoreForInstanceSegmentation
from score_hf.cli import app
from score_hf.conversion.open_clip.source import PAPER_GENERAL
from tests.tiny import tiny_config, tiny_processor

DOCUMENT = (Path(__file__).parents[2] / "docs" / "weights.md").read_text()


def test_options_in_tables_exist():
    params = typer.main.get_command(app).commands["convert"].params  # type: ignore[attr-defined]
    known = {option for parameter in params for option in parameter.opts}
    named = set(re.findall(r"^\| `(--[a-z-]+)", DOCUMENT, re.MULTILINE))
    assert len(named) >= 3 and named <= known


def test_open_clip_knows_the_pairs():
    open_clip = pytest.importorskip("open_clip")
    pairs = {PAPER_GENERAL} | {
        pair
        for role in ("general", "context")
        for pair in re.findall(rf"--{role} (\S+) --{role}-weights (\w+)(?= )", DOCUMENT)
    }
    assert len(pairs) == 3
    for name, tag in pairs:
        assert tag in open_clip.list_pretrained_tags_by_model(name)


def test_the_decoder_of_another_model_goes_into_a_pair(tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    from score_hf.training.starting import start_model
    from score_hf.training.train import read_options, recipe_of

    monkeypatch.chdir(tmp_path)
    untrained = ["class_head", "mask_decoder", "pixel_decoder", "region_integration"]
    changes = {"model": {"untrained_parts": untrained}, "fcclip": {"region_context": "none"}}
    for seed, (name, change) in enumerate(changes.items()):
        torch.manual_seed(seed)
        ScoreForInstanceSegmentation(tiny_config(**change)).save_pretrained(name)
        tiny_processor().save_pretrained(name)
    (command,) = re.findall(r"-m score_hf\.training\.train (.*)", DOCUMENT)

    told = []
    model, _ = start_model(recipe_of(read_options(shlex.split(command))).model, told.append)

    assert told[-1].startswith("stays random: region_integration")
    pair, other = (
        ScoreForInstanceSegmentation.from_pretrained(name).state_dict() for name in changes
    )
    for name, tensor in model.state_dict().items():
        source = other if name.startswith(tuple(untrained)) else pair
        if not name.startswith("region_integration"):
            assert torch.equal(tensor, source[name]), name
