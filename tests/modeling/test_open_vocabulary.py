import pytest
import torch

from score_hf.modeling.open_vocabulary import class_logits, ensemble_vocabularies

SEEN = torch.tensor([True, False, True])


def test_the_best_synonym_speaks_for_its_class():
    torch.manual_seed(0)
    embeddings, rows = torch.randn(2, 4, 8), torch.randn(6, 8)
    class_ids = torch.tensor([2, 0, 1, 0, 2])
    logits = class_logits(embeddings, rows, class_ids, 3, torch.tensor(1.5))
    unit = embeddings / embeddings.norm(dim=-1, keepdim=True)
    similarities = torch.tensor(1.5).exp() * unit @ rows.T
    expected = torch.stack(
        [
            similarities[..., [1, 3]].amax(-1),
            similarities[..., 2],
            similarities[..., [0, 4]].amax(-1),
            similarities[..., 5],
        ],
        dim=-1,
    )
    torch.testing.assert_close(logits, expected)
    each = class_logits(embeddings, rows.expand(2, -1, -1), class_ids, 3, torch.tensor(1.5))
    torch.testing.assert_close(each, expected)


def test_the_scale_is_at_most_100_and_has_no_gradient_there():
    scale = torch.tensor(9.0, requires_grad=True)
    rows = torch.eye(3)
    logits = class_logits(torch.eye(3)[None], rows, torch.tensor([0, 1]), 2, scale)
    assert logits.max() == 100
    logits.sum().backward()
    assert scale.grad == 0


def test_the_ensemble_is_the_geometric_mean_of_probabilities():
    torch.manual_seed(0)
    inside, outside = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    found = ensemble_vocabularies(inside, outside, SEEN, alpha=0.4, beta=0.8)

    p, q = inside[..., :-1].softmax(-1), outside[..., :-1].softmax(-1)
    share = torch.tensor([0.4, 0.8, 0.4])
    mixed = (p ** (1 - share) * q**share).log().softmax(-1)
    void = inside.softmax(-1)[..., -1:]
    expected = torch.cat((mixed * (1 - void), void), -1)
    torch.testing.assert_close(found.exp(), expected)
    torch.testing.assert_close(found.softmax(-1), expected)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.4), (0.0, 1.0), (1, 0)])
def test_probabilities_that_underflow_stay_numbers(alpha, beta):
    inside = torch.tensor([[[300.0, -300.0, 0.0, -300.0]]], requires_grad=True)
    found = ensemble_vocabularies(inside, inside.flip(-1), SEEN, alpha, beta)
    assert found.isfinite().all()
    found.sum().backward()
    assert inside.grad.isfinite().all()


def test_without_weight_the_ensemble_is_in_vocabulary():
    inside, outside = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    found = ensemble_vocabularies(inside, outside, SEEN, alpha=0, beta=0)
    torch.testing.assert_close(found.exp(), inside.softmax(-1), atol=1e-6, rtol=1e-5)


def test_half_precision_logits_are_mixed_in_single_precision():
    found = ensemble_vocabularies(
        torch.randn(1, 2, 4).half(), torch.randn(1, 2, 4).half(), SEEN, 0.4, 0.8
    )
    assert found.dtype == torch.float32
