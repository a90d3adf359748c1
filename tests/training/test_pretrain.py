import json

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState

from score_hf import ScoreForInstanceSegmentation
from score_hf.training import pretrain as script
from score_hf.training.pretraining_recipe import (
    PRETRAINING_RECIPES,
    load_pretraining_recipe,
)
from score_hf.training.recipe_files import recipe_names
from tests.training.prepared_set import write_drawn_set
from tests.training.test_image_text_pairs import write_captions


@pytest.fixture(autouse=True)
def own_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def pretrain(recipe, output, **options):
    folder = script.pretrain(recipe, output, **options)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return ScoreForInstanceSegmentation.from_pretrained(folder).state_dict(), rows


def recipe_for(tmp_path, *changes):
    training = tmp_path / "training.yaml"
    training.write_text("base: drawn\ntrackers: []\nmodel: {config: {region_layers: 1}}\n")
    return load_pretraining_recipe(
        "small_aerial",
        [
            f"training={training}",
            f"dataset={tmp_path / 'set'}",
            f"captions={tmp_path / 'captions'}",
            "steps=12",
            "batch_size=8",
            "image_size=32",
            "log_every=1",
            "checkpoint_every=4",
            "warmup_steps=0",
            *changes,
        ],
    )


def test_pairs_with_one_label_fit_one_another():
    embeddings = torch.eye(3)[[0, 0, 1]]
    scale = torch.tensor(5.0)
    fitting = script.contrast(embeddings, embeddings, scale, torch.tensor([4, 4, 7]))
    # Half for each of the two, which no scale can better.
    torch.testing.assert_close(fitting, 2 / 3 * torch.tensor(2.0).log())
    wrong = script.contrast(embeddings, embeddings.flip(0), scale, torch.tensor([4, 4, 7]))
    assert wrong > fitting + 10


def test_a_run_learns_goes_on_and_leaves_a_model_to_start_from(tmp_path):
    write_drawn_set(tmp_path / "set")
    write_captions(tmp_path / "captions")

    whole, rows = pretrain(recipe_for(tmp_path), tmp_path / "whole")
    first, last = (sum(row["loss"] for row in part) for part in (rows[:3], rows[-3:]))
    assert len(rows) == 12 and last < first
    assert all(row["loss"] == row["loss_general"] + row["loss_context"] for row in rows)

    # The schedule is that of 12 steps; a run is stopped by a step that fails.
    stopped = tmp_path / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        advance = script.RunLog.advance
        calls = iter(range(100))

        def stop(log):
            advance(log)
            if next(calls) == 5:
                raise KeyboardInterrupt

        patch.setattr(script.RunLog, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            script.pretrain(recipe_for(tmp_path), stopped)
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(ValueError, match="holds a run already"):
        script.pretrain(recipe_for(tmp_path), stopped)
    again, rows_again = pretrain(recipe_for(tmp_path), stopped, resume=True)
    assert [row["step"] for row in rows_again] == list(range(1, 13))
    for name, tensor in whole.items():
        torch.testing.assert_close(again[name], tensor, msg=name)


@pytest.mark.parametrize("name", recipe_names(PRETRAINING_RECIPES))
def test_every_recipe_of_the_package_is_valid(name):
    recipe = load_pretraining_recipe(name, ["dataset=somewhere"])
    assert recipe.training_recipe().data.dataset == "somewhere"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("image_size=50", "`recipe.image_size` must be a positive multiple of 32, but is 50"),
        ("caption_share=1.5", "`recipe.caption_share` must be between 0 and 1, but is 1.5"),
        ("steps=0", "`recipe.steps` must be positive, but is 0"),
        ("step=1", "`recipe` has no field 'step'; did you mean 'steps'?"),
    ],
)
def test_recipes_that_cannot_be_are_told(change, message):
    with pytest.raises(ValueError, match=message):
        load_pretraining_recipe("small_aerial", [change])


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("base: drawn\nmodel: {config: {frozen_trunks: true}}", "train its trunks"),
        ("base: drawn\nmodel: {config: {global_context: none, region_context: none}}", "must have"),
    ],
)
def test_models_without_trunks_to_train_are_told(tmp_path, training, message):
    write_drawn_set(tmp_path / "set", images=1)
    file = tmp_path / "other.yaml"
    file.write_text(training)
    recipe = recipe_for(tmp_path, f"training={file}", "captions=null")
    with pytest.raises(ValueError, match=message):
        script.pretrain(recipe, tmp_path / "run")
