import json
import os

import numpy as np
import pytest
from PIL import Image

from score_hf.data.checking import NO_FILE, OTHER_MASK_SIZE, UNREADABLE
from score_hf.data.readers import coco_categories, coco_index
from score_hf.data.readers.coco import TO_BE_IGNORED, read_coco
from score_hf.data.readers.segmentations import BAD_POLYGON, NO_MASK, PART_LEFT_OUT
from score_hf.data.records import Dropped
from tests.data.drawn_coco import (
    annotation,
    box_polygon,
    box_runs,
    draw,
    image,
    records_of,
    write_coco,
)
from tests.data.drawn_files import draw_image

BOX = [box_polygon(5, 10, 25, 20)]
CLASSES = {1: "ship", 2: "plane"}


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        draw_image(tmp_path / "images" / name, 60, 40)
    return tmp_path / "images"


def read(folder, images, annotations, categories=CLASSES, **options):
    path = write_coco(folder.parent / "a.json", images, annotations, categories)
    return read_coco(folder, path, "train", **options)


def test_masks_of_all_forms(folder):
    compressed = box_runs((40, 60), 5, 10, 25, 20)
    flat = draw(compressed).flatten(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=True))
    uncompressed = {"size": [40, 60], "counts": np.diff(edges, prepend=0).tolist()}
    forms = [BOX, compressed, uncompressed]
    source = read(
        folder, [image(7, "a.png")], [annotation(k, 7, 1, form) for k, form in enumerate(forms)]
    )
    (record,) = records_of(source)
    assert (record.image_id, record.file_name, record.width, record.height) == (7, "a.png", 60, 40)
    assert record.image == folder / "a.png"
    assert {str(one.segmentation) for one in record.objects} == {str(compressed)}
    assert [one.id for one in record.objects] == [0, 1, 2]


def test_images_without_annotations_are_kept_and_all_are_sorted_by_number(folder):
    images = [image(9, "c.png"), image(0, "a.png"), image(4, "b.png")]
    records = records_of(read(folder, images, [annotation(5, 4, 2, BOX), annotation(6, 9, 1, BOX)]))
    assert [(one.image_id, [o.category for o in one.objects]) for one in records] == [
        (0, []),
        (4, ["plane"]),
        (9, ["ship"]),
    ]


def test_annotations_of_an_image_need_not_stand_together_or_after_the_images(folder):
    annotations = [annotation(k, k % 3, 1 + k % 2, BOX, area=k + 1) for k in range(9)]
    path = folder.parent / "a.json"
    contents = {
        "annotations": annotations,
        "categories": [{"id": 2, "name": "plane"}, {"id": 1, "name": "ship"}],
        "images": [image(k, name) for k, name in enumerate(("a.png", "b.png", "c.png"))],
    }
    path.write_text(json.dumps(contents, indent=1, ensure_ascii=False))
    source = read_coco(folder, path, "train")
    assert source.class_names == ("ship", "plane")
    found = [[(one.id, one.area) for one in record.objects] for record in records_of(source)]
    assert found == [[(k, k + 1) for k in range(9) if k % 3 == place] for place in range(3)]


def test_odd_objects_are_left_out_with_reasons(folder):
    odd = [
        annotation(1, 1, 1, [[1, 2, 3, 4]]),
        annotation(2, 1, 1, [*BOX, [1, 2, 3]]),
        annotation(3, 1, 1, []),
        annotation(4, 1, 7, BOX),
        annotation(5, 1, 1, BOX, ignore=1),
        annotation(6, 1, 1, {"size": [60, 40], "counts": [2400]}),
        annotation(7, 1, 2, BOX, iscrowd=1, area=-1),
    ]
    (record,) = records_of(read(folder, [image(1, "a.png")], odd))
    assert [one.id for one in record.objects] == [2, 7]
    assert [(one.iscrowd, one.area) for one in record.objects] == [(False, None), (True, None)]
    assert record.dropped == (
        BAD_POLYGON,
        NO_MASK,
        coco_categories.NO_CATEGORY,
        TO_BE_IGNORED,
        OTHER_MASK_SIZE,
    )
    assert record.altered == (PART_LEFT_OUT,)


def test_missing_and_damaged_images(folder):
    (folder / "b.png").write_bytes(b"not a picture")
    images = [image(1, "a.png"), image(2, "gone.png"), image(3, "b.png", None)]
    records = records_of(read(folder, images, []))
    assert records[1:] == [Dropped("gone.png", NO_FILE), Dropped("b.png", UNREADABLE)]
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 3 pictures.*'gone\.png' first"):
        read(folder, images, [], allow_missing=False)


def test_a_folder_without_any_of_the_images_is_an_error(folder, tmp_path):
    (tmp_path / "other").mkdir()
    path = write_coco(tmp_path / "a.json", [image(1, "a.png"), image(2, "b.png")], [], CLASSES)
    with pytest.raises(FileNotFoundError, match=r"other' lacks 2 of the 2 pictures"):
        read_coco(tmp_path / "other", path, "train")


