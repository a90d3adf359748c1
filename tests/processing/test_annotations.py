import numpy as np
import pytest
import torch
from PIL import Image

from score_hf.processing.annotations import objects_of_annotation, objects_of_map, read_objects
from score_hf.processing.coco_masks import encode_mask

SIZE = (6, 8)


def two_overlapping_masks():
    masks = np.zeros((2, *SIZE), dtype=bool)
    masks[0, 1:4, 1:5] = True
    masks[1, 2:6, 3:8] = True
    return masks


def test_every_form_of_mask_gives_the_same_objects():
    masks = two_overlapping_masks()
    expected = torch.from_numpy(masks.astype(np.uint8))
    encoded = [encode_mask(torch.from_numpy(mask), 0, 0, SIZE) for mask in masks]
    polygons = [[[1, 1, 5, 1, 5, 4, 1, 4]], [[3, 2, 8, 2, 8, 6, 3, 6]]]
    mixed = [torch.from_numpy(masks[0]), Image.fromarray(masks[1])]
    for form in (masks, masks.astype(np.uint8) * 255, torch.from_numpy(masks), encoded, mixed):
        read, labels = objects_of_annotation(
            {"masks": form, "class_labels": [4, 0]}, SIZE, "annotations[0]"
        )
        assert torch.equal(read, expected)
        assert labels.tolist() == [4, 0]
    read, _ = objects_of_annotation({"masks": polygons, "class_labels": [0, 1]}, SIZE, "a")
    assert torch.equal(read, expected)


@pytest.mark.parametrize("masks", [[], np.zeros((0, *SIZE))])
def test_an_image_may_have_no_objects(masks):
    read, labels = objects_of_annotation({"masks": masks, "class_labels": []}, SIZE, "a")
    assert read.shape == (0, *SIZE)
    assert labels.shape == (0,)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("annotation", "error", "message"),
    [
        ([1], TypeError, "dictionary"),
        ({"masks": []}, ValueError, "class_labels"),
        ({"masks": np.zeros((1, 8, 6)), "class_labels": [0]}, ValueError, r"\(1, 8, 6\)"),
        ({"masks": np.zeros(SIZE), "class_labels": [0]}, ValueError, r"\(6, 8\)"),
        ({"masks": [np.zeros((3, 3))], "class_labels": [0]}, ValueError, r"\['masks'\]\[0\]"),
        ({"masks": np.zeros((2, *SIZE)), "class_labels": [0]}, ValueError, "2 masks"),
        ({"masks": np.zeros((1, *SIZE)), "class_labels": [-1]}, ValueError, "class index"),
        ({"masks": np.zeros((1, *SIZE)), "class_labels": [0.5]}, ValueError, "class index"),
        ({"masks": np.zeros((1, *SIZE)), "class_labels": ["ship"]}, ValueError, "class ind"),
    ],
)
def test_bad_annotations_are_named(annotation, error, message):
    with pytest.raises(error, match=rf"`annotations\[3\].*{message}"):
        objects_of_annotation(annotation, SIZE, "annotations[3]")


def drawn_map():
    ids = torch.zeros(SIZE, dtype=torch.int64)
    ids[1:3, 1:4] = 7
    ids[4:, 5:] = 9
    return ids


def test_a_map_of_instances_with_a_background_to_ignore():
    masks, labels = objects_of_map(
        drawn_map(), {7: 2, 9: 2}, ignore_index=0, do_reduce_labels=False
    )
    assert torch.equal(masks, torch.stack([drawn_map() == 7, drawn_map() == 9]).to(torch.uint8))
    assert labels.tolist() == [2, 2]


def test_a_map_of_classes():
    masks, labels = objects_of_map(drawn_map(), None, ignore_index=None, do_reduce_labels=False)
    assert labels.tolist() == [0, 7, 9]
    assert masks.sum(0).unique().tolist() == [1]


def test_labels_that_count_from_one():
    _, labels = objects_of_map(drawn_map(), {7: 1, 9: 3}, ignore_index=255, do_reduce_labels=True)
    assert labels.tolist() == [0, 2]
    _, labels = objects_of_map(drawn_map(), None, ignore_index=8, do_reduce_labels=True)
    assert labels.tolist() == [6]


def test_maps_that_cannot_be_understood():
    with pytest.raises(ValueError, match=r"`instance_id_to_semantic_id` has no class .*\[0, 9\]"):
        objects_of_map(drawn_map(), {7: 1}, ignore_index=None, do_reduce_labels=False)
    with pytest.raises(ValueError, match="`ignore_index`"):
        objects_of_map(drawn_map(), None, ignore_index=None, do_reduce_labels=True)


def read(maps=None, mapping=None, annotations=None, sizes=(SIZE,)):
    return read_objects(sizes, maps, mapping, annotations, 0, False)


def test_maps_come_as_images_arrays_or_batches():
    array = drawn_map().numpy().astype(np.uint8)
    for maps in (array, Image.fromarray(array), [array], array[None], torch.from_numpy(array)):
        [(_, labels)] = read(maps, {7: 0, 9: 1})
        assert labels.tolist() == [0, 1]
    both = read([array, array], [{7: 0, 9: 1}, {7: 5, 9: 6}], sizes=[SIZE, SIZE])
    assert [labels.tolist() for _, labels in both] == [[0, 1], [5, 6]]
    assert read() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maps": np.zeros(SIZE, int), "annotations": {}}, "but got both"),
        ({"maps": np.zeros((2, *SIZE), int)}, "`segmentation_maps` has 2 entries for 1 images"),
        ({"maps": np.zeros((3, 3), int)}, r"`segmentation_maps\[0\]`.*\(3, 3\)"),
        ({"maps": np.zeros(SIZE)}, r"`segmentation_maps\[0\]`.*float64"),
        ({"maps": np.zeros(SIZE, int), "mapping": []}, "`instance_id_to_semantic_id` has 0"),
        ({"annotations": [{}, {}]}, "`annotations` has 2 entries for 1 images"),
    ],
)
def test_objects_that_do_not_fit_the_images(arguments, message):
    with pytest.raises(ValueError, match=message):
        read(**arguments)
