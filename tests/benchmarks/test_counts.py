"""What a forward pass and a training step do, counted: numbers that no busy machine changes.

A limit that is passed says that something became more work. If that is meant, measure what it costs
(`python -m benchmarks.inference`, `python -m benchmarks.training_step`) and raise the limit.
"""

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.straightforward import straightforward_losses
from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.text_classifier import ScoreClassifier
from score_hf.modeling.training_step import drawn_from
from tests.tiny import tiny_config

QUERIES, CLASSES, SIZE = 100, 12, 256


class CountWork(TorchDispatchMode):
    """Counts operators that make new tensors, and the bytes of these."""

    def __init__(self):
        super().__init__()
        self.operators = self.megabytes = 0

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        given = {storage_of(one) for one in tree_leaves((arguments, keywords)) if is_tensor(one)}
        made = operator(*arguments, **(keywords or {}))
        fresh = [
            one for one in tree_leaves(made) if is_tensor(one) and storage_of(one) not in given
        ]
        self.operators += bool(fresh)
        self.megabytes += sum(one.numel() * one.element_size() for one in fresh) / 1e6
        return made


def is_tensor(value):
    return isinstance(value, torch.Tensor)


def storage_of(tensor):
    return tensor.untyped_storage()._cdata


def build(num_hidden_layers=9):
    torch.manual_seed(0)
    config = tiny_config(num_queries=QUERIES, num_hidden_layers=num_hidden_layers, num_points=256)
    model = ScoreForInstanceSegmentation(config)
    # The kernel is chosen: the state of nearly all of a training, and of inference.
    formation = model.region_integration.formation
    formation.calls.fill_(formation.learning_calls)
    classifier = ScoreClassifier(
        embeddings=nn.functional.normalize(torch.randn(CLASSES, 32), dim=-1),
        class_ids=torch.arange(CLASSES),
        seen_classes=torch.ones(CLASSES, dtype=torch.bool),
    )
    return model, classifier


def count_inference(num_hidden_layers=9):
    model, classifier = build(num_hidden_layers)
    with torch.no_grad(), CountWork() as counted:
        model.eval()(pixel_values=torch.randn(1, 3, SIZE, SIZE), classifier=classifier)
    return counted


def count_step(straightforward):
    model, classifier = build()
    masks = torch.zeros(6, SIZE, SIZE)
    for number, mask in enumerate(masks):
        mask[10 * number : 10 * number + 20, 30:60] = 1
    inputs = {
        "pixel_values": torch.randn(2, 3, SIZE, SIZE),
        "mask_labels": [masks[:4], masks[4:]],
        "class_labels": [torch.arange(4), torch.arange(2)],
    }
    model.train()
    with drawn_from(1, torch.device("cpu")), CountWork() as counted:
        if straightforward:
            loss = straightforward_losses(model, classifier=classifier, **inputs)[0]
        else:
            loss = model(classifier=classifier, **inputs).loss
        loss.backward()
    return counted


def test_inference_stays_within_its_limits():
    counted = count_inference()
    # Measured: 1,107 and 51.1.
    assert 0 < counted.operators <= 1200
    assert 0 < counted.megabytes <= 56


def test_only_the_last_prediction_is_classified():
    few, many = (count_inference(num_hidden_layers=layers) for layers in (3, 9))
    # A layer needs attention over one level and its mask, but no class embeddings and no regions.
    assert (many.operators - few.operators) / 6 <= 40
    assert (many.megabytes - few.megabytes) / 6 <= 1.1


def test_a_training_step_stays_within_its_limits():
    ours, theirs = count_step(straightforward=False), count_step(straightforward=True)
    # Measured: 5,113 and 516 of 5,904 and 733.
    assert ours.operators <= min(5600, theirs.operators)
    assert ours.megabytes <= min(565, 0.75 * theirs.megabytes)
