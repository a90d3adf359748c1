"""The original's losses, matches and gradients along the training script's own way."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from score_hf.conversion.original_keys import to_original
from score_hf.data.loading import load_split
from score_hf.data.records import ImageRecord, ObjectRecord
from score_hf.training.batches import Collator, Spread, StoredBatches
from score_hf.training.parameters import parameter_groups
from score_hf.training.processes import share_step
from score_hf.training.recipe import OptimizerRecipe, load_recipe
from score_hf.training.samples import StoredSamples
from tests.parity import training
from tests.parity.golden import GoldenSet, input_images, unpack_masks
from tests.parity.network import build_model, build_processor
from tests.parity.report import Report
from tests.training.prepared_set import encode, write_records

FIXTURE = Path(__file__).parents[1] / "fixtures" / "parity"
WHOLE = Path(__file__).parents[2].parent / "shared" / "parity" / "A"


def write_golden_set(folder, golden, entries, names):
    """The pictures and objects of a golden as a prepared set."""
    records = []
    for index, image in enumerate(input_images(golden)):
        _, height, width = entries[f"gt.{index}.mask_shape"]
        masks = unpack_masks(golden[f"gt.{index}.masks_packed"], height, width)
        labels = golden[f"gt.{index}.labels"].tolist()
        objects = tuple(
            ObjectRecord(names[label], encode(mask.numpy()))
            for label, mask in zip(labels, masks, strict=True)
        )
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        records.append(ImageRecord(index, f"{index}.png", picture, width, height, objects))
    return write_records(folder, records, names)


def inputs_of(path, model, processor):
    """What the training script would give the model for this set."""
    rows = load_split(path, "train", cache_dir=path / "cache")
    samples = StoredSamples(rows, augmentation=None, skip_empty=True)
    recipe = load_recipe("isaid", [f"batch_size={len(samples)}"])
    spread = Spread(recipe.batch_size)
    batches = StoredBatches(samples, Collator(processor, recipe.seed), spread)
    # The goldens' order instead of a shuffled one.
    batches._order = (0, torch.arange(len(samples)).numpy())
    batch = batches[0]
    (step,) = share_step(Accelerator(cpu=True), model, recipe, spread, 0, [batch])
    # Points and noise are those that were recorded.
    step.seed = step.image_seeds = None
    return {**batch.inputs, "step": step}


@pytest.mark.parametrize(
    "folder",
    [
        FIXTURE,
        pytest.param(
            WHOLE, marks=pytest.mark.skipif(not WHOLE.is_dir(), reason="the whole set is not here")
        ),
    ],
)
def test_a_step_of_the_script_is_the_originals(folder, tmp_path, monkeypatch):
    golden, report = GoldenSet(folder), Report()
    for seed in golden.seeds:
        model = build_model(seed)

        def prepared(tensors, entries, processor, model=model, names=seed.names[0], seed=seed):
            path = tmp_path / f"{seed.name}-{entries['phase']}"
            write_golden_set(path, tensors, entries, names)
            return inputs_of(path, model, processor)

        monkeypatch.setattr(training, "training_inputs", prepared)
        training.check_training(seed, model, build_processor(seed), report)

    assert report.failed == 0, "\n".join(report.lines())
    for group in ("matches", "losses", "total loss", "gradients", "gradient norms"):
        assert report.groups[f"training: {group}"].checks > 0


def test_groups_decay_as_the_originals():
    (seed,) = GoldenSet(FIXTURE).seeds
    model = build_model(seed)
    groups = parameter_groups(model, OptimizerRecipe())
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    ours = to_original(
        {
            name: torch.tensor([decays.pop(id(parameter))])
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
    )
    assert not decays
    theirs = {name: decay for name, _, decay in seed.manifest["optimizer_groups"]}
    assert ours.keys() == theirs.keys()
    for name, decay in theirs.items():
        # Packed projections hold one entry a part.
        assert {round(value, 6) for value in ours[name].tolist()} == {decay}, name
