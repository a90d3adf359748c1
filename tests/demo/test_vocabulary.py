from threading import Thread

import numpy as np
import pytest

from score_hf.demo.limits import Limits
from score_hf.demo.vocabulary import VocabularyCache, read_vocabulary

TRAINED = ["ship, boat", "harbor"]
SMALL = Limits(classes=3, names=5, name_length=10)


def test_classes_synonyms_and_seen_are_read():
    read = read_vocabulary("Ship | vessel; zebra\nHARBOR,", TRAINED, Limits())
    assert [(one.name, one.synonyms, one.seen) for one in read.classes] == [
        ("Ship", ("Ship", "vessel"), True),
        ("zebra", ("zebra",), False),
        ("HARBOR", ("HARBOR",), True),
    ]
    assert read.class_names == ["Ship, vessel", "zebra", "HARBOR"] and read.notice == ""


def test_nothing_is_claimed_of_a_model_that_does_not_say():
    assert read_vocabulary("ship", None, Limits()).classes[0].seen is None


def test_what_is_ignored_is_told():
    assert "The text has 1 empty name" in read_vocabulary("ship,, harbor", None, Limits()).notice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are no class names yet"),
        (" ,;|\n", "There are no class names yet"),
        ("a, b, c, d", "There are 4 classes, and this demo takes up to 3"),
        (
            "a | b | c, d | e | f",
            "There are 6 names with all synonyms, and this demo takes up to 5",
        ),
        ("a very long name", "The name 'a very long name' has 16 letters"),
        ("ship, Ship", "The class names hold 'ship' twice"),
        ("x" * 1000, "The class names are 1000 letters long; at most 150 work."),
        ("a, \u200b", "Class 2 is"),
    ],
)
def test_a_wrong_vocabulary_gives_a_sentence(text, message):
    with pytest.raises(ValueError) as caught:
        read_vocabulary(text, TRAINED, SMALL)
    assert message in str(caught.value) and "`classes" not in str(caught.value)


def encoder(made: list):
    def encode(names: list[str]):
        made.append(names)
        return {"embeddings": np.array([len(made)])}

    return encode


def test_the_same_content_is_encoded_once():
    cache, made = VocabularyCache(), []
    first = cache.get(read_vocabulary("Ship | Boat, harbor", None, Limits()), encoder(made))
    again = cache.get(read_vocabulary("ship|boat\nHarbor", TRAINED, Limits()), encoder(made))
    other = cache.get(read_vocabulary("harbor, ship|boat", None, Limits()), encoder(made))
    assert again is first and other is not first and len(made) == 2


def test_what_was_not_used_for_long_is_forgotten():
    cache, made = VocabularyCache(names=4), []
    texts = ["a, b", "c, d", "a, b", "e", "c, d", "a, b"]
    for text in texts:
        cache.get(read_vocabulary(text, None, Limits()), encoder(made))
    assert made == [["a", "b"], ["c", "d"], ["e"], ["c", "d"], ["a", "b"]]
    assert len(cache) == 2


def test_visitors_at_once_get_their_own():
    cache, got = VocabularyCache(names=50), {}

    def visit(name: str) -> None:
        vocabulary = read_vocabulary(name, None, Limits())
        for _ in range(50):
            found = cache.get(vocabulary, lambda names: {"names": np.array(names)})
            got.setdefault(name, set()).add(str(found["names"]))

    threads = [Thread(target=visit, args=(f"class {number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {f"class {n}": {f"['class {n}']"} for n in range(16)}
