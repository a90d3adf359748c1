import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from score_hf.modeling.loss_score import (
    MaskFactors,
    ScoreCriterion,
    count_objects,
    fit_mask_labels,
    repeated_draws,
)
from score_hf.modeling.matching import ScoreMatches
from score_hf.modeling.point_sampling import ScorePoints, sample_at
from tests.tiny import make_inputs, make_labels, tiny_config

REPOSITORY = Path(__file__).parents[2]


def predictions(count=3, queries=4):
    torch.manual_seed(0)
    classes = tuple(torch.randn(2, queries, 4, requires_grad=True) for _ in range(count))
    masks = tuple(torch.randn(2, queries, 16, 16, requires_grad=True) for _ in range(count))
    return classes, masks


def labels():
    made = make_labels(tiny_config(), 2)
    return made["mask_labels"], made["class_labels"]


def test_losses_are_those_written_out(monkeypatch):
    """With all points fixed, against loops over images, objects and points."""
    config = tiny_config(num_points=8, oversample_ratio=2, importance_sample_ratio=0.5)
    criterion = ScoreCriterion(config)
    (class_logits,), (mask_logits,) = predictions(count=1)
    mask_labels, class_labels = labels()
    pairs = [
        (torch.tensor([3]), torch.tensor([0])),
        (torch.tensor([0, 2]), torch.tensor([1, 0])),
    ]
    matches = ScoreMatches([1, 2], torch.tensor([[3, 0, 2]]), torch.tensor([[0, 1, 0]]))
    points = ScorePoints(config, torch.device("cpu"))
    drawn = torch.rand(3, 16 + 4, 2)
    monkeypatch.setattr(points, "for_losses", lambda prediction, counts: drawn)
    monkeypatch.setattr(criterion, "matcher", lambda *arguments: matches)
    monkeypatch.setattr(criterion, "_points", lambda device, seeds: points)
    total, losses = criterion((class_logits,), (mask_logits,), mask_labels, class_labels)

    entropy, dice, number = 0.0, 0.0, 0
    for image, (queries, objects) in enumerate(pairs):
        for query, thing in zip(queries, objects, strict=True):
            mask, label = mask_logits[image, query], mask_labels[image][thing]
            candidates, rest = drawn[number].split([16, 4])
            logits = sample_at(mask[None, None], candidates[None])[0, 0]
            chosen = torch.cat((candidates[logits.abs().argsort()[:4]], rest))[None]
            x, y = (sample_at(one[None, None], chosen)[0, 0] for one in (mask, label))
            p = x.sigmoid()
            entropy += functional.binary_cross_entropy_with_logits(x, y)
            dice += 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
            number += 1
    weighted, weights = 0.0, 0.0
    for image, (queries, objects) in enumerate(pairs):
        matched = dict(zip(queries.tolist(), objects.tolist(), strict=True))
        for query in range(4):
            target = int(class_labels[image][matched[query]]) if query in matched else 3
            weight = 0.1 if target == 3 else 1.0
            weighted -= weight * class_logits[image, query].log_softmax(-1)[target]
            weights += weight
    torch.testing.assert_close(losses["loss_mask"], (entropy / number).detach())
    torch.testing.assert_close(losses["loss_dice"], (dice / number).detach())
    torch.testing.assert_close(losses["loss_class"], (weighted / weights).detach())
    expected = 2 * losses["loss_class"] + 5 * losses["loss_mask"] + 5 * losses["loss_dice"]
    torch.testing.assert_close(total.detach(), expected)


def test_every_prediction_is_measured_and_learns():
    classes, masks = predictions()
    total, losses = ScoreCriterion(tiny_config())(classes, masks, *labels())
    assert set(losses) == {
        f"loss_{kind}{suffix}" for kind in ("class", "mask", "dice") for suffix in ("", "_0", "_1")
    }
    total.backward()
    assert all(tensor.grad.abs().max() > 0 for tensor in (*classes, *masks))


