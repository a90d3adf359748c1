import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.drawn_scenes import DRAWN_VOCABULARY
from score_hf.training.tiny_architecture import (
    learn_merges,
    tiny_config,
    tiny_processor,
    tiny_tokenizer,
)


def test_merges_do_not_depend_on_the_order_of_words():
    words = ["tank", "storage", "tan", "stop", "oil"]
    assert learn_merges(words) == learn_merges(reversed(words))
    assert learn_merges(["ab"]) == [("a", "b</w>")]


def test_each_known_word_is_one_token():
    tokenizer = tiny_tokenizer()
    for names in DRAWN_VOCABULARY.values():
        for name in names:
            text = f"satellite imagery of the {name}."
            assert len(tokenizer.tokenize(text)) == len(text.split()) + 1


def test_unknown_words_are_spelled():
    tokenizer = tiny_tokenizer()
    ids = tokenizer("wind turbine déjà-vu")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "wind turbine déjà - vu"
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id


def test_configuration_and_processor_fit():
    processor = tiny_processor()
    model = ScoreForInstanceSegmentation(tiny_config(processor.tokenizer)).eval()
    assert 2e6 < model.num_parameters() < 5e6
    inputs = processor(
        images=torch.zeros(3, 64, 96, dtype=torch.uint8), classes=["ship"], return_tensors="pt"
    )
    assert inputs["pixel_values"].shape == (1, 3, 64, 96)
    assert model(**inputs).class_queries_logits.shape == (1, 100, 2)