def test_a_picture_that_was_added_makes_another_split(folder):
    images = [image(1, "a.png"), image(2, "d.png")]
    before = read(folder, images, [])
    draw_image(folder / "d.png", 60, 40)
    after = read(folder, images, [])
    assert list(before.keys) != list(after.keys)


@pytest.mark.parametrize("name", ["sub/a.png", "sub\\a.png", "elsewhere/deep/a.png"])
def test_file_names_with_folders(folder, name):
    if "sub" in name:
        (folder / "sub").mkdir()
        os.replace(folder / "a.png", folder / "sub" / "a.png")
    (record,) = records_of(read(folder, [image(1, name)], []))
    assert record.image.is_file()


def test_sizes_that_the_file_does_not_state_come_from_the_pictures(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(folder / "turned.jpg", exif=exif)
    images = [image(1, "a.png", None), image(2, "turned.jpg", None), image(3, "b.png", 60.0, 40.0)]
    records = records_of(read(folder, images, [annotation(1, 1, 1, BOX)]))
    assert [(one.width, one.height) for one in records] == [(60, 40), (40, 60), (60, 40)]
    assert draw(records[0].objects[0].segmentation).sum() == 200


def test_the_same_annotation_number_twice_renumbers_all(folder):
    twice = [annotation(5, 1, 1, BOX), annotation(5, 1, 2, BOX)]
    source = read(folder, [image(1, "a.png")], twice)
    (record,) = records_of(source)
    assert [one.id for one in record.objects] == [None, None]
    assert any("renumbered" in note for note in source.notes)


def test_the_same_image_number_twice(folder):
    source = read(folder, [image(1, "a.png"), image(1, "a.png")], [annotation(1, 1, 1, BOX)])
    assert len(records_of(source)) == 1
    assert "1 images are listed twice" in source.notes
    with pytest.raises(ValueError, match=r"number 1 to both 'a\.png' and 'b\.png'"):
        read(folder, [image(1, "a.png"), image(1, "b.png")], [])


def test_image_numbers_that_are_words(folder):
    source = read(folder, [image("x", "a.png"), image("y", "b.png")], [annotation(1, "y", 1, BOX)])
    assert [(one.image_id, len(one.objects)) for one in records_of(source)] == [(0, 0), (1, 1)]
    assert any("images are renumbered" in note for note in source.notes)


def test_annotations_of_images_that_are_not_listed(folder):
    source = read(folder, [image(1, "a.png")], [annotation(1, 2, 1, BOX), annotation(2, 1, 1, BOX)])
    assert [len(one.objects) for one in records_of(source)] == [1]
    assert "1 annotations belong to images that are not listed" in source.notes


def test_background_of_number_0_is_no_class_but_other_classes_of_number_0_are(folder):
    images = [image(1, "a.png")]
    annotations = [annotation(1, 1, 0, BOX), annotation(2, 1, 3, BOX)]
    source = read(folder, images, annotations, {3: "plane", 0: "background"})
    assert source.class_names == ("plane",)
    (record,) = records_of(source)
    assert [one.category for one in record.objects] == ["plane"]
    assert record.dropped == (coco_categories.BACKGROUND,)
    source = read(folder, images, annotations, {3: "plane", 0: "large-vehicle"})
    assert source.class_names == ("large-vehicle", "plane")
    assert [one.category for one in records_of(source)[0].objects] == ["large-vehicle", "plane"]


def test_two_categories_of_one_name_are_one_class(folder):
    annotations = [annotation(1, 1, 1, BOX), annotation(2, 1, 2, BOX)]
    source = read(folder, [image(1, "a.png")], annotations, {1: "car", 2: "car", 5: "bus"})
    assert source.class_names == ("car", "bus")
    assert [one.category for one in records_of(source)[0].objects] == ["car", "car"]


def test_names_that_no_text_tower_can_tell_apart_are_noted(folder):
    source = read(folder, [image(1, "a.png")], [], {1: "Storage_Tank", 2: "storage tank"})
    assert source.class_names == ("Storage_Tank", "storage tank")
    (note,) = source.notes
    assert "holds 'storage tank' twice, in 'Storage_Tank' and in 'storage tank'" in note
    assert "`data.class_names`" in note


def test_numbers_beyond_what_can_be_stored(folder):
    huge = 10**400
    annotations = [annotation(huge, 1, 1, BOX), annotation(1, 1, 1, BOX, area=huge)]
    source = read(folder, [image(1, "a.png", float("inf"), 40)], annotations)
    (record,) = records_of(source)
    assert (record.width, record.height) == (60, 40)
    assert [(one.id, one.area) for one in record.objects] == [(None, None)] * 2


def test_a_known_set_has_its_own_names_in_its_own_order(folder):
    table = ("Large_Vehicle", "plane", "ship", "Harbor")
    annotations = [annotation(1, 1, 1, BOX), annotation(2, 1, 2, BOX), annotation(3, 1, 9, BOX)]
    categories = {1: "ship", 2: "large-vehicle", 9: "dragon"}
    source = read(folder, [image(1, "a.png")], annotations, categories, class_names=table)
    assert source.class_names == table
    (record,) = records_of(source)
    assert [one.category for one in record.objects] == ["ship", "Large_Vehicle"]
    assert record.dropped == (coco_categories.OTHER_CATEGORY,)
    told = " ".join(source.notes)
    assert "not of this data set: dragon" in told
    assert "does not list: plane, Harbor" in told
    assert "they went by name" in told


def test_a_file_of_another_set_is_refused(folder):
    with pytest.raises(ValueError, match=r"classes dragon, none of which is one of ship, plane"):
        read(folder, [image(1, "a.png")], [], {1: "dragon"}, class_names=("ship", "plane"))


def test_the_name_of_an_annotation_counts_more_than_its_number(folder):
    annotations = [
        annotation(1, 1, 1, BOX, category_name="plane"),
        annotation(2, 1, 99, BOX, category_name="ship"),
        annotation(3, 1, 1, BOX, category_name="ship"),
    ]
    (record,) = records_of(read(folder, [image(1, "a.png")], annotations))
    assert [one.category for one in record.objects] == ["plane", "ship", "ship"]
    assert record.altered == (coco_categories.NAME_OVER_NUMBER,) * 2


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"images": [], "annotations": [], "categories": []}, "has 0 images and 0 categories"),
        ({"images": [{"id": 1}], "categories": []}, "entry of 'images' without id and file_name"),
        ([{"image_id": 1}], "is no complete JSON file of a dictionary"),
        (
            {"images": [image(1, "a.png")], "categories": [{"id": "x", "name": "y"}]},
            "whole numbers",
        ),
        (
            {"images": [image([1], "a.png")], "categories": [{"id": 1, "name": "y"}]},
            "whose id is no number",
        ),
        (
            {
                "images": [image(1, "a.png")],
                "categories": [{"id": 1, "name": "ship"}, {"id": 1, "name": "plane"}],
            },
            "gives the category number 1 to both 'ship' and 'plane'",
        ),
        (
            {"images": [image(1, "a.png")], "categories": [{"id": 1, "name": None}]},
            "names of categories must be texts",
        ),
    ],
)
def test_a_file_that_is_not_coco(folder, contents, message):
    path = folder.parent / "a.json"
    path.write_text(json.dumps(contents))
    with pytest.raises(ValueError, match=message):
        read_coco(folder, path, "train")


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`images` must be a folder.*nowhere"):
        read_coco(tmp_path / "nowhere", tmp_path / "a.json", "train")
    with pytest.raises(FileNotFoundError, match=r"`annotations` must be a COCO json.*b\.json"):
        read_coco(folder, tmp_path / "b.json", "train")


