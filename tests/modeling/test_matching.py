from itertools import permutations

import pytest
import torch

from score_hf.modeling import matching
from score_hf.modeling.matching import ScoreMatcher, sample_at
from tests.tiny import tiny_config


def slow_cost(logits, masks, labels, classes, points):
    """Cost of each (query, object), written out."""
    probabilities = logits.softmax(-1)
    cost = torch.zeros(len(logits), len(labels))
    for q in range(len(logits)):
        for o in range(len(labels)):
            x = sample_at(masks[q : q + 1], points)[0]
            y = sample_at(labels[o : o + 1], points)[0]
            entropy = torch.nn.functional.binary_cross_entropy_with_logits(x, y)
            p = x.sigmoid()
            dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
            cost[q, o] = 2 * -probabilities[q, classes[o]] + 5 * entropy + 5 * dice
    return cost


def test_sampling_reads_bilinearly_with_zeros_outside():
    maps = torch.arange(6.0).view(1, 2, 3)
    # Centres of the pixels (0, 0) and (1, 2), the middle of all, and the corner.
    points = torch.tensor([[[1 / 6, 1 / 4], [5 / 6, 3 / 4], [0.5, 0.5], [0.0, 0.0]]])
    torch.testing.assert_close(sample_at(maps, points), torch.tensor([[0.0, 5.0, 2.5, 0.0]]))
    both = sample_at(maps.expand(2, -1, -1), points.expand(2, -1, -1))
    torch.testing.assert_close(both, sample_at(maps.expand(2, -1, -1), points))


def test_the_assignment_is_the_cheapest_of_all(monkeypatch):
    torch.manual_seed(0)
    matcher = ScoreMatcher(tiny_config())
    points = torch.rand(1, 64, 2)
    monkeypatch.setattr(matcher, "draw_points", lambda device: points)
    logits, masks = torch.randn(1, 4, 4), torch.randn(1, 4, 8, 8)
    labels, classes = (torch.rand(3, 16, 16) > 0.5).float(), torch.tensor([0, 2, 2])
    ((queries, objects),) = matcher(logits, masks, [labels], [classes])
    cost = slow_cost(logits[0], masks[0], labels, classes, points)
    cheapest = min(sum(cost[q, o] for o, q in enumerate(qs)) for qs in permutations(range(4), 3))
    assert sorted(objects.tolist()) == [0, 1, 2]
    torch.testing.assert_close(cost[queries, objects].sum(), cheapest)


def test_an_image_without_objects_matches_nothing():
    labels, classes = torch.zeros(0, 16, 16), torch.zeros(0, dtype=torch.int64)
    matcher = ScoreMatcher(tiny_config())
    ((queries, objects),) = matcher(
        torch.randn(1, 4, 4), torch.randn(1, 4, 8, 8), [labels], [classes]
    )
    assert queries.shape == objects.shape == (0,)


def test_more_objects_than_queries_leaves_objects_out():
    labels, classes = torch.ones(5, 16, 16), torch.zeros(5, dtype=torch.int64)
    ((queries, objects),) = ScoreMatcher(tiny_config())(
        torch.randn(1, 2, 4), torch.randn(1, 2, 8, 8), [labels], [classes]
    )
    assert sorted(queries.tolist()) == [0, 1] and len(set(objects.tolist())) == 2


def test_a_mask_that_is_not_a_number_fits_nothing():
    masks = torch.zeros(1, 3, 8, 8)
    masks[0, 0] = float("nan")
    ((queries, _),) = ScoreMatcher(tiny_config())(
        torch.zeros(1, 3, 4), masks, [torch.ones(2, 16, 16)], [torch.tensor([0, 1])]
    )
    assert sorted(queries.tolist()) == [1, 2]


def test_matching_without_scipy_says_what_to_install(monkeypatch):
    monkeypatch.setattr(matching, "is_scipy_available", lambda: False)
    with pytest.raises(ImportError, match="pip install scipy"):
        ScoreMatcher(tiny_config())(torch.randn(1, 2, 4), torch.randn(1, 2, 8, 8), [], [])
