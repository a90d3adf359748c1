import pytest
import torch

from score_hf.drawn_scenes import DRAWN_VOCABULARY, draw_scene
from score_hf.training.drawn_batches import CLASS_NAMES, FIRST_TRAINING_SEED, DrawnBatches
from score_hf.training.tiny_architecture import tiny_processor


@pytest.fixture(scope="module")
def processor():
    return tiny_processor()


def batches(processor, **changes):
    options = {
        "batch_size": 2,
        "size": 64,
        "templates": 2,
        "first_step": 0,
        "last_step": 5,
        **changes,
    }
    return DrawnBatches(processor, **options)


def test_a_step_always_draws_the_same_batch(processor):
    first, second = batches(processor).draw(1), batches(processor).draw(1)
    assert torch.equal(first["pixel_values"], second["pixel_values"])
    assert torch.equal(first["input_ids"], second["input_ids"])


def test_labels_are_those_of_the_scene(processor):
    inputs = batches(processor).draw(1)
    scene = draw_scene(FIRST_TRAINING_SEED + 2, 64)
    assert [CLASS_NAMES[i] for i in inputs["class_labels"][0]] == scene.class_names
    assert torch.equal(inputs["mask_labels"][0].bool(), torch.from_numpy(scene.masks))


def test_every_fourth_batch_is_larger_and_smaller_in_number(processor):
    shapes = [tuple(inputs["pixel_values"].shape[::2]) for inputs in batches(processor)]
    assert shapes == [(2, 64), (2, 64), (2, 64), (1, 128), (2, 64)]


def test_processes_draw_different_scenes(processor):
    drawn = [
        batches(processor, process=process, num_processes=2).draw(step)["pixel_values"]
        for step in (0, 1)
        for process in (0, 1)
    ]
    for index, pixels in enumerate(drawn):
        assert not any(torch.equal(pixels, other) for other in drawn[index + 1 :])


def test_there_is_one_name_with_each_template_for_every_class(processor):
    inputs = batches(processor).draw(0)
    assert inputs["input_ids"].shape[0] == 2 * len(DRAWN_VOCABULARY)
    assert inputs["class_ids"].tolist() == list(range(len(DRAWN_VOCABULARY)))
    prompts = processor.tokenizer.batch_decode(inputs["input_ids"], skip_special_tokens=True)
    for index, synonyms in enumerate(DRAWN_VOCABULARY.values()):
        used = {name for name in synonyms if name in prompts[2 * index]}
        assert used
        assert any(name in prompts[2 * index + 1] for name in used)
