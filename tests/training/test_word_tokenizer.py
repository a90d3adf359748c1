from score_hf.drawn_scenes import DRAWN_VOCABULARY
from score_hf.processing.prompts import TEMPLATES
from score_hf.training.word_tokenizer import learn_merges, word_tokenizer


def drawn_tokenizer():
    return word_tokenizer([*TEMPLATES, *sum(DRAWN_VOCABULARY.values(), ())])


def test_merges_do_not_depend_on_the_order_of_words():
    words = ["tank", "storage", "tan", "stop", "oil"]
    assert learn_merges(words) == learn_merges(reversed(words))
    assert learn_merges(["ab"]) == [("a", "b</w>")]


def test_each_known_word_is_one_token():
    tokenizer = drawn_tokenizer()
    for names in DRAWN_VOCABULARY.values():
        for name in names:
            text = f"satellite imagery of the {name}."
            assert len(tokenizer.tokenize(text)) == len(text.split()) + 1


def test_unknown_words_are_spelled():
    tokenizer = drawn_tokenizer()
    ids = tokenizer("wind turbine déjà-vu")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "wind turbine déjà - vu"
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
