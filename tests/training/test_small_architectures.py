import pytest
import torch

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor, bundled_model
from score_hf.training.recipe import load_recipe
from score_hf.training.small_architectures import start_small, start_tiny


@pytest.mark.parametrize(
    ("start", "fewest", "most"), [(start_tiny, 2e6, 5e6), (start_small, 8e6, 12.5e6)]
)
def test_configuration_and_processor_fit(start, fewest, most):
    config, processor = start()
    model = ScoreForInstanceSegmentation(config).eval()
    assert fewest < model.num_parameters() < most
    inputs = processor(
        images=torch.zeros(3, 64, 96, dtype=torch.uint8), classes=["ship"], return_tensors="pt"
    )
    assert inputs["pixel_values"].shape == (1, 3, 64, 96)
    assert model(**inputs).class_queries_logits.shape == (1, 100, 2)


def test_the_shipped_tiny_model_reads_the_same_words():
    shipped = ScoreProcessor.from_pretrained(bundled_model("score-tiny")).tokenizer
    assert start_tiny()[1].tokenizer.get_vocab() == shipped.get_vocab()


def test_names_of_the_aerial_recipe_are_known_words():
    tokenizer = start_small()[1].tokenizer
    for names in load_recipe("small_aerial").data.class_names.values():
        for name in names.split(", "):
            assert len(tokenizer.tokenize(name)) == len(name.split()), name
