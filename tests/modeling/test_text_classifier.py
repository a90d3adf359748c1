import pytest
import torch
from transformers import CLIPTextModelWithProjection

from score_hf.modeling import text_classifier
from score_hf.modeling.text_classifier import ScoreClassifier, as_classifier, encode_prompts
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return CLIPTextModelWithProjection(tiny_config().text_config).eval()


def prompts(count):
    torch.manual_seed(1)
    ids = torch.randint(0, 590, (count, 6))
    ids[:, 0], ids[:, -1] = 598, 599
    return ids


@torch.no_grad()
def test_a_name_is_the_normalised_mean_of_its_normalised_prompts(tower):
    ids = prompts(6)
    found = encode_prompts(tower, ids, None, synonyms=2)
    for name in range(2):
        mean = torch.zeros(32)
        for template in range(3):
            embedding = tower(input_ids=ids[name * 3 + template][None]).text_embeds[0]
            mean += embedding / embedding.norm() / 3
        torch.testing.assert_close(found[name], mean / mean.norm())


@torch.no_grad()
def test_chunks_and_padding_change_nothing(tower, monkeypatch):
    ids = prompts(6)
    expected = encode_prompts(tower, ids, None, synonyms=6)
    padded = torch.nn.functional.pad(ids, (0, 3), value=599)
    mask = torch.nn.functional.pad(torch.ones_like(ids), (0, 3))
    monkeypatch.setattr(text_classifier, "PROMPT_CHUNK", 4)
    torch.testing.assert_close(encode_prompts(tower, padded, mask, synonyms=6), expected)


def test_a_tensor_is_one_unseen_class_a_row():
    classifier = as_classifier(torch.randn(3, 8), width=8)
    assert classifier.class_ids.tolist() == [0, 1, 2]
    assert classifier.seen_classes.tolist() == [False, False, False]


def a_classifier(**changes):
    fields = {
        "embeddings": torch.randn(3, 8),
        "class_ids": torch.tensor([0, 1, 1]),
        "seen_classes": torch.tensor([True, False]),
    }
    return ScoreClassifier(**{**fields, **changes})


@pytest.mark.parametrize(
    ("classifier", "error", "message"),
    [
        (torch.randn(3, 9), ValueError, r"shape \(classes, 8\), got \(3, 9\)"),
        (torch.randn(0, 8), ValueError, r"shape \(classes, 8\), got \(0, 8\)"),
        (torch.randn(8), ValueError, r"shape \(classes, 8\), got \(8,\)"),
        (["ship"], TypeError, "got list"),
        (a_classifier(class_ids=torch.tensor([0, 1])), ValueError, "3 embeddings but 2"),
    ],
)
def test_what_is_no_classifier_is_refused(classifier, error, message):
    with pytest.raises(error, match=f"`classifier`.*{message}"):
        as_classifier(classifier, width=8)


def test_a_classifier_moves_as_a_whole():
    moved = a_classifier(context_embeddings=torch.randn(3, 4)).to("meta")
    assert {name: tensor.device.type for name, tensor in moved.items()} == dict.fromkeys(
        ("embeddings", "class_ids", "seen_classes", "context_embeddings"), "meta"
    )
    assert a_classifier().to("cpu").context_embeddings is None