def test_a_batch_without_objects_only_learns_that_there_are_none():
    classes, masks = predictions()
    nothing = [torch.zeros(0, 64, 64)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2
    total, losses = ScoreCriterion(tiny_config())(classes, masks, *nothing)
    total.backward()
    assert losses["loss_mask"] == losses["loss_dice"] == 0
    assert classes[0].grad.abs().max() > 0
    assert masks[0].grad.abs().max() == 0, "a gradient of zero, so that processes stay in step"


@pytest.mark.parametrize("objects", [True, False])
def test_a_gradient_reaches_what_masks_are_products_of(objects):
    """Through the matched masks alone, which is all the gradient that there is."""
    torch.manual_seed(0)
    classes, _ = predictions()
    embeddings = tuple(torch.randn(2, 4, 8, requires_grad=True) for _ in range(3))
    features = torch.randn(2, 8, 16, 16, requires_grad=True)
    masks = tuple(torch.einsum("bqc,bchw->bqhw", one, features) for one in embeddings)
    given = labels() if objects else ([torch.zeros(0, 64, 64)] * 2, [torch.zeros(0).long()] * 2)
    gradients = []
    for factors in (None, MaskFactors(embeddings, features)):
        with repeated_draws(torch.device("cpu")):
            total, _ = ScoreCriterion(tiny_config())(classes, masks, *given, factors=factors)
        leaves = (*embeddings, features)
        gradients.append(torch.autograd.grad(total, leaves, retain_graph=True))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
    assert (gradients[0][0].abs().max() > 0) == objects


def test_evaluations_draw_the_same_points_and_leave_chance_alone():
    classes, masks = predictions()
    criterion = ScoreCriterion(tiny_config())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    totals = []
    for _ in range(2):
        with repeated_draws(torch.device("cpu")):
            totals.append(criterion(classes, masks, *labels())[0])
    assert torch.equal(*totals)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(criterion(classes, masks, *labels())[0], totals[0])


def test_masks_are_padded_as_the_input():
    mask_labels, class_labels = labels()
    cut = [masks[:, :50, :40] for masks in mask_labels]
    padded = fit_mask_labels(cut, class_labels, torch.zeros(2, 3, 50, 40), 3)
    assert [masks.shape for masks in padded] == [(1, 64, 64), (2, 64, 64)]
    assert torch.equal(padded[1][:, :50, :40], cut[1])
    assert padded[1][:, 50:].abs().max() == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda masks, classes: (masks[:1], classes),
            "one tensor for each of 2 images, got 1 and 2",
        ),
        (
            lambda masks, classes: (masks, classes[:1]),
            "one tensor for each of 2 images, got 2 and 1",
        ),
        (
            lambda masks, classes: ([masks[0], masks[1][:1]], classes),
            r"`mask_labels\[1\]` must be of shape \(2, 64, 64\).* got \(1, 64, 64\)",
        ),
        (
            lambda masks, classes: ([masks[0][:, :60], masks[1]], classes),
            r"`mask_labels\[0\]` must be of shape \(1, 64, 64\).* got \(1, 60, 64\)",
        ),
        (
            lambda masks, classes: (masks, [classes[0], torch.tensor([2, 3])]),
            r"`class_labels\[1\]` must be int64 .* 0 to 2, got \[2, 3\]",
        ),
        (
            lambda masks, classes: (masks, [classes[0] - 9, classes[1]]),
            r"`class_labels\[0\]` must be .* got \[-",
        ),
        (
            lambda masks, classes: (masks, [classes[0].byte(), classes[1]]),
            r"`class_labels\[0\]` must be .* of torch.uint8",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(change, message):
    pixels = make_inputs(tiny_config(), 2)["pixel_values"]
    with pytest.raises(ValueError, match=message):
        fit_mask_labels(*change(*labels()), pixels, 3)


def test_objects_are_counted_and_at_least_one():
    device = torch.device("cpu")
    assert count_objects([torch.zeros(2), torch.zeros(5)], device) == 7
    assert count_objects([torch.zeros(0)], device) == 1


PROCESS = """
import sys

import torch
from score_hf.modeling.loss_score import count_objects
from score_hf import ScoreForInstanceSegmentation
from tests.tiny import make_inputs, make_labels, tiny_config

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
)
# 6 and 10 objects: both must divide by 8, so that the mean of their gradients is the batch's.
assert count_objects([torch.zeros(6 + 4 * rank)], torch.device("cpu")) == 8

config = tiny_config(region_dropout=0, num_points=2000, region_kernel="fixed")
torch.manual_seed(0)
model = ScoreForInstanceSegmentation(config).train()
inputs, labels = make_inputs(config, 2), make_labels(config, 2)
mine = slice(rank, rank + 1)
batch = {name: value[mine] for name, value in (inputs | labels).items()}
losses = model(**batch).losses
shared = torch.stack([losses["loss_mask"], losses["loss_dice"]])
torch.distributed.all_reduce(shared)
if rank == 0:
    torch.save(shared / 2, f"{folder}/shared")
torch.distributed.destroy_process_group()
"""


def test_two_processes_normalise_by_the_objects_of_both(tmp_path):
    """Losses averaged over processes are those of the whole batch in one (up to chance points)."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path)],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors
    shared = torch.load(tmp_path / "shared")

    from score_hf import ScoreForInstanceSegmentation

    config = tiny_config(region_dropout=0, num_points=2000, region_kernel="fixed")
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(config).train()
    losses = model(**make_inputs(config, 2), **make_labels(config, 2)).losses
    whole = torch.stack([losses["loss_mask"], losses["loss_dice"]])
    torch.testing.assert_close(shared, whole, rtol=0.03, atol=0)
