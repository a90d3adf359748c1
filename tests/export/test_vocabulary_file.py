import numpy as np
import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.export.vocabulary_file import encode_vocabulary, write_vocabulary
from tests.tiny import TINY_CLASSES, tiny_config, tiny_processor


def test_file_holds_what_the_model_encodes(tiny_model, tmp_path):
    classes = ["ship", "oil tank, storage tank", "pier"]
    processor = tiny_processor()
    names, classifier = encode_vocabulary(tiny_model, processor, classes)
    write_vocabulary(names, classifier, tmp_path / "classes.npz")
    arrays = dict(np.load(tmp_path / "classes.npz"))
    assert arrays.pop("names").tolist() == names == ["ship", "oil tank", "pier"]
    assert arrays["class_ids"].tolist() == [0, 1, 1, 2]
    assert arrays["seen_classes"].tolist() == [True, True, False]
    expected = tiny_model.build_classifier(**processor.tokenize_classes(classes))
    assert set(arrays) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(torch.from_numpy(arrays[name]), tensor)


def test_stored_vocabulary(tiny_model):
    names, classifier = encode_vocabulary(tiny_model, tiny_processor(), None)
    assert names == list(TINY_CLASSES)
    torch.testing.assert_close(classifier.embeddings, tiny_model.stored_embeddings)


def test_no_vocabulary_at_all():
    model = ScoreForInstanceSegmentation(tiny_config(stored_synonyms=0))
    with pytest.raises(ValueError, match="`classes` must name what to look for"):
        encode_vocabulary(model, tiny_processor(), None)
