import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from score_hf import ScoreForInstanceSegmentation, Segmenter, segment
from score_hf.inference import NamedClass
from score_hf.loading import load_model
from score_hf.processing.coco_masks import decode_mask
from tests.tiny import TINY_CLASSES, tiny_config, tiny_processor


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def found(result) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    return result.instances["names"], result.instances["scores"], result.instances["boxes"]


def assert_same(one, other) -> None:
    assert found(one)[0] == found(other)[0]
    torch.testing.assert_close(found(one)[1], found(other)[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found(one)[2], found(other)[2])


def test_classes_are_named_by_their_first_synonym(segmenter):
    assert segmenter.classes == [
        NamedClass("ship", ("ship",), True),
        NamedClass("Storage_Tank", ("Storage_Tank", "fuel tank"), True),
    ]
    segmenter.set_classes(["bridge", "oil tank"])
    assert [entry.seen for entry in segmenter.classes] == [False, True]


def test_a_model_that_is_not_trained_says_so(tiny_model, monkeypatch):
    Segmenter(tiny_model, processor=tiny_processor())
    monkeypatch.setattr(tiny_model.config, "untrained_parts", ["class_head", "mask_decoder"])
    with pytest.warns(UserWarning, match="means nothing yet: .* in its class_head, mask_decoder"):
        Segmenter(tiny_model, processor=tiny_processor())


def test_seen_is_unknown_if_the_processor_does_not_say(tiny_model):
    processor = tiny_processor()
    processor.seen_classes = None
    assert Segmenter(tiny_model, ["ship"], processor=processor).classes[0].seen is None
    stored = Segmenter(tiny_model, processor=processor).classes
    assert [entry.seen for entry in stored] == [None] * len(TINY_CLASSES)


def test_stored_vocabulary_is_used_without_classes(tiny_model):
    segmenter = Segmenter(tiny_model, processor=tiny_processor())
    assert tuple(entry.name for entry in segmenter.classes) == TINY_CLASSES
    (result,) = segmenter.segment(noise(64, 64), threshold=0)
    assert set(result.instances["names"]) <= set(TINY_CLASSES)


def test_no_classes_and_none_stored():
    model = ScoreForInstanceSegmentation(tiny_config(stored_synonyms=0))
    with pytest.raises(ValueError, match="`classes` must name what to look for, got none"):
        Segmenter(model, processor=tiny_processor())


def test_a_slip_in_the_names_is_told_before_anything_is_loaded():
    for classes, error in (([], ValueError), (["ship", ""], ValueError), ("", TypeError)):
        with pytest.raises(error, match="`classes"):
            Segmenter("nobody/nothing", classes)


def test_result_is_that_of_model_and_processor_by_hand(segmenter, tiny_model):
    picture = noise(60, 90)
    (result,) = segmenter.segment(picture, threshold=0)
    processor = tiny_processor()
    inputs = processor(
        images=picture, classes=["ship", "storage tank, fuel tank"], return_tensors="pt"
    )
    with torch.no_grad():
        outputs = tiny_model(**inputs)
    (expected,) = processor.post_process_instance_segmentation(
        outputs, threshold=0, target_sizes=[(60, 90)], class_names=["ship", "Storage_Tank"]
    )
    assert result.instances["names"] == expected["names"]
    torch.testing.assert_close(result.instances["scores"], expected["scores"])
    assert torch.equal(result.instances["masks"], expected["masks"])


def test_results_do_not_depend_on_neighbours(segmenter):
    pictures = [noise(64, 64, 1), noise(64, 64, 2), noise(60, 90, 3), noise(64, 64, 4)]
    together = list(segmenter.segment(pictures, threshold=0, batch_size=3))
    for picture, result in zip(pictures, together, strict=True):
        (alone,) = segmenter.segment(picture, threshold=0)
        assert_same(result, alone)
        assert result.instances["masks"].shape[1:] == picture.shape[:2]


def test_only_equal_sizes_are_computed_together(segmenter, monkeypatch):
    batches = []
    compute = segmenter._compute
    monkeypatch.setattr(
        segmenter,
        "_compute",
        lambda batch, *rest: batches.append(len(batch)) or compute(batch, *rest),
    )
    pictures = [noise(64, 64)] * 3 + [noise(60, 90)] + [noise(64, 64)]
    assert len(list(segmenter.segment(pictures, batch_size=2))) == 5
    assert batches == [2, 1, 1, 1]


def test_unreadable_image_is_named_and_the_rest_goes_on(segmenter, tmp_path):
    good, cut, missing = tmp_path / "good.png", tmp_path / "cut.png", tmp_path / "missing.png"
    Image.fromarray(noise(64, 64)).save(good)
    cut.write_bytes(good.read_bytes()[:500])
    progress = []
    results = list(
        segmenter.segment(
            [good, cut, str(missing), noise(64, 64), np.full((8, 8), np.nan), good],
            batch_size=4,
            progress=lambda done, total: progress.append((done, total)),
        )
    )
    names = [str(good), str(cut), str(missing), "image 3", "image 4", str(good)]
    assert [result.name for result in results] == names
    assert [result.error is None for result in results] == [True, False, False, True, False, True]
    assert "cut.png" in results[1].error and "missing.png" in results[2].error
    assert "`images[4]`" in results[4].error and "NaN" in results[4].error
    assert progress == [(done, 6) for done in range(1, 7)]


def test_what_is_wrong_with_an_image_names_it(segmenter, tmp_path):
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(tmp_path / "nan.tif")
    brightness = np.full((8, 8, 4), 7.0)
    wrong = list(segmenter.segment([noise(64, 64), tmp_path / "nan.tif", brightness]))
    assert "nan.tif', which holds NaN" in wrong[1].error
    assert wrong[2].error.startswith("`images[2]` has four channels of floats")


def test_what_is_no_image_is_told(segmenter):
    results = list(segmenter.segment([None, noise(64, 64), [noise(64, 64)]]))
    assert results[0].error.startswith("`images[0]` must be a PIL image, an array or a tensor")
    assert results[1].error is None and "got list" in results[2].error


@pytest.mark.parametrize("images", [None, 5, b"bytes", {"image": noise(8, 8)}])
def test_what_holds_no_images_is_refused(segmenter, images):
    with pytest.raises(TypeError, match=f"`images` must be .* but got {type(images).__name__}"):
        segmenter.segment(images)


def test_an_image_that_exceeds_the_memory_is_named_and_the_rest_goes_on(segmenter, monkeypatch):
    forward = segmenter.model.forward

    def limited(pixel_values, **arguments):
        if pixel_values.shape[-1] > 64:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(pixel_values, **arguments)

    monkeypatch.setattr(segmenter.model, "forward", limited)
    results = list(segmenter.segment([noise(64, 64), noise(60, 90), noise(64, 64)]))
    assert [result.error is None for result in results] == [True, False, True]
    assert "'image 1', 90 pixels wide and 60 high, for which there is not" in results[1].error


def test_images_are_read_as_results_are_asked_for(segmenter):
    read = []

    def pictures():
        for index in range(6):
            read.append(index)
            yield noise(64, 64, index)

    totals = []
    results = segmenter.segment(pictures(), progress=lambda done, total: totals.append(total))
    assert read == []
    next(results)
    # One is computed, one prepared while the first is finished.
    assert read[-1] <= 3
    assert len(list(results)) == 5 and totals == [None] * 6


def test_new_vocabulary_leaves_running_results_alone(segmenter):
    pictures = [noise(64, 64, seed) for seed in range(2)]
    expected = list(segmenter.segment(pictures, threshold=0))
    running = segmenter.segment(pictures, threshold=0)
    segmenter.set_classes(["bridge"])
    for result, other in zip(running, expected, strict=True):
        assert_same(result, other)


def test_run_lengths_hold_the_same_masks(segmenter):
    (plain,) = segmenter.segment(noise(60, 90), threshold=0)
    (packed,) = segmenter.segment(noise(60, 90), threshold=0, return_rle=True)
    masks = [decode_mask(mask, (60, 90), "masks").bool() for mask in packed.instances["masks"]]
    assert torch.equal(torch.stack(masks), plain.instances["masks"])


def test_grad_mode_is_as_before(segmenter):
    for _ in segmenter.segment([noise(64, 64)] * 2):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"threshold": 1.5}, "`threshold` must be a number between 0 and 1, but got 1.5"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer, but got 0"),
        ({"max_detections": 0}, "`max_detections` must be a positive integer, but got 0"),
    ],
)
def test_bad_arguments_are_told_before_the_first_result(segmenter, arguments, message):
    with pytest.raises(ValueError, match=message):
        segmenter.segment([noise(64, 64)], **arguments)


