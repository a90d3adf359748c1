import warnings

import numpy as np
import pytest
import torch

from score_hf import ScoreImageProcessor, ScoreProcessor
from score_hf.processing.prompts import TEMPLATES
from tests.tiny import TINY_VOCABULARY_SIZE, tiny_processor, tiny_tokenizer


@pytest.fixture(scope="module")
def processor():
    return tiny_processor()


def picture(height=40, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_tiny_tokenizer_spells_everything():
    tokenizer = tiny_tokenizer()
    assert len(tokenizer) == TINY_VOCABULARY_SIZE
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (598, 599)
    assert tokenizer.tokenize("aerial photo of the storage tank") == [
        "aerial</w>",
        "photo</w>",
        "of</w>",
        "the</w>",
        "storage</w>",
        "tank</w>",
    ]
    ids = tokenizer("déjà vu 船")["input_ids"]
    assert ids[0] == 598
    assert ids.index(599) == len(ids) - 1


def test_class_names_become_prompts_in_every_template(processor):
    features = processor.tokenize_classes(["ship", "Oil-tank, storage_tank"])
    assert features["class_ids"].tolist() == [0, 1, 1]
    assert features["seen_classes"].tolist() == [True, True]
    assert features["seen_classes"].dtype == torch.bool
    assert features["input_ids"].shape == features["attention_mask"].shape
    assert len(features["input_ids"]) == 3 * 18
    for row, (name, template) in zip(
        features["input_ids"],
        [(n, t) for n in ("ship", "oil tank", "storage tank") for t in TEMPLATES],
        strict=True,
    ):
        expected = processor.tokenizer(template.replace("{}", name))["input_ids"]
        assert row[: len(expected)].tolist() == expected
        assert set(row[len(expected) :].tolist()) <= {processor.tokenizer.pad_token_id}


def test_prompts_are_padded_to_the_longest_only(processor):
    mask = processor.tokenize_classes(["ship", "storage tank"])["attention_mask"]
    assert mask.sum(1).max() == mask.shape[1] < 20


def test_the_user_can_give_templates():
    templates = ["a {} from above"]
    own = ScoreProcessor(ScoreImageProcessor(), tiny_tokenizer(), templates=templates)
    assert len(own.tokenize_classes(["ship", "harbor"])["input_ids"]) == 2
    own.templates = ["none"]
    with pytest.raises(ValueError, match=r"`templates\[0\]`"):
        own.tokenize_classes(["ship"])
    with pytest.raises(ValueError, match="`templates` is empty"):
        ScoreProcessor(ScoreImageProcessor(), tiny_tokenizer(), templates=[])


def test_without_a_training_vocabulary_no_class_is_seen():
    processor = ScoreProcessor(ScoreImageProcessor(), tiny_tokenizer())
    assert processor.seen_classes is None
    assert processor.tokenize_classes(["ship"])["seen_classes"].tolist() == [False]


def test_images_and_classes_together(processor):
    features = processor(images=[picture(), picture(64, 64)], classes=["ship"], return_tensors="pt")
    assert sorted(features) == sorted(processor.model_input_names)
    assert features["pixel_values"].shape == (2, 3, 64, 96)
    assert len(features["input_ids"]) == 18


def test_either_alone(processor):
    assert set(processor(images=picture())) == {"pixel_values", "pixel_mask"}
    features = processor(classes=["ship"], return_tensors="np")
    assert set(features) == {"input_ids", "attention_mask", "class_ids", "seen_classes"}
    assert all(isinstance(value, np.ndarray) for value in features.values())
    assert isinstance(processor(classes=["ship"])["input_ids"], list)


def test_finished_prompts(processor):
    features = processor(text=["a ship at sea", "harbor"], return_tensors="pt")
    assert len(features["input_ids"]) == 2
    assert features["class_ids"].tolist() == [0, 1]
    # Only a prompt that is nothing but the name is recognised.
    assert features["seen_classes"].tolist() == [False, False]
    assert len(processor(text="ship")["input_ids"]) == 1


def test_objects_are_passed_on(processor):
    masks = np.zeros((1, 40, 50), bool)
    masks[0, :10, :10] = True
    annotation = {"masks": masks, "class_labels": [0]}
    labels = processor(images=picture(), annotations=annotation)["mask_labels"]
    assert labels[0].shape == (1, 64, 96)
    by_map = processor(
        images=picture(),
        segmentation_maps=masks[0].astype(np.uint8),
        instance_id_to_semantic_id={1: 0},
        ignore_index=0,
    )["mask_labels"]
    assert torch.equal(by_map[0], labels[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "got neither"),
        ({"classes": ["ship"], "text": ["ship"]}, ValueError, "got both"),
        ({"classes": "ship"}, TypeError, "`classes` must be a list"),
        ({"classes": []}, ValueError, "`classes` is empty"),
        ({"classes": ["ship", ""]}, ValueError, r"`classes\[1\]`"),
        ({"classes": ["ship", "Ship"]}, ValueError, "'ship' twice"),
        ({"text": [3]}, TypeError, "`text`"),
        ({"text": 3}, TypeError, "`text`"),
        ({"text": []}, ValueError, "`text`"),
        ({"text": [" "]}, ValueError, "`text`"),
        ({"classes": ["ship"], "annotations": []}, ValueError, "need their `images`"),
        ({"images": []}, ValueError, "`images` is empty"),
    ],
)
def test_bad_calls_are_named(processor, arguments, error, message):
    with pytest.raises(error, match=message):
        processor(**arguments)


