from itertools import permutations

import pytest
import torch
from torch.nn import functional

from score_hf.modeling import matching
from score_hf.modeling.matching import ScoreMatcher, pairwise_cross_entropy, pairwise_dice
from score_hf.modeling.point_sampling import ScorePoints, sample_at
from tests.tiny import tiny_config


def match(logits, masks, labels, classes):
    points = ScorePoints(tiny_config(), torch.device("cpu"), seeds=list(range(len(labels))))
    return ScoreMatcher(tiny_config())(logits, masks, labels, classes, points)


def slow_cost(logits, masks, labels, classes, points):
    """Cost of each (query, object), written out."""
    probabilities = logits.softmax(-1)
    cost = torch.zeros(len(logits), len(labels))
    for q in range(len(logits)):
        for o in range(len(labels)):
            x = sample_at(masks[None, q : q + 1], points[None])[0, 0]
            y = sample_at(labels[None, o : o + 1], points[None])[0, 0]
            entropy = functional.binary_cross_entropy_with_logits(x, y)
            p = x.sigmoid()
            dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
            cost[q, o] = 2 * -probabilities[q, classes[o]] + 5 * entropy + 5 * dice
    return cost


def test_the_assignment_is_the_cheapest_of_all_in_each_image_and_prediction():
    torch.manual_seed(0)
    counts = [3, 1, 0, 4]
    logits = [torch.randn(4, 4, 4) for _ in range(2)]
    masks = [torch.randn(4, 4, 8, 8) for _ in range(2)]
    labels = [(torch.rand(count, 16, 16) > 0.5).float() for count in counts]
    classes = [torch.randint(3, (count,)) for count in counts]
    matches = match(logits, masks, labels, classes)
    assert matches.counts == counts
    assert matches.queries.shape == matches.objects.shape == (2, 8)
    points = ScorePoints(tiny_config(), torch.device("cpu"), seeds=[0, 1, 2, 3])
    for prediction in range(2):
        drawn = points.for_matching(prediction, 4)
        for image, count in enumerate(counts):
            queries, objects = (one[prediction] for one in matches.of(image))
            assert sorted(objects.tolist()) == list(range(count))
            cost = slow_cost(
                logits[prediction][image],
                masks[prediction][image],
                labels[image],
                classes[image],
                drawn[image],
            )
            cheapest = min(
                sum(cost[q, o] for o, q in enumerate(qs)) for qs in permutations(range(4), count)
            )
            torch.testing.assert_close(
                cost[queries, objects].sum(), torch.as_tensor(cheapest) + 0.0
            )


@pytest.mark.parametrize(("queries", "objects", "points"), [(1, 1, 1), (5, 3, 17), (300, 40, 64)])
def test_pairwise_costs_are_those_written_out(queries, objects, points):
    torch.manual_seed(0)
    predicted = 30 * torch.randn(2, queries, points, dtype=torch.float64)
    target = torch.rand(2, objects, points, dtype=torch.float64)
    wide = predicted[:, :, None].expand(-1, -1, objects, -1)
    entropy = functional.binary_cross_entropy_with_logits(
        wide, target[:, None].expand_as(wide), reduction="none"
    ).mean(-1)
    torch.testing.assert_close(
        pairwise_cross_entropy(predicted, target), entropy, atol=1e-7, rtol=1e-7
    )
    p = wide.sigmoid()
    overlap = (p * target[:, None]).sum(-1)
    dice = 1 - (2 * overlap + 1) / (p.sum(-1) + target.sum(-1)[:, None] + 1)
    torch.testing.assert_close(pairwise_dice(predicted, target), dice)


def test_more_objects_than_queries_leaves_objects_out():
    matches = match(
        [torch.randn(1, 2, 4)],
        [torch.randn(1, 2, 8, 8)],
        [torch.ones(5, 16, 16)],
        [torch.zeros(5, dtype=torch.int64)],
    )
    assert matches.counts == [2]
    assert sorted(matches.queries[0].tolist()) == [0, 1] and len(set(matches.objects[0])) == 2


def test_a_mask_that_is_not_a_number_fits_nothing():
    masks = torch.zeros(1, 3, 8, 8)
    masks[0, 0] = float("nan")
    labels = [torch.ones(2, 16, 16)]
    matches = match([torch.zeros(1, 3, 4)], [masks], labels, [torch.tensor([0, 1])])
    assert sorted(matches.queries[0].tolist()) == [1, 2]


def test_matching_without_scipy_says_what_to_install(monkeypatch):
    monkeypatch.setattr(matching, "is_scipy_available", lambda: False)
    with pytest.raises(ImportError, match="pip install scipy"):
        match([torch.randn(1, 2, 4)], [torch.randn(1, 2, 8, 8)], [], [])
