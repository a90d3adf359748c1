import math

import pytest
import torch

from score_hf.evaluation.vocabulary import (
    average_by_seen,
    make_vocabulary,
    read_names,
    read_training_names,
)
from tests.evaluation.made_sets import NAMES, instance_set, write_set
from tests.tiny import tiny_processor


def test_seen_classes_share_a_name_with_any_training_class():
    vocabulary = make_vocabulary(
        ["Storage_Tank", "boat", "pier"],
        ["oil-tank", "boat, ship", "pier"],
        ["storage tank, OIL TANK", "ship"],
        ["harbor", "storage tank"],
    )
    assert vocabulary.seen == (True, True, False)
    assert vocabulary.ensemble_as_seen == [True, True, False, False, True]


def test_unknown_training_classes():
    vocabulary = make_vocabulary(["ship"], None, None, ["water"])
    assert vocabulary.prompts == ("ship",) and vocabulary.seen is None
    assert vocabulary.ensemble_as_seen == [False, False]


def test_classifier_has_prompts_then_extra_names(tiny_model):
    vocabulary = make_vocabulary(["a", "b"], ["ship, boat", "pier"], ["pier"], ["car"])
    with torch.no_grad():
        classifier = vocabulary.encode(tiny_model, tiny_processor())
        tokens = tiny_processor().tokenize_classes(["ship, boat", "pier", "car"])
        expected = tiny_model.build_classifier(**tokens)
    assert torch.equal(classifier.embeddings, expected.embeddings)
    assert classifier.class_ids.tolist() == [0, 0, 1, 2]
    # By the names given, not by what the processor says it was trained on.
    assert classifier.seen_classes.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "names, prompts, extra, message",
    [
        (["a", "b"], ["ship"], [], "`prompts` must have one entry for each of the 2 classes"),
        (["a", "b"], ["ship", "SHIP"], [], "`prompts` holds 'ship' twice"),
        (["a", "b"], None, ["B"], "`prompts` holds 'b' twice"),
    ],
)
def test_names_that_do_not_fit(names, prompts, extra, message):
    with pytest.raises(ValueError, match=message):
        make_vocabulary(names, prompts, None, extra)


def test_training_names_of_a_dataset_and_of_a_file(tmp_path):
    folder = write_set(tmp_path / "set", instance_set(1))
    assert read_training_names(str(folder)) == list(NAMES)
    path = tmp_path / "names.txt"
    path.write_text("ship\nstorage tank | oil tank, harbor\n")
    assert read_training_names(str(path)) == ["ship", "storage tank, oil tank", "harbor"]


def test_files_without_names(tmp_path):
    with pytest.raises(ValueError, match=r"`names` must be .* no '.*nothing\.txt'"):
        read_names(tmp_path / "nothing.txt", "names")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="`names` must name at least one class"):
        read_names(tmp_path / "empty.txt", "names")
    (tmp_path / "latin.txt").write_bytes("Mühle".encode("latin-1"))
    with pytest.raises(ValueError, match=r"`names` must be a text file in UTF-8, but '.*latin"):
        read_names(tmp_path / "latin.txt", "names")
    with pytest.raises(ValueError, match=r"`--seen-from` .* is neither a folder"):
        read_training_names(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "seen, expected",
    [
        ([True, False, False, False], (0.2, 0.6, 0.3)),
        ([True, True, True, True], (0.4, None, None)),
        ([False, False, True, False], (None, 0.4, None)),
        (None, (None, None, None)),
    ],
)
def test_means_of_seen_and_unseen_classes(seen, expected):
    means = average_by_seen({"a": 0.2, "b": 0.6, "c": None, "d": None}, seen)
    for value, wanted in zip(means.values(), expected, strict=True):
        assert value is None if wanted is None else math.isclose(value, wanted)


def test_harmonic_mean_of_two_zeros():
    assert average_by_seen({"a": 0.0, "b": 0.0}, [True, False])["harmonic_mean"] == 0
