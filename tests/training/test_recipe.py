import json
from pathlib import Path

import pytest
import yaml

from score_hf.training.parameters import learning_rate_factor
from score_hf.training.recipe import Recipe, load_recipe
from score_hf.training.recipe_files import recipe_names
from score_hf.training.strict_fields import make_strictly
from score_hf.training.train import read_options, recipe_of

ORIGINAL = (
    Path(__file__).parents[2].parent / "shared" / "parity" / "A" / "preprocess_and_schedule.json"
)


def test_every_recipe_of_the_package_is_valid():
    assert {"isaid", "sior", "landdiscover", "drawn"} <= set(recipe_names())
    for name in recipe_names():
        assert isinstance(load_recipe(name), Recipe)


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="the original's settings are not at hand")
@pytest.mark.parametrize("name", ["isaid", "sior"])
def test_recipes_are_the_originals(name):
    original = json.loads(ORIGINAL.read_text())[f"configs/score_{name}_instance.yaml"]
    recipe = load_recipe(name)

    assert recipe.batch_size == original["ims_per_batch"]
    assert recipe.optimizer.weight_decay == original["weight_decay"]
    assert original["clip"] == ["full_model", recipe.optimizer.largest_gradient_norm]
    assert recipe.mixed_precision == ("fp16" if original["amp"] else "no")
    augmentation = recipe.data.augmentation
    assert augmentation.crop_size == original["augmentation"]["image_size"]
    assert list(augmentation.scale) == original["augmentation"]["scale"]
    for step, rate in original["lr_at_iter"]:
        factor = learning_rate_factor(step, recipe.steps, recipe.schedule)
        assert recipe.optimizer.learning_rate * factor == pytest.approx(rate), step
    assert recipe.steps == original["lr_at_iter"][-1][0] + 1


