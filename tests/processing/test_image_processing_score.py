import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, SizeDict

from score_hf import ScoreImageProcessor


def processor(**options):
    return ScoreImageProcessor(size={"shortest_edge": 32, "longest_edge": 50}, **options)


def noise(height, width, channels=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def pixels_of(image, **options):
    return processor()(image, return_tensors="pt", **options).pixel_values[0]


def test_defaults_are_those_of_the_original():
    image_processor = ScoreImageProcessor()
    assert dict(image_processor.size) == {"shortest_edge": 512, "longest_edge": 800}
    assert image_processor.max_detections == 300
    assert image_processor.size_divisor == 32


def test_images_are_resized_by_pillow_normalised_and_padded_with_zeros():
    images = [noise(40, 50), noise(80, 40)]
    features = processor()(images, return_tensors="pt")
    assert features.pixel_values.shape == (2, 3, 64, 64)
    assert features.pixel_mask.dtype == torch.int64
    for index, (width, height) in enumerate([(40, 32), (25, 50)]):
        resized = Image.fromarray(images[index]).resize((width, height), Image.Resampling.BILINEAR)
        expected = (np.asarray(resized) / 255 - OPENAI_CLIP_MEAN) / OPENAI_CLIP_STD
        values = features.pixel_values[index]
        inside = values[:, :height, :width].numpy()
        np.testing.assert_allclose(inside, expected.transpose(2, 0, 1), atol=1e-5)
        assert values[:, height:].abs().sum() == values[:, :, width:].abs().sum() == 0
        mask = features.pixel_mask[index]
        assert mask[:height, :width].all()
        assert mask.sum() == height * width


def test_every_kind_of_input_gives_the_same(tmp_path):
    array = noise(40, 50)
    path = tmp_path / "image.png"
    Image.fromarray(array).save(path)
    expected = pixels_of(array)
    tensor = torch.from_numpy(array)
    for image in (
        path,
        str(path),
        Image.fromarray(array),
        array.transpose(2, 0, 1),
        tensor,
        tensor.permute(2, 0, 1),
        [array],
        array[None],
        array.astype(np.uint16) * 257,
        array.astype(np.int64),
    ):
        assert torch.equal(pixels_of(image), expected)
    as_floats = pixels_of(array / 255, do_rescale=False)
    assert (as_floats - expected).abs().max() < 0.02


def test_modes_are_brought_to_colours():
    grey = noise(40, 50)[..., 0]
    in_colour = pixels_of(np.stack([grey] * 3, axis=-1))
    for image in (
        grey,
        Image.fromarray(grey),
        Image.fromarray(grey).convert("P"),
        Image.fromarray(grey.astype(np.uint16) * 257),
        Image.fromarray(grey).convert("F"),
    ):
        assert (pixels_of(image) - in_colour).abs().max() < 0.02
    colours = Image.fromarray(noise(40, 50))
    without_black = Image.merge(
        "CMYK",
        [*(b.point(lambda v: 255 - v) for b in colours.split()), Image.new("L", colours.size)],
    )
    assert torch.equal(pixels_of(without_black), pixels_of(colours))


def test_transparency_becomes_white():
    white = pixels_of(np.full((40, 50, 3), 255, np.uint8))
    clear = np.zeros((40, 50, 4), np.uint8)
    assert torch.equal(pixels_of(clear), white)
    assert torch.equal(pixels_of(Image.fromarray(clear)), white)


def test_a_fourth_channel_is_not_taken_for_transparency():
    image = noise(40, 50, channels=4)
    options = {"do_convert_rgb": False, "image_mean": [0.0] * 4, "image_std": [1.0] * 4}
    features = processor()(image, return_tensors="pt", **options)
    for channel in range(4):
        alone = pixels_of(
            image[..., channel], **{**options, "image_mean": [0.0], "image_std": [1.0]}
        )
        assert torch.equal(features.pixel_values[0, channel], alone[0])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"height": 33, "width": 20}, (33, 20)),
        ({"max_height": 20, "max_width": 20}, (16, 20)),
        ({"shortest_edge": 20}, (20, 25)),
    ],
)
def test_other_sizes(size, expected):
    features = processor()(noise(40, 50), size=size, return_tensors="pt")
    assert features.pixel_mask[0].amax(1).sum() == expected[0]
    assert features.pixel_mask[0].amax(0).sum() == expected[1]


