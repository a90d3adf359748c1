import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.training.context_cache import ContextCache
from tests.tiny import make_inputs, tiny_config


def build(**changes):
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(tiny_config(**changes)).eval()
    return model, make_inputs(model.config, 3)["pixel_values"]


def test_pictures_that_come_again_are_not_computed_again():
    model, pixels = build()
    calls = []
    model.context_trunk.vision_model.embeddings.register_forward_hook(
        lambda module, inputs, output: calls.append(len(inputs[0]))
    )
    with torch.no_grad():
        expected = model.context_trunk(pixels)
        cache = ContextCache(model.context_trunk, capacity=10)
        calls.clear()
        for order in ([0, 1], [1, 0, 2], [2, 2, 0]):
            context = model.context_trunk(pixels[order])
            for name, part in context.items():
                torch.testing.assert_close(part, expected[name][order])
    assert calls == [2, 1] and (cache.hits, cache.misses) == (5, 3)


def test_what_was_not_asked_for_the_longest_is_forgotten():
    model, pixels = build()
    cache = ContextCache(model.context_trunk, capacity=2)
    with torch.no_grad():
        for place in (0, 1, 0, 2, 0, 1):
            model.context_trunk(pixels[place : place + 1])
    assert (cache.hits, cache.misses) == (2, 4)


def test_another_layer_or_pixel_is_another_picture():
    model, pixels = build(region_context="intermediate")
    with torch.no_grad():
        expected = model(pixels).class_queries_logits
        cache = ContextCache(model.context_trunk, capacity=10)
        for _ in range(2):
            torch.testing.assert_close(model(pixels).class_queries_logits, expected)
        assert cache.misses == 3
        assert model.context_trunk(pixels).intermediate is None
        assert cache.misses == 6
        pixels[0, 0, 0, 0] += 1
        model.context_trunk(pixels)
    assert cache.misses == 7
