import pytest
import torch

from score_hf.modeling.mask_decoder import ScoreMaskDecoder, _attention_mask, form_masks
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
    every = decoder(*features, output_attentions=True)
    assert len(every.mask_embeddings) == len(every.queries) == 5
    for layer, weights in enumerate(every.cross_attentions):
        size = (2, 4, 8)[layer % 3]
        full = form_masks(every.mask_embeddings[layer], features[0])
        masks = torch.nn.functional.interpolate(full, (size, size), mode="bilinear").flatten(2)
        clear = masks.abs() > 1e-4
        inside = (masks >= 0) | ~(masks >= 0).any(-1, keepdim=True)
        attended = weights > 0
        assert torch.equal((attended & clear[:, None]).any(1), inside & clear)
    for weights in every.attentions:
        assert weights.shape == (2, 4, 8, 8)


@torch.no_grad()
def test_masks_are_products_of_query_and_features(decoder, features):
    every = decoder(*features, output_hidden_states=True)
    for hidden, queries, embeddings in zip(
        every.hidden_states, every.queries, every.mask_embeddings, strict=True
    ):
        normed = decoder.norm(hidden)
        torch.testing.assert_close(queries, normed)
        expected = torch.einsum("bqc,bchw->bqhw", decoder.mask_mlp(normed), features[0])
        torch.testing.assert_close(form_masks(embeddings, features[0]), expected)


def test_an_empty_mask_attends_everywhere():
    masks = torch.tensor([[[-1.0, 2.0, 0.0, -3.0], [-1.0, -2.0, -0.1, -3.0]]])
    attend = _attention_mask(masks, torch.eye(4).view(1, 4, 2, 2))
    assert attend.tolist() == [[[[False, True, True, False], [True, True, True, True]]]]
