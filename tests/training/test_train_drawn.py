import json
import sys

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("scipy")

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.training import train_drawn

ARGUMENTS = ["--steps", "4", "--batch-size", "1", "--size", "64", "--checkpoint-every", "2"]


def train(monkeypatch, folder, *more):
    monkeypatch.setattr(sys, "argv", ["train", "--output", str(folder), *ARGUMENTS, *more])
    train_drawn.main()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        train(monkeypatch, folder)
    return folder


def test_the_saved_model_loads_in_float32_with_its_vocabulary(undisturbed):
    model = ScoreForInstanceSegmentation.from_pretrained(undisturbed / "model")
    processor = ScoreProcessor.from_pretrained(undisturbed / "model")
    assert model.dtype == torch.float32
    assert model.config.id2label[4] == "storage tank"
    assert model.stored_seen_classes.all()
    classes = processor.tokenize_classes(["oil tank", "windmill"])
    assert classes["seen_classes"].tolist() == [True, False]
    outputs = model(torch.zeros(1, 3, 64, 64))
    assert outputs.class_queries_logits.shape == (1, 100, 13)


def test_the_saved_folder_holds_half_precision_and_no_code(undisturbed):
    weights = load_file(undisturbed / "model" / "model.safetensors")
    assert weights["class_head.pool_projection.weight"].dtype == torch.float16
    assert not list((undisturbed / "model").glob("*.py"))
    assert "auto_map" not in (undisturbed / "model" / "config.json").read_text()


def test_a_resumed_run_ends_like_an_undisturbed_one(undisturbed, tmp_path, monkeypatch):
    saved = train_drawn.save_checkpoint

    def save_and_stop(accelerator, folder, step):
        saved(accelerator, folder, step)
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(train_drawn, "save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(interrupted, tmp_path)
    assert json.loads((tmp_path / "checkpoint" / "step.json").read_text()) == {"step": 2}
    train(monkeypatch, tmp_path, "--resume")

    expected = load_file(undisturbed / "checkpoint" / "model.safetensors")
    resumed = load_file(tmp_path / "checkpoint" / "model.safetensors")
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=1e-6, msg=name)


def test_learning_rate_rises_then_falls_to_zero():
    factors = [train_drawn.learning_rate_factor(step, 10, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors.index(max(factors)) in (9, 10)
    assert factors[-1] == pytest.approx(0.0)


def test_vectors_and_embeddings_do_not_decay():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Embedding(4, 2)
    )
    decayed, rest = train_drawn.parameter_groups(model, 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 3)]
    assert decayed["weight_decay"] == 0.1
    assert len(rest["params"]) == 4
    assert rest["weight_decay"] == 0