def test_loaded_model_needs_its_processor(tiny_model):
    with pytest.raises(TypeError, match="`processor` must be given"):
        Segmenter(tiny_model, ["ship"])


def test_one_call(tiny_folder):
    results = segment([noise(64, 64)] * 2, ["ship"], tiny_folder, threshold=0, device="cpu")
    assert [result.instances["names"][0] for result in results] == ["ship", "ship"]


def test_bfloat16_model(tiny_folder):
    model, processor = load_model(tiny_folder, "cpu", "bfloat16")
    assert model.dtype == torch.bfloat16
    (result,) = Segmenter(model, ["ship"], processor).segment(noise(64, 64), threshold=0)
    assert result.instances["scores"].isfinite().all()


def test_bfloat16_products_in_the_trunks_only(tiny_folder):
    model, _ = load_model(tiny_folder, "cpu", "bfloat16-trunks")
    assert model.dtype == model.text_tower.dtype == torch.float32
    assert model.general_trunk.head.fc1.weight.dtype == torch.bfloat16


class TestLoading:
    def test_folder_is_loaded_exactly(self, tiny_folder, tiny_model):
        model, processor = load_model(tiny_folder, "cpu")
        assert not model.training and processor.seen_classes == tiny_processor().seen_classes
        loaded = model.state_dict()
        assert all(torch.equal(loaded[key], own) for key, own in tiny_model.state_dict().items())

    @pytest.mark.parametrize(
        "model, message",
        [
            ("no-such-model", "`model` must be a folder, a bundled model .* 'no-such-model'"),
            ("a/b/c", "`model` must be a folder, .* 'a/b/c'"),
            ("", "`model` must be a folder"),
            ("./nowhere", r"`model` must be a folder, .* './nowhere'"),
            ("~/no where", "`model` must be a folder, .* '~/no where'"),
        ],
    )
    def test_unknown_name(self, model, message):
        with pytest.raises(ValueError, match=message):
            load_model(model)

    def test_hub_is_not_asked_when_offline(self, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ValueError, match="`model` 'nobody/nothing' cannot be loaded") as info:
            load_model("nobody/nothing")
        assert "\n" not in str(info.value)

    def test_folder_without_a_model(self, tmp_path):
        with pytest.raises(ValueError, match=r"which has no config\.json"):
            load_model(tmp_path)

    def test_folder_of_another_model(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(ValueError, match="`model_type` 'bert' instead of 'score'"):
            load_model(tmp_path)

    def test_unknown_variant(self, tiny_folder, tmp_path):
        folder = shutil.copytree(tiny_folder, tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "region_kernel": "bogus"}))
        with pytest.raises(
            ValueError, match=r"`model`.*'region_kernel'.*'clamp'.*got bogus"
        ) as told:
            load_model(folder)
        assert "\n" not in str(told.value)

    @pytest.mark.parametrize("model", [None, 5, ["score-tiny"]])
    def test_what_is_no_name(self, model):
        message = f"`model` must be .* got {type(model).__name__}"
        with pytest.raises(TypeError, match=message):
            load_model(model)
        with pytest.raises(TypeError, match=message):
            Segmenter(model)

    @pytest.mark.parametrize(
        "change, message",
        [
            ({"num_queries": 9}, "2 of its weights have other shapes .*, such as 'mask_decoder"),
            ({"num_hidden_layers": 1}, "26 of its weights have no place .*, such as 'mask_decoder"),
            ({"num_hidden_layers": 3}, "26 of its weights are missing, such as 'mask_decoder"),
            ({"dtype": "bogus"}, "bogus"),
            # Without memory for them, or years to build them.
            ({"num_queries": 10**9}, r"describes weights of 256.\d GB, but its files hold 0.0 GB"),
            ({"num_hidden_layers": 10**6}, "`num_hidden_layers` must be at most 1000, got 1000000"),
            ({"num_labels": 10**9}, "its config.json says `num_labels` 1000000000"),
        ],
    )
    def test_weights_that_do_not_fit_the_configuration(
        self, tiny_folder, tmp_path, change, message
    ):
        folder = shutil.copytree(tiny_folder, tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(ValueError, match=f"`model` .* cannot be loaded: .*{message}"):
            load_model(folder, "cpu")

    def test_missing_weights_are_not_made_up(self, tiny_folder, tiny_model, tmp_path):
        weights = tiny_model.state_dict()
        del weights["void_embedding.weight"]
        tiny_model.save_pretrained(tmp_path, state_dict=weights)
        tiny_processor().save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=r"1 of its weights are missing, .*'void_embedding"):
            load_model(tmp_path)

    def test_damaged_weights(self, tiny_folder, tmp_path):
        for path in tiny_folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        whole = (tmp_path / "model.safetensors").read_bytes()
        (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="cannot be loaded: "):
            load_model(tmp_path)

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7", []])
    def test_unavailable_device(self, tiny_folder, device):
        with pytest.raises(ValueError, match=re.escape(f"such as 'cpu', got '{device}'")):
            load_model(tiny_folder, device)

    @pytest.mark.parametrize("dtype", ["int8", "half", torch.int32])
    def test_unknown_dtype(self, tiny_folder, dtype):
        with pytest.raises(ValueError, match="`dtype` must be one of float32, bfloat16, float16"):
            load_model(tiny_folder, "cpu", dtype)