@pytest.mark.parametrize("side", [10**9, 10**400, 1e300, 0, 0.5, -3, True, "60"])
def test_sizes_that_no_picture_has_are_taken_from_it(folder, side):
    stated = image(1, "a.png", side, side)
    (record,) = records_of(read(folder, [stated], [annotation(1, 1, 1, BOX)]))
    if side is not True:
        assert (record.height, record.width) == (40, 60)
        assert draw(record.objects[0].segmentation).sum() == 200


@pytest.mark.parametrize("name", ["x" * 5000, "\x00", "\ud800", "", "."])
def test_names_that_no_file_has_are_missing_files(folder, name):
    source = read(folder, [image(1, "a.png"), image(2, name)], [])
    assert [type(one) for one in records_of(source)][1] is Dropped


def test_what_is_repeated_of_a_file_is_short(folder):
    categories = [{"id": "x" * 100_000, "name": "ship"}]
    contents = {"images": [image(1, "a.png")], "annotations": [], "categories": categories}
    path = folder.parent / "a.json"
    path.write_text(json.dumps(contents))
    with pytest.raises(ValueError, match="category numbers must be whole numbers") as told:
        read_coco(folder, path, "train")
    assert len(str(told.value)) < 400


def test_a_file_that_was_cut_off(folder):
    path = write_coco(folder.parent / "a.json", [image(1, "a.png")], [], CLASSES)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="no complete JSON file"):
        read_coco(folder, path, "train")


def test_only_places_are_held_in_memory(folder):
    path = write_coco(
        folder.parent / "a.json",
        [image(1, "a.png")],
        [annotation(k, 1, 1, BOX) for k in range(50)],
        CLASSES,
    )
    index = coco_index.CocoIndex(path)
    assert not any("segmentation" in str(value) for value in vars(index).values())
    assert [one["id"] for one in index.annotations_of(0)] == list(range(50))
