from dataclasses import replace

import numpy as np
import pytest
from datasets import Image as ImageColumn
from PIL import Image

from score_hf.data.checking import (
    EMPTY_MASK,
    NO_FILE,
    OTHER_MASK_SIZE,
    OTHER_SIZE,
    UNKNOWN_VALUES,
    UNREADABLE,
    UNTURNED,
    row_of_record,
)
from score_hf.data.records import Dropped, ImageRecord, ObjectRecord
from tests.data.drawn_coco import box_runs
from tests.data.drawn_files import draw_image, truncate

RUNS = box_runs((40, 60), 5, 10, 25, 20)


def record(image, objects=(), width=60, height=40, **more) -> ImageRecord:
    return ImageRecord(4, "a.png", image, width, height, tuple(objects), **more)


def checked(one: ImageRecord, kind="instance", number=0):
    return row_of_record(one, kind, ("ship", "plane"), number)


def decoded(row: dict, column: str = "image") -> Image.Image:
    """As `datasets` decodes it."""
    return ImageColumn().decode_example(row[column])


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "RGB"), ("a.png", "L"), ("a.png", "RGBA"), ("a.tif", "RGB"), ("a.bmp", "RGB")],
)
def test_files_are_stored_byte_for_byte(tmp_path, name, mode):
    path = draw_image(tmp_path / name, 60, 40, mode)
    row, _ = checked(record(path))
    assert row["image"] == {"bytes": path.read_bytes(), "path": None}
    assert decoded(row).size == (row["width"], row["height"]) == (60, 40)


def test_a_picture_is_read_by_its_content_not_its_suffix(tmp_path):
    path = draw_image(tmp_path / "a.bmp", 60, 40).rename(tmp_path / "a.png")
    row, _ = checked(record(path))
    assert decoded(row).format == "BMP"


def test_pictures_in_memory_become_png_even_if_they_were_opened_from_a_file(tmp_path):
    path = draw_image(tmp_path / "a.jpg", 60, 40)
    with Image.open(path) as opened:
        row, _ = checked(record(opened))
        np.testing.assert_array_equal(np.array(decoded(row)), np.array(opened))
    assert row["image"]["bytes"].startswith(b"\x89PNG")
    row, _ = checked(record(Image.new("CMYK", (60, 40))))
    assert decoded(row).mode == "RGB"


def turned(tmp_path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[:20, :30] = 255
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_stored_size_is_that_of_the_decoded_picture(tmp_path, orientation):
    path = turned(tmp_path, orientation)
    size = (60, 40) if orientation < 5 else (40, 60)
    row, kept = checked(record(path, width=size[0], height=size[1]))
    assert decoded(row).size == size == (row["width"], row["height"])
    assert row["image"]["bytes"] == path.read_bytes()
    assert kept.altered == ()


def test_annotations_of_the_pixels_as_they_lie_in_the_file_keep_them_so(tmp_path):
    row, kept = checked(record(turned(tmp_path, 6)))
    picture = decoded(row)
    assert picture.size == (60, 40)
    assert np.array(picture)[:18, :28].min() > 250
    assert np.array(picture)[22:, 32:].max() < 5
    assert kept.altered == (UNTURNED,)


@pytest.mark.parametrize("size", [(61, 40), (60, 41), (30, 20)])
def test_another_size(tmp_path, size):
    path = draw_image(tmp_path / "a.png", 60, 40)
    assert checked(record(path, width=size[0], height=size[1])) == Dropped("a.png", OTHER_SIZE)
    picture = Image.new("RGB", (60, 40))
    assert checked(record(picture, width=size[0], height=size[1])) == Dropped("a.png", OTHER_SIZE)


def test_files_that_are_missing_damaged_or_no_pictures(tmp_path):
    assert checked(record(tmp_path / "gone.png")) == Dropped("a.png", NO_FILE)
    path = draw_image(tmp_path / "a.png", 60, 40)
    truncate(path)
    assert checked(record(path)) == Dropped("a.png", UNREADABLE)
    path.write_text("<html>404</html>")
    assert checked(record(path)) == Dropped("a.png", UNREADABLE)


def test_boxes_and_areas_come_from_the_masks_unless_the_source_states_the_area():
    objects = [
        ObjectRecord("plane", RUNS, id=17),
        ObjectRecord("ship", RUNS, iscrowd=True, area=5.5),
    ]
    row, _ = checked(record(Image.new("RGB", (60, 40)), objects), number=3)
    common = {"segmentation": RUNS, "bbox": [5.0, 10.0, 20.0, 10.0]}
    assert row["objects"] == [
        {"id": 17, "category": "plane", **common, "area": 200.0, "iscrowd": False},
        {"id": 300_002, "category": "ship", **common, "area": 5.5, "iscrowd": True},
    ]


def test_objects_without_number_never_share_one():
    numbers = set()
    for number in range(20):
        objects = [ObjectRecord("ship", RUNS)] * 30
        row, _ = checked(record(Image.new("RGB", (60, 40)), objects), number=number)
        numbers |= {one["id"] for one in row["objects"]}
    assert len(numbers) == 600
    assert 0 not in numbers


def test_empty_masks_and_masks_of_other_sizes():
    objects = [
        ObjectRecord("ship", box_runs((40, 60), 5, 5, 5, 5)),
        ObjectRecord("ship", box_runs((60, 40), 5, 5, 9, 9)),
        ObjectRecord("plane", RUNS),
    ]
    row, kept = checked(record(Image.new("RGB", (60, 40)), objects, dropped=("other",)))
    assert [one["category"] for one in row["objects"]] == ["plane"]
    assert kept.dropped == ("other", EMPTY_MASK, OTHER_MASK_SIZE)


def test_a_class_that_the_set_does_not_have_is_a_mistake_of_the_reader():
    with pytest.raises(ValueError, match=r"class 'dragon', but the classes are ship, plane"):
        checked(record(Image.new("RGB", (60, 40)), [ObjectRecord("dragon", RUNS)]))


def test_label_images():
    label = np.full((40, 60), 255, dtype=np.uint8)
    label[:, :20] = 1
    one = record(Image.new("RGB", (60, 40)), label=label)
    row, _ = checked(one, "semantic")
    assert row["classes"] == [1]
    np.testing.assert_array_equal(np.array(decoded(row, "label")), label)
    assert checked(replace(one, label=np.full_like(label, 2)), "semantic") == Dropped(
        "a.png", UNKNOWN_VALUES
    )


@pytest.mark.parametrize(
    "label", [None, np.zeros((60, 40), dtype=np.uint8), np.zeros((40, 60), dtype=np.int64)]
)
def test_label_images_of_other_form_are_a_mistake_of_the_reader(label):
    with pytest.raises(ValueError, match=r"must have a label image of uint8.*\(40, 60\)"):
        checked(record(Image.new("RGB", (60, 40)), label=label), "semantic")
