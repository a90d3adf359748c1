import pytest
import torch
from torch import nn

from score_hf import ScoreForInstanceSegmentation
from score_hf.training.parameters import (
    WeightAverage,
    freeze_unreached,
    learning,
    learning_rate_factor,
    parameter_groups,
    set_kernel_apart,
    set_learning_rate,
)
from score_hf.training.recipe import OptimizerRecipe, ScheduleRecipe
from tests.tiny import make_inputs, make_labels, tiny_config


@pytest.mark.parametrize(("decay_vectors", "without"), [(True, 3), (False, 4)])
def test_norms_and_embeddings_do_not_decay(decay_vectors, without):
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Embedding(4, 2), nn.Linear(2, 2))
    model[3].requires_grad_(False)
    recipe = OptimizerRecipe(weight_decay=0.1, decay_vectors=decay_vectors)
    decayed, rest = parameter_groups(model, recipe)
    assert decayed["weight_decay"] == 0.1 and rest["weight_decay"] == 0
    assert len(decayed["params"]) == 5 - without and len(rest["params"]) == without


def test_the_rate_falls_at_its_milestones():
    recipe = ScheduleRecipe()
    factors = [learning_rate_factor(step, 100, recipe) for step in (0, 89, 90, 94, 95, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_rate_rises_then_falls_to_zero():
    recipe = ScheduleRecipe(kind="cosine", warmup_steps=10)
    factors = [learning_rate_factor(step, 100, recipe) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors.index(max(factors)) in (9, 10)
    assert factors[-1] == pytest.approx(0.0)
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    set_learning_rate(optimizer, 0.3)
    assert optimizer.param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize("kernel", ["learned", "fixed"])
def test_all_that_learns_has_a_gradient_but_the_chosen_kernel(kernel):
    """Otherwise `DistributedDataParallel` would wait for it."""
    config = tiny_config(frozen_trunks=False, region_kernel=kernel, kernel_learning_calls=0)
    model = ScoreForInstanceSegmentation(config).train()
    freeze_unreached(model)
    model.general_trunk.head.requires_grad_(False)
    model.general_trunk.logit_scale.requires_grad_(False)
    set_kernel_apart(model)
    inputs, labels = make_inputs(config, 2), make_labels(config, 2)
    prompts = {
        "input_ids": torch.tensor([[598, i, 599] for i in range(3)]),
        "attention_mask": torch.ones(3, 3, dtype=torch.int64),
    }
    model(**inputs, **labels, **prompts).loss.backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    ignored = model._ddp_params_and_buffers_to_ignore
    assert idle == (ignored if kernel == "learned" else [])
    assert len(learning(model.parameters())) < len(list(model.parameters()))


def test_the_running_mean_follows_what_learns():
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    first = model.weight.detach().clone()
    average = WeightAverage(model, decay=0.75)
    with torch.no_grad():
        model.weight += 4
    average.update(model)
    assert average.state_dict().keys() == {"weight"}

    average.swap(model)
    torch.testing.assert_close(model.weight.detach(), first + 1)
    average.swap(model)
    torch.testing.assert_close(model.weight.detach(), first + 4)
    other = WeightAverage(nn.Linear(2, 1).requires_grad_(True), decay=0.75)
    other.load_state_dict({"weight": first, "bias": torch.zeros(1)})
    assert torch.equal(other.means["weight"], first)