@pytest.mark.parametrize("resample", [Image.Resampling.NEAREST, InterpolationMode.NEAREST])
def test_other_filters(resample):
    image = torch.from_numpy(noise(4, 4)).permute(2, 0, 1)
    resized = processor().resize(image, SizeDict(height=8, width=8), resample)
    assert torch.equal(resized, image.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_floats_of_the_wrong_range_bring_a_warning():
    with pytest.warns(UserWarning, match="`do_rescale=False`"):
        pixels_of(noise(40, 50) / 255)


def test_padding_can_be_set_or_left_out():
    sizes = {"height": 96, "width": 128}
    assert pixels_of(noise(40, 50), pad_size=sizes).shape == (3, 96, 128)
    assert pixels_of(noise(40, 50), size_divisor=1).shape == (3, 32, 40)
    features = processor()([noise(40, 50), noise(80, 40)], do_pad=False)
    assert [tuple(mask.shape) for mask in features.pixel_mask] == [(32, 40), (50, 25)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_divisor": 0}, "`size_divisor`"),
        ({"max_pixels": 0}, "`max_pixels` must be a positive integer, but got 0"),
        ({"pad_size": {"height": 5000, "width": 5000}}, "a smaller `pad_size`"),
        ({"size": {"longest_edge": 50}}, "`size`"),
        ({"do_center_crop": True, "crop_size": 20}, "`do_center_crop`"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        pixels_of(noise(40, 50), **options)


def test_images_larger_than_the_network_takes_at_once_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.fromarray(noise(40, 50)).save(path)
    options = {"do_resize": False, "max_pixels": 64 * 32}
    with pytest.raises(ValueError, match=r"`images\[1\]` is 50 .* the 2,048 of `max_pixels`; cut"):
        processor()([noise(30, 50), noise(40, 50)], **options)

    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=r"`images` has .*large\.png', which is 50 .* 40 high"):
        processor()(path, **options)
    with Image.open(path) as image, pytest.raises(ValueError, match=r"`images\[0\]` is 50"):
        processor()(image, **options)


def test_the_limit_holds_for_resized_images(tmp_path):
    large = processor(max_pixels=64 * 64)
    assert large(noise(400, 500), return_tensors="pt").pixel_values.shape == (1, 3, 32, 64)
    with pytest.raises(ValueError, match="128 x 64"):
        large(noise(400, 500), size={"height": 64, "width": 100})


def test_very_different_images_are_not_padded_together():
    images = [noise(32, 160), noise(160, 32)]
    options = {"do_resize": False, "max_pixels": 160 * 160 - 1}
    for image in images:
        processor()(image, **options)
    with pytest.raises(ValueError, match="common height and width of 160 and 160, more pixels"):
        processor()(images, **options)


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="`images` is empty"):
        processor()([])


def test_annotations_become_labels_at_the_padded_size():
    masks = np.zeros((3, 40, 50), dtype=bool)
    masks[0, :20, :25] = masks[1, 10:30, 10:40] = True
    masks[2, 0, 0] = True
    features = processor()(
        [noise(40, 50), noise(80, 40)],
        annotations=[
            {"masks": masks, "class_labels": [2, 0, 1]},
            {"masks": [], "class_labels": []},
        ],
        size={"shortest_edge": 16, "longest_edge": 50},
        return_tensors="pt",
    )
    first, second = features["mask_labels"]
    assert first.shape == (2, 32, 32)
    assert first.dtype == torch.float32
    assert first[0].sum() == first[0, :8, :10].sum() == 80
    assert first[1].sum() == first[1, 4:12, 4:16].sum() == 96
    # The single pixel of the third object is lost in the resize.
    assert [labels.tolist() for labels in features["class_labels"]] == [[2, 0], []]
    assert second.shape == (0, 32, 32)


def test_segmentation_maps_say_the_same_as_annotations():
    ids = np.zeros((40, 50), np.uint8)
    ids[:20, :25], ids[25:, 30:] = 4, 6
    by_map = processor()(
        noise(40, 50),
        segmentation_maps=ids,
        instance_id_to_semantic_id={4: 1, 6: 0},
        ignore_index=0,
    )
    annotation = {"masks": np.stack([ids == 4, ids == 6]), "class_labels": [1, 0]}
    by_list = processor()(noise(40, 50), annotations=annotation)
    assert torch.equal(by_map["mask_labels"][0], by_list["mask_labels"][0])
    assert torch.equal(by_map["class_labels"][0], by_list["class_labels"][0])


def test_saving_and_loading(tmp_path):
    saved = processor(max_detections=7, ignore_index=255, max_pixels=10_000)
    saved.save_pretrained(tmp_path)
    loaded = ScoreImageProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == saved.to_dict()
    assert (loaded.max_detections, loaded.max_pixels) == (7, 10_000)