def test_a_long_name_is_cut_off_with_a_warning(processor):
    with pytest.warns(UserWarning, match="class 'x{59}…' makes.*only the first 77") as caught:
        features = processor.tokenize_classes(["ship", "x" * 100])
    assert len(caught) == 1
    assert features["input_ids"].shape[1] == 77
    assert features["input_ids"][-1, -1] == processor.tokenizer.eos_token_id
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        processor.tokenize_classes(["x" * 60])


def test_bad_training_vocabulary_is_named():
    for names, error in (("ship", TypeError), ([], ValueError), (["a", "A"], ValueError)):
        with pytest.raises(error, match="`seen_classes`"):
            ScoreProcessor(ScoreImageProcessor(), tiny_tokenizer(), seen_classes=names)


def test_saving_and_loading(tmp_path, processor):
    processor.save_pretrained(tmp_path)
    loaded = ScoreProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert loaded.seen_classes == ["ship", "storage tank, oil tank"]
    arguments = {"images": picture(), "classes": ["ship"], "return_tensors": "pt"}
    for name, value in processor(**arguments).items():
        assert torch.equal(loaded(**arguments)[name], value)


@pytest.mark.parametrize("name", ["no/such/folder", "nowhere"])
def test_an_unknown_folder_is_named(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = f"`pretrained_model_name_or_path` is '{name}', which is no folder here"
    with pytest.raises(OSError, match=message) as told:
        ScoreProcessor.from_pretrained(name)
    assert "\n" not in str(told.value)


def test_post_processing_is_that_of_the_image_processor(processor):
    outputs = {
        "class_queries_logits": torch.randn(1, 4, 3),
        "masks_queries_logits": torch.randn(1, 4, 16, 16),
    }
    image_processor = processor.image_processor
    [own] = processor.post_process_instance_segmentation(outputs, threshold=0.0)
    [its] = image_processor.post_process_instance_segmentation(outputs, threshold=0.0)
    assert torch.equal(own["masks"], its["masks"])
    own = processor.post_process_panoptic_segmentation(outputs)[0]["segmentation"]
    its = image_processor.post_process_panoptic_segmentation(outputs)[0]["segmentation"]
    assert torch.equal(own, its)
    own = processor.post_process_semantic_segmentation(outputs)[0]
    assert torch.equal(own, image_processor.post_process_semantic_segmentation(outputs)[0])
    image_processor.max_detections = 1
    try:
        [few] = processor.post_process_instance_segmentation(outputs, threshold=0.0)
        assert len(few["scores"]) == 1
    finally:
        image_processor.max_detections = 300
