import torch

from score_hf.modeling.point_sampling import ScorePoints, sample_at
from tests.tiny import tiny_config

CPU = torch.device("cpu")


def test_sampling_reads_bilinearly_with_zeros_outside():
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    # Centres of the pixels (0, 0) and (1, 2), the middle of all, and the corner.
    points = torch.tensor([[[1 / 6, 1 / 4], [5 / 6, 3 / 4], [0.5, 0.5], [0.0, 0.0]]])
    expected = torch.tensor([[[0.0, 5.0, 2.5, 0.0]]])
    torch.testing.assert_close(sample_at(maps, points), expected)
    both = sample_at(maps.expand(2, 3, -1, -1), points.expand(2, -1, -1))
    torch.testing.assert_close(both, expected.expand(2, 3, -1))


def test_an_image_has_its_points_in_whatever_batch_it_is():
    config = tiny_config()
    batch, alone = ScorePoints(config, CPU, seeds=[4, 5]), ScorePoints(config, CPU, seeds=[5])
    for prediction in range(2):
        both, one = batch.for_matching(prediction, 2), alone.for_matching(prediction, 1)
        assert torch.equal(both[1:], one) and not torch.equal(both[:1], one)
        both, one = batch.for_losses(prediction, [2, 3]), alone.for_losses(prediction, [3])
        assert torch.equal(both[2:], one)


def test_no_two_draws_are_the_same():
    points = ScorePoints(tiny_config(), CPU, seeds=[4])
    draws = [
        draw
        for prediction in range(3)
        for draw in (points.for_matching(prediction, 1), points.for_losses(prediction, [1]))
    ]
    assert len({float(draw[0, 0, 0]) for draw in draws}) == 6


def test_the_most_uncertain_candidates_and_the_rest_are_kept():
    torch.manual_seed(0)
    config = tiny_config(num_points=8, oversample_ratio=2, importance_sample_ratio=0.5)
    points, masks = ScorePoints(config, CPU), torch.randn(3, 16, 16)
    drawn = points.for_losses(0, [1, 2])
    assert drawn.shape == (3, 16 + 4, 2)
    chosen = points.choose(masks, drawn)
    for mask, candidates, kept in zip(masks, drawn, chosen, strict=True):
        uncertainty = sample_at(mask[None, None], candidates[None, :16])[0, 0].abs()
        expected = candidates[uncertainty.argsort()[:4]]
        assert sorted(kept[:4].tolist()) == sorted(expected.tolist())
        assert torch.equal(kept[4:], candidates[16:])
    assert points.choose(masks[:0], points.for_losses(0, [0, 0])).shape == (0, 8, 2)
