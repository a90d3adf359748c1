import pytest
import torch

from score_hf.modeling.mask_decoder import ScoreMaskDecoder, _attention_mask
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    config = tiny_config(num_hidden_layers=4)
    config._attn_implementation = "eager"
    return ScoreMaskDecoder(config).eval()


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(1)
    return torch.randn(2, 32, 16, 16), [torch.randn(2, 32, size, size) for size in (2, 4, 8)]


@torch.no_grad()
def test_queries_attend_where_the_full_mask_resized_is_not_negative(decoder, features):
    """The decoder resizes features, not masks: the same, as both are linear."""
    every = decoder(*features, every_prediction=True, output_attentions=True)
    assert len(every.mask_logits) == len(every.queries) == 5
    for layer, weights in enumerate(every.cross_attentions):
        size = (2, 4, 8)[layer % 3]
        masks = torch.nn.functional.interpolate(
            every.mask_logits[layer], (size, size), mode="bilinear"
        ).flatten(2)
        clear = masks.abs() > 1e-4
        inside = (masks >= 0) | ~(masks >= 0).any(-1, keepdim=True)
        attended = weights > 0
        assert torch.equal((attended & clear[:, None]).any(1), inside & clear)
    for weights in every.attentions:
        assert weights.shape == (2, 4, 8, 8)


@torch.no_grad()
def test_the_last_prediction_does_not_depend_on_the_others(decoder, features):
    every = decoder(*features, every_prediction=True)
    last = decoder(*features, every_prediction=False)
    assert len(last.mask_logits) == len(last.queries) == 1
    assert torch.equal(last.mask_logits[0], every.mask_logits[-1])
    assert torch.equal(last.queries[0], every.queries[-1])


@torch.no_grad()
def test_masks_are_products_of_query_and_features(decoder, features):
    every = decoder(*features, every_prediction=True, output_hidden_states=True)
    for hidden, queries, masks in zip(
        every.hidden_states, every.queries, every.mask_logits, strict=True
    ):
        normed = decoder.norm(hidden)
        torch.testing.assert_close(queries, normed)
        expected = torch.einsum("bqc,bchw->bqhw", decoder.mask_mlp(normed), features[0])
        torch.testing.assert_close(masks, expected)


def test_an_empty_mask_attends_everywhere():
    masks = torch.tensor([[-1.0, 2.0, 0.0, -3.0], [-1.0, -2.0, -0.1, -3.0]]).view(1, 2, 2, 2)
    attend = _attention_mask(masks)
    assert attend.tolist() == [[[[False, True, True, False], [True, True, True, True]]]]
