"""One trained model is measured with either CLIP out of vocabulary (the paper's Table 6)."""

import json

import pytest
import torch
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation
from score_hf.cli import app
from score_hf.evaluation.context_text import borrow_context_text
from score_hf.evaluation.evaluator import evaluate_model
from tests.evaluation.made_sets import instance_set, write_set
from tests.tiny import tiny_config, tiny_processor


@pytest.fixture(scope="module")
def context_model():
    torch.manual_seed(1)
    return ScoreForInstanceSegmentation(tiny_config(out_of_vocabulary="context")).eval()


def predict(model, path, **options):
    options = {"alpha": 0.5, "beta": 0.5, "predictions_file": path, **options}
    figures = evaluate_model(model, tiny_processor(), instance_set(2), progress=False, **options)
    return figures["settings"]["out_of_vocabulary"], json.loads(path.read_text())


def trained_without_tower(context_model):
    plain = ScoreForInstanceSegmentation(tiny_config()).eval()
    own = plain.state_dict()
    shared = context_model.state_dict()
    plain.load_state_dict({name: shared[name] for name in own})
    return plain


def test_either_clip_scores_one_model(context_model, tmp_path):
    own = predict(context_model, tmp_path / "own.json")
    context = predict(context_model, tmp_path / "context.json", out_of_vocabulary="context")
    general = predict(context_model, tmp_path / "general.json", out_of_vocabulary="general")
    assert own == context != general
    assert (context[0], general[0]) == ("context", "general")
    assert context_model.config.out_of_vocabulary == "context"


def test_a_model_made_for_the_general_clip_borrows_the_other_text_tower(context_model, tmp_path):
    plain = trained_without_tower(context_model)
    for kind in ("general", "context"):
        expected = predict(context_model, tmp_path / "expected.json", out_of_vocabulary=kind)
        if kind == "context":
            borrow_context_text(plain, context_model)
        assert predict(plain, tmp_path / "plain.json", out_of_vocabulary=kind) == expected
    assert plain.config.out_of_vocabulary == "general"


def test_what_does_not_fit_is_not_borrowed(context_model, tiny_model):
    plain = trained_without_tower(context_model)
    with pytest.raises(ValueError, match="must be a model with the text tower"):
        borrow_context_text(plain, tiny_model)
    with pytest.raises(ValueError, match="its image trunk is another one"):
        borrow_context_text(tiny_model, context_model)
    baseline = tiny_config(region_context="none", global_context="none")
    with pytest.raises(ValueError, match="it was trained without context"):
        borrow_context_text(ScoreForInstanceSegmentation(baseline), context_model)


def test_one_folder_on_the_command_line(context_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = write_set(tmp_path / "made", instance_set(2))
    context_model.save_pretrained(tmp_path / "model")
    tiny_processor().save_pretrained(tmp_path / "model")
    trained_without_tower(context_model).save_pretrained(tmp_path / "trained")
    tiny_processor().save_pretrained(tmp_path / "trained")
    borrowing = ("--context-text-from", str(tmp_path / "model"))
    for name, kind, further in (
        ("model", "general", ()),
        ("model", "context", ()),
        ("trained", "context", borrowing),
    ):
        given = {
            "--model": tmp_path / name,
            "--dataset": folder,
            "--split": "val",
            "--output": tmp_path / f"{kind}.json",
            "--out-of-vocabulary": kind,
            "--device": "cpu",
        }
        arguments = [str(part) for pair in given.items() for part in pair]
        done = CliRunner().invoke(app, ["evaluate", *arguments, *further])
        assert done.exit_code == 0, done.output
        figures = json.loads((tmp_path / f"{kind}.json").read_text())
        assert figures["settings"]["out_of_vocabulary"] == kind


@pytest.mark.parametrize(
    "kind, message",
    [
        ("context", "no text tower of its remote-sensing CLIP"),
        ("both", "`out_of_vocabulary` must be general or context, got 'both'"),
    ],
)
def test_what_a_model_cannot_do(tiny_model, tmp_path, kind, message):
    with pytest.raises(ValueError, match=message):
        predict(tiny_model, tmp_path / "none.json", out_of_vocabulary=kind)
