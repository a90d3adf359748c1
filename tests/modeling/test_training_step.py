import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.loss_score import ScoreCriterion, sum_class_weights
from score_hf.modeling.training_step import ScoreTrainingStep, drawn_from
from tests.tiny import make_inputs, make_labels, tiny_config

SEEDS = [5, 6, 7, 8]


def build(**changes):
    torch.manual_seed(0)
    config = tiny_config(region_dropout=0.0, kernel_learning_calls=7, **changes)
    return ScoreForInstanceSegmentation(config).train()


def step_of(labels, images, passes, number, config):
    counts = [len(classes) for classes in labels["class_labels"]]
    weights = sum(sum_class_weights(n, config.num_queries, 0.1) for n in counts)
    return ScoreTrainingStep(
        num_objects=sum(counts) / passes,
        class_weights=weights / passes,
        seed=3,
        image_seeds=SEEDS[images],
        first_pass=number == 0,
    )


def gradients_of_steps(model, passes, steps=3):
    """Gradients, losses and kernel's calls after each of some steps without an update."""
    inputs, labels = make_inputs(model.config, 4), make_labels(model.config, 4)
    found = []
    for _ in range(steps):
        model.zero_grad()
        total = 0.0
        for number in range(passes):
            images = slice(number * 4 // passes, (number + 1) * 4 // passes)
            batch = {name: value[images] for name, value in (inputs | labels).items()}
            step = step_of(labels, images, passes, number, model.config)
            loss = model(**batch, step=step).loss / passes
            loss.backward()
            total += loss.item()
        formation = model.region_integration.formation
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        found.append((total, int(formation.calls), int(formation.chosen), gradients))
    return found


@pytest.mark.parametrize("passes", [2, 4])
def test_a_step_is_the_same_in_any_number_of_passes(passes):
    whole, spread = gradients_of_steps(build(), 1), gradients_of_steps(build(), passes)
    # Three predictions a step: the kernel is chosen in the middle of the third step.
    assert [calls for _, calls, _, _ in whole] == [3, 6, 7]
    assert [chosen >= 0 for _, _, chosen, _ in whole] == [False, False, True]
    for (loss, *kernel, gradients), (other, *other_kernel, others) in zip(
        whole, spread, strict=True
    ):
        assert other == pytest.approx(loss, rel=1e-5)
        assert kernel == other_kernel
        assert gradients.keys() == others.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(others[name], gradient, rtol=1e-3, atol=1e-5)


def test_points_and_noise_come_from_the_step():
    model = build()
    inputs, labels = make_inputs(model.config, 4), make_labels(model.config, 4)
    step = step_of(labels, slice(0, 4), 1, 0, model.config)

    def loss():
        torch.rand(1)
        model.region_integration.formation.calls.fill_(0)
        return model(**inputs, **labels, step=step).loss.item()

    first = loss()
    assert loss() == first
    step.image_seeds = [9, 10, 11, 12]
    other_points = loss()
    step.seed = 4
    assert len({first, other_points, loss()}) == 3


def test_chance_outside_is_left_alone():
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    with drawn_from(4, torch.device("cpu")):
        torch.rand(100)
    assert torch.equal(torch.rand(3), expected)


def test_without_seeds_one_pass_is_as_without_a_step():
    """But for the class loss's normaliser, which is then the same."""
    criterion = ScoreCriterion(tiny_config())
    classes = (torch.randn(2, 8, 4),)
    masks = (torch.randn(2, 8, 16, 16),)
    labels = make_labels(tiny_config(), 2)
    step = ScoreTrainingStep(num_objects=3.0, class_weights=2 * 0.8 + 3 * 0.9)
    totals = []
    for arguments in ({}, {"step": step}):
        with drawn_from(1, torch.device("cpu")):
            totals.append(criterion(classes, masks, *labels.values(), **arguments)[0])
    torch.testing.assert_close(*totals)


def test_a_step_without_objects_divides_by_nothing():
    criterion = ScoreCriterion(tiny_config())
    classes = (torch.randn(1, 8, 4, requires_grad=True),)
    masks = (torch.randn(1, 8, 16, 16, requires_grad=True),)
    empty = [torch.zeros(0, 64, 64)], [torch.zeros(0, dtype=torch.int64)]
    step = ScoreTrainingStep(num_objects=0.0, class_weights=0.8, image_seeds=[1])
    total, losses = criterion(classes, masks, *empty, step=step)
    total.backward()
    assert losses["loss_mask"] == losses["loss_dice"] == 0 and total.isfinite()
    assert masks[0].grad.abs().max() == 0


def test_every_image_needs_a_seed():
    criterion = ScoreCriterion(tiny_config())
    step = ScoreTrainingStep(1.0, 1.0, image_seeds=[1, 2, 3])
    with pytest.raises(ValueError, match="a seed for each of 2 images in `image_seeds`, got 3"):
        criterion(
            (torch.randn(2, 8, 4),),
            (torch.randn(2, 8, 16, 16),),
            *make_labels(tiny_config(), 2).values(),
            step=step,
        )


@pytest.mark.parametrize(("objects", "expected"), [(0, 0.8), (3, 3.5), (8, 8.0), (20, 8.0)])
def test_class_weights_count_matched_queries_once(objects, expected):
    assert sum_class_weights(objects, 8, 0.1) == pytest.approx(expected)
