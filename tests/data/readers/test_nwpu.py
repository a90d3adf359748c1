from pathlib import Path

import pytest

from score_hf.data.categories import NWPU
from score_hf.data.checking import UNREADABLE
from score_hf.data.readers.nwpu import BAD_LINE, read_nwpu
from score_hf.data.records import Dropped
from score_hf.data.writing import write_split
from tests.data.drawn_coco import annotation, box_polygon, draw, image, records_of, write_coco
from tests.data.drawn_files import draw_image

BOX = [box_polygon(5, 10, 25, 20)]
NUMBERS = dict(enumerate(NWPU, 1))


@pytest.fixture
def root(tmp_path) -> Path:
    base = tmp_path / "NWPU VHR-10 dataset"
    for number in (1, 2, 3):
        draw_image(base / "positive image set" / f"{number:03d}.jpg", 60, 40)
    for number in (1, 2):
        draw_image(base / "negative image set" / f"{number:03d}.jpg", 50, 30)
    truth = base / "ground truth"
    truth.mkdir()
    (truth / "001.txt").write_text("(5,10),(25,20),1 \n( 30, 5),(40,15 ),10\n\n   \n")
    (truth / "002.txt").write_text("(5,10),(25,20),8\r\n\r\n")
    (truth / "003.txt").write_text("(5,10),(25,20),11\n(5,10),(25\n(9,9),(9,9),2\n")
    # Numbers count from 0, one less than the names of the files.
    images = [image(number - 1, f"{number:03d}.jpg") for number in (1, 2, 3)]
    two = [box_polygon(30, 5, 40, 15), box_polygon(45, 5, 50, 15)]
    objects = [annotation(0, 0, 1, BOX), annotation(1, 0, 10, two), annotation(2, 2, 8, BOX)]
    write_coco(base / "annotations.json", images, objects, NUMBERS)
    return tmp_path


def test_masks_of_the_json_file(root):
    source = read_nwpu(root)
    assert (source.class_names, source.split) == (NWPU, "whole")
    records = records_of(source)
    assert [(one.image_id, one.file_name) for one in records] == [
        (0, "001.jpg"),
        (1, "002.jpg"),
        (2, "003.jpg"),
    ]
    assert [[o.category for o in one.objects] for one in records] == [
        ["airplane", "vehicle"],
        [],
        ["harbor"],
    ]
    assert draw(records[0].objects[1].segmentation).sum() == 150


@pytest.mark.parametrize("place", ["", "NWPU VHR-10 dataset/positive image set"])
def test_the_json_file_may_lie_elsewhere(root, place):
    path = root / "NWPU VHR-10 dataset" / "annotations.json"
    path.rename(root / place / "annotations.json")
    assert len(read_nwpu(root).keys) == 3


def test_a_division_with_files_of_its_own(root):
    path = root / "NWPU VHR-10 dataset" / "instances_val2017.json"
    write_coco(path, [image(1, "002.jpg")], [annotation(7, 1, 3, BOX)], NUMBERS)
    (record,) = records_of(read_nwpu(root, "val"))
    assert [one.category for one in record.objects] == ["storage_tank"]
    with pytest.raises(FileNotFoundError, match=r"no instances_train2017\.json or instances_train"):
        read_nwpu(root, "train")


def test_boxes_as_masks(root):
    source = read_nwpu(root, masks="boxes")
    records = records_of(source)
    assert [[o.category for o in one.objects] for one in records] == [
        ["airplane", "vehicle"],
        ["harbor"],
        ["ship"],
    ]
    assert draw(records[0].objects[1].segmentation).sum() == 100
    assert records[2].dropped == (BAD_LINE, BAD_LINE)
    assert "boxes" in source.notes[0]


def test_pictures_without_objects(root, tmp_path):
    source = read_nwpu(root, negatives=True)
    records = records_of(source)
    assert [(one.image_id, one.file_name) for one in records[3:]] == [
        (1001, "negative image set/001.jpg"),
        (1002, "negative image set/002.jpg"),
    ]
    summary = write_split(source, tmp_path / "out")
    assert (summary["images"], summary["images_without_objects"]) == (5, 3)


def test_damaged_pictures(root):
    base = root / "NWPU VHR-10 dataset"
    (base / "negative image set" / "002.jpg").write_bytes(b"")
    (base / "positive image set" / "002.jpg").write_bytes(b"")
    assert records_of(read_nwpu(root, negatives=True))[-1] == Dropped("002.jpg", UNREADABLE)
    assert records_of(read_nwpu(root, masks="boxes"))[1] == Dropped("002.jpg", UNREADABLE)


def test_half_downloaded(root):
    base = root / "NWPU VHR-10 dataset"
    (base / "positive image set" / "003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 3 pictures"):
        read_nwpu(root)
    with pytest.raises(FileNotFoundError, match=r"incomplete"):
        read_nwpu(root, masks="boxes")
    (base / "annotations.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no annotations\.json beside.*has boxes only"):
        read_nwpu(root)
    (base / "positive image set").rename(base / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"must hold NWPU VHR-10's folder 'positive image"):
        read_nwpu(root)
    with pytest.raises(FileNotFoundError, match=r"`root` must be the folder"):
        read_nwpu(root / "nowhere")


def test_no_negatives(root):
    (root / "NWPU VHR-10 dataset" / "negative image set").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"no pictures in '.*negative image set'"):
        read_nwpu(root, negatives=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "`split` must be one of whole, train, val, but got 'test'"),
        ({"masks": "sam"}, "`masks` must be 'json' or 'boxes', but got 'sam'"),
        ({"split": "val", "masks": "boxes"}, "`split` must be 'whole' with boxes"),
        ({"split": "val", "negatives": True}, "`split` must be 'whole' with boxes or negatives"),
    ],
)
def test_wrong_arguments(root, options, message):
    with pytest.raises(ValueError, match=message):
        read_nwpu(root, **options)
