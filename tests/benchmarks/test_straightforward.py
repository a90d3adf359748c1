"""The model's training step equals the straightforward one: losses and gradients."""

import pytest
import torch
from torch import nn

from benchmarks.straightforward import straightforward_losses
from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.loss_score import sum_class_weights
from score_hf.modeling.text_classifier import ScoreClassifier
from score_hf.modeling.training_step import ScoreTrainingStep, drawn_from
from tests.tiny import tiny_config


def build(queries, hard):
    torch.manual_seed(0)
    config = tiny_config(region_dropout=0.0, num_queries=queries, kernel_learning_calls=99)
    model = ScoreForInstanceSegmentation(config).double().train()
    with torch.no_grad():
        for parameter in model.parameters():
            # New offsets are whole pixels, where the gradient of sampling jumps.
            parameter += 0.02 * torch.randn_like(parameter)
    if hard:
        model.region_integration.formation.calls.fill_(99)
    return model


def vocabulary(classes):
    return ScoreClassifier(
        embeddings=nn.functional.normalize(torch.randn(classes, 32, dtype=torch.float64), dim=-1),
        class_ids=torch.arange(classes),
        seen_classes=torch.ones(classes, dtype=torch.bool),
    )


def draw_labels(counts, classes, height, width):
    mask_labels = []
    for count in counts:
        masks = torch.zeros(count, height, width)
        for mask in masks:
            row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
            mask[row : row + 20, column : column + 30] = 1
        mask_labels.append(masks)
    return mask_labels, [torch.randint(classes, (count,)) for count in counts]


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(
    ("size", "counts", "queries", "classes"),
    [
        ((64, 64), [3, 1], 8, 3),
        ((71, 45), [2], 8, 3),
        ((33, 96), [2, 0], 8, 1),
        ((64, 64), [1, 2], 1, 3),
        ((64, 64), [0, 0], 8, 3),
        ((40, 40), [9, 2], 4, 1000),
    ],
    ids=["plain", "odd size", "one class", "one query", "no objects", "1,000 classes"],
)
def test_the_training_step_is_the_straightforward_one(size, counts, queries, classes, hard):
    model = build(queries, hard)
    formation = model.region_integration.formation
    calls = int(formation.calls)
    pixels = torch.randn(len(counts), 3, *size, dtype=torch.float64)
    mask_labels, class_labels = draw_labels(counts, classes, *size)
    classifier, seeds = vocabulary(classes), list(range(len(counts)))
    weights = sum(sum_class_weights(count, queries, 0.1) for count in counts)
    step = ScoreTrainingStep(sum(counts), weights, image_seeds=seeds)

    def losses(fast):
        if not fast:
            return straightforward_losses(
                model, pixels, classifier, mask_labels, class_labels, seeds
            )
        outputs = model(
            pixel_values=pixels,
            classifier=classifier,
            mask_labels=mask_labels,
            class_labels=class_labels,
            step=step,
        )
        return outputs.loss, outputs.losses

    found = []
    for fast in (True, False):
        formation.calls.fill_(calls)
        model.zero_grad()
        with drawn_from(7, torch.device("cpu")):
            total, parts = losses(fast)
        total.backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        found.append((parts, gradients))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert ours.keys() == theirs.keys()
    for name, loss in theirs.items():
        torch.testing.assert_close(ours[name].double(), loss.double(), rtol=1e-5, atol=1e-6)
    assert our_gradients.keys() == their_gradients.keys()
    # Losses are measured in float32.
    largest = max(float(gradient.norm()) for gradient in their_gradients.values())
    for name, gradient in their_gradients.items():
        difference = float((our_gradients[name] - gradient).norm())
        assert difference <= 1e-5 * max(float(gradient.norm()), 1e-3 * largest), name