def test_a_variant_states_only_what_differs(tmp_path):
    (tmp_path / "base.yaml").write_text("base: sior\nmodel: {config: {global_context: none}}\n")
    (tmp_path / "variant.yaml").write_text("base: base.yaml\nmodel: {config: {alpha: 0.5}}\n")

    recipe = load_recipe(tmp_path / "variant.yaml", ["optimizer.learning_rate=1e-4", "seed=7"])

    assert recipe.steps == 293125
    assert recipe.model.config == {
        "global_context": "none",
        "alpha": 0.5,
        "beta": 0.8,
        "out_of_vocabulary": "general",
    }
    assert recipe.optimizer.learning_rate == 1e-4 and recipe.seed == 7
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(recipe.as_dict()))
    assert load_recipe(again) == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stepz=2", "`recipe` has no field 'stepz'; did you mean 'steps'?"),
        ("optimizer.wd=1", "`recipe.optimizer` has no field 'wd'; known are betas, decay_vectors"),
        ("data.agumentation=1", "did you mean 'augmentation'"),
        ("model.config.alfa=1", "`recipe.model.config` has no field 'alfa'; did you mean 'alpha'"),
        ("steps=many", "`recipe.steps` must be a whole number, but is 'many'"),
        ("steps=0", "`recipe.steps` must be positive, but is 0"),
        ("steps=true", "`recipe.steps` must be a whole number, but is True"),
        ("compile=1", "`recipe.compile` must be true or false, but is 1"),
        ("seed=1.5", "`recipe.seed` must be a whole number, but is 1.5"),
        ("optimizer.learning_rate=fast", "must be a number, but is 'fast'"),
        ("optimizer.betas=[0.9]", "`recipe.optimizer.betas` must have 2 entries"),
        ("mixed_precision=fp8", "must be one of no, bf16, fp16, but is 'fp8'"),
        ("data.augmentation.scale=[2, 1]", r"positive and rising, but is \[2.0, 1.0\]"),
        ("data.augmentation.flip=2", "`recipe.data.augmentation.flip` must be between 0 and 1"),
        ("data=4", "`recipe.data` must be a list of `name: value`, but got 4"),
        ("trackers=tensorboard", "`recipe.trackers` must be a list"),
        ("data.shuffle_buffer=0", "`recipe.data.shuffle_buffer` must be positive"),
        ("seed=-1", "`recipe.seed` must be from 0 to"),
        ("optimizer.learning_rate=.inf", "learning_rate` must be positive and finite, but is inf"),
        ("optimizer.learning_rate=.nan", "learning_rate` must be positive and finite, but is nan"),
        ("optimizer.weight_decay=-1", "`recipe.optimizer.weight_decay` must be 0 or more"),
        ("optimizer.betas=[0.9, 1]", r"`recipe.optimizer.betas` must be .* less than 1"),
        ("schedule.warmup_steps=-1", "`recipe.schedule.warmup_steps` must be 0 or more"),
        ("schedule.milestones=[90]", r"`recipe.schedule.milestones` must be between 0 and 1"),
        ("schedule.factor=10", "`recipe.schedule.factor` must be between 0 and 1"),
        ("evaluation.alpha=4", "`recipe.evaluation.alpha` must be between 0 and 1"),
        ("ema_decay=1", "`recipe.ema_decay` must be between 0 and 1"),
        ("data={", "A change must be `name=value` with a value in YAML, but got 'data={'"),
        ("steps", "A change must be of the form `name=value`, but got 'steps'"),
    ],
)
def test_what_is_unknown_or_wrong_is_told(change, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        load_recipe("isaid", [change])


def test_streams_cannot_replace_damaged_images():
    with pytest.raises(ValueError, match="damaged_images` must be 'stop'"):
        load_recipe("isaid", ["data.streaming=true", "data.damaged_images=skip"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1", "`recipe` must say its `steps`"),
        ("steps: [", "is no valid YAML"),
        ("- steps", "must be a list of `name: value`"),
        ("base: isaid\ndata: {split: a}\ndata: {workers: 1}", "no valid YAML: 'data' stands there"),
        ("base: recipe.yaml", "is based on itself"),
        ("steps: [" + "[" * 5000, "is no valid YAML"),
        ("? [a]\n: 1", "is no valid YAML"),
        ("data: !!timestamp x", "is no valid YAML"),
        ("seed: 2001-99-99", "is no valid YAML: month must be in 1..12"),
        ("data: &a {split: *a}", "it stands for more than 100,000 values"),
        (f"optimizer: {{learning_rate: {'9' * 400}}}", "must be a number"),
        ("base: isayd", "There is no recipe 'isayd': give a YAML file or one of drawn, isaid"),
    ],
)
def test_files_that_are_no_recipes_are_told(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes("base: isaid  # für später".encode("latin-1"))
    with pytest.raises(ValueError, match=r"recipe\.yaml' is no valid YAML: 'utf-8' codec"):
        load_recipe(path)


def test_a_bare_no_is_the_word():
    assert load_recipe("isaid", ["mixed_precision=no"]).mixed_precision == "no"


@pytest.mark.parametrize(
    ("given", "sources"),
    [([], ()), (["pair"], ("pair",)), (["pair", "other's"], ("pair", "other's"))],
)
def test_a_training_may_start_from_several_models(tmp_path, given, sources):
    options = [part for one in given for part in ("--init-from", one)]
    recipe = recipe_of(read_options(["isaid", "--output", str(tmp_path), *options]))

    assert recipe.model.sources == sources
    assert make_strictly(Recipe, recipe.as_dict(), "recipe") == recipe


def test_a_source_is_a_text_or_a_list_of_texts():
    with pytest.raises(ValueError, match=r"`recipe\.model\.init_from` must be a text, but is 3"):
        load_recipe("isaid", ["model.init_from=3"])
    with pytest.raises(ValueError, match=r"`recipe.model.init_from\[1\]` must be a text"):
        load_recipe("isaid", ["model.init_from=[a, 3]"])
