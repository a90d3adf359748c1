import pickle
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from score_hf.data.readers.samrs import read_samrs
from score_hf.data.records import Dropped
from tests.data.drawn_files import draw_image, draw_label, truncate
from tests.data.drawn_samrs import (
    CAR,
    HEIGHT,
    POOL,
    WIDTH,
    block,
    encoded,
    instance,
    write_annotation,
)


@pytest.fixture
def sota(tmp_path: Path) -> Path:
    """SOTA as the authors' programs have it: tiles of scenes, three of train and two of val."""
    base = tmp_path / "dotav2_1024" / "trainval"
    stems = ["P0001_0000", "P0001_0001", "P0002_0000", "P1398_0025", "P1398_0026"]
    for stem in stems:
        draw_image(base / "images" / f"{stem}.png", WIDTH, HEIGHT)
    labels = base / "hbox_segs_init"
    write_annotation(
        labels,
        "P0001_0000",
        [instance(0, CAR, "large-vehicle"), instance(1, POOL, "swimming-pool")],
    )
    write_annotation(labels, "P0001_0001", [instance(17, CAR, "helipad")])
    # SAM finds nothing in some boxes.
    write_annotation(
        labels,
        "P1398_0025",
        [instance(5, np.zeros((HEIGHT, WIDTH), dtype=bool), "ship"), instance(5, CAR, "ship")],
    )
    write_annotation(labels, "P1398_0026", [instance(0, POOL, "large-vehicle")])
    (base / "train.txt").write_text("P0001_0000\nP0001_0001\nP0002_0000\n")
    (base / "valid.txt").write_text("P1398_0026\nP1398_0025\n")
    return tmp_path


def records_of(source) -> list:
    return [record for key in source.keys for record in source.read(key)]


def test_split_lists_and_masks(sota):
    source = read_samrs(sota, "train", "sota")
    records = records_of(source)
    assert source.kind == "instance"
    assert [record.file_name for record in records] == [
        "P0001_0000.png", "P0001_0001.png", "P0002_0000.png",
    ]  # fmt: skip
    first = records[0]
    assert (first.image_id, first.width, first.height) == (0, WIDTH, HEIGHT)
    assert [one.category for one in first.objects] == ["large-vehicle", "swimming-pool"]
    masks = [coco_mask.decode(one.segmentation).astype(bool) for one in first.objects]
    assert np.array_equal(masks, [CAR, POOL])


def test_an_image_without_annotation_file_has_no_objects(sota):
    source = read_samrs(sota, "train", "sota")
    assert records_of(source)[2].objects == ()
    assert "1 images have no annotation file, so no objects" in source.notes


def test_empty_masks_are_counted(sota):
    record = records_of(read_samrs(sota, "val", "sota"))[0]
    assert [one.category for one in record.objects] == ["ship"]
    assert record.dropped == ("empty mask",)


def test_the_paper_states_the_size_of_its_splits(sota):
    assert read_samrs(sota, "val", "sota").paper_count == 874
    assert read_samrs(sota, "whole", "sota").paper_count is None


def test_the_label_counts_not_the_name_nor_the_box(tmp_path):
    base = tmp_path / "SOTA-RBB"
    draw_image(base / "images" / "P0000_0001.png", WIDTH, HEIGHT)
    wrong = [instance(0, CAR, "A220", rotated=True), instance(17, POOL, "Engineering-Ship", True)]
    write_annotation(base / "rhbox_segs_init", "P0000_0001", wrong)
    record = records_of(read_samrs(base, "whole", "sota"))[0]
    assert [one.category for one in record.objects] == ["large-vehicle", "helipad"]


def test_dior_is_divided_by_number(tmp_path):
    base = tmp_path / "dior"
    for stem, folder in (("00001", "trainval"), ("11725", "trainval"), ("11726", "test")):
        draw_image(base / f"JPEGImages-{folder}" / f"{stem}.jpg", WIDTH, HEIGHT)
        write_annotation(
            base / "hbox_segs_trainvaltest_init", stem, [instance(15, CAR, "storagetank")]
        )
    # The authors' own division of the same images, which is not the paper's.
    (base / "train.txt").write_text("00001\n11726\n")
    train = records_of(read_samrs(tmp_path, "train", "sior"))
    val = records_of(read_samrs(tmp_path, "val", "sior"))
    assert [record.file_name for record in train] == ["00001.jpg", "11725.jpg"]
    assert [record.file_name for record in val] == ["11726.jpg"]
    # SAMRS joins the words of this name, the SCORE release does not.
    assert train[0].objects[0].category == "storage tank"
    listed = read_samrs(tmp_path, "train", "sior", image_list=base / "train.txt")
    assert [record.file_name for record in records_of(listed)] == ["00001.jpg", "11726.jpg"]
    assert listed.paper_count is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": 18}, "class number that the data set does not have"),
        ({"label": None}, "class number that the data set does not have"),
        ({"mask": None}, "mask cannot be decoded"),
        ({"mask": {"size": [HEIGHT, WIDTH], "counts": "0"}}, "mask cannot be decoded"),
        ({"mask": {"size": [HEIGHT, WIDTH], "counts": "é"}}, "mask cannot be decoded"),
        ({"mask": {"size": [HEIGHT, WIDTH], "counts": 7}}, "mask cannot be decoded"),
        ({"mask": {"counts": "0"}}, "mask cannot be decoded"),
        (
            {"mask": encoded(block(slice(0, 2), slice(0, 2), 20, 20))},
            "mask of another size than its image",
        ),
    ],
)
def test_faulty_objects_are_left_out_alone(sota, change, reason):
    folder = sota / "dotav2_1024/trainval/hbox_segs_init/ins"
    objects = [instance(3, POOL, "bridge"), instance(4, CAR, "plane") | change]
    (folder / "P0001_0000.pkl").write_bytes(pickle.dumps(objects))
    record = records_of(read_samrs(sota, "train", "sota"))[0]
    assert [one.category for one in record.objects] == ["bridge"]
    assert record.dropped == (reason,)


def test_damaged_files_cost_their_image_only(sota):
    base = sota / "dotav2_1024/trainval"
    truncate(base / "hbox_segs_init/ins/P0001_0000.pkl")
    (base / "images/P0001_0001.png").write_bytes(b"")
    assert records_of(read_samrs(sota, "train", "sota"))[:2] == [
        Dropped("P0001_0000.png", "annotation file cannot be decoded"),
        Dropped("P0001_0001.png", "image cannot be decoded"),
    ]


def test_label_images(sota):
    source = read_samrs(sota, "train", "sota", kind="semantic")
    records = records_of(source)
    assert source.kind == "semantic"
    assert source.notes[-1] == "1 images have no label image and are left out"
    # Class 0 is a class, 255 is none.
    expected = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    expected[CAR], expected[POOL] = 0, 1
    assert np.array_equal(records[0].label, expected)
    assert np.unique(records[1].label).tolist() == [17, 255]


@pytest.mark.parametrize("folder", ["semlabels/gray", "semlabels"])
def test_fast_as_gsnet_has_it(tmp_path, folder):
    base = tmp_path / "SAMRS" / "FAST" / "val"
    draw_image(base / "images" / "train_123_0001.png", WIDTH, HEIGHT)
    draw_label(base / folder / "train_123_0001.png", np.where(CAR, 36, 255))
    source = read_samrs(tmp_path / "SAMRS", "val", "fast", kind="semantic")
    record = records_of(source)[0]
    assert source.paper_count == 3_207
    assert source.class_names[36] == "Warship"
    assert np.array_equal(record.label == 36, CAR)


def remove(*paths: str):
    def change(root: Path) -> None:
        for path in paths:
            for file in sorted((root / "dotav2_1024/trainval").glob(path)):
                file.unlink()

    return change


def copy_annotations(root: Path) -> None:
    (root / "dotav2_1024/other/ins").mkdir(parents=True)


def copy_image(root: Path) -> None:
    draw_image(root / "dotav2_1024/other/P0001_0000.jpg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("images/P0001_0001.png"), r"incomplete: '.*train\.txt' names 3 images, of which 1"),
        (remove("images/*"), "has no images below"),
        (remove("*/ins/*"), "has no folder 'ins' with pickles"),
        (remove("*/ins/P0001_0000.pkl"), "1 of 4 files in 'gray' have no pickle in 'ins'"),
        (remove("train.txt"), "says nowhere which images are the split 'train'"),
        (remove("*/ins/P0001*", "*/gray/P0001*"), "has no annotation of any of the 3 images"),
        (copy_annotations, "must hold the annotations of one data set"),
        (copy_image, "two images named 'P0001_0000'"),
    ],
)
def test_a_wrong_or_half_downloaded_root_gives_one_sentence(sota, change, message):
    change(sota)
    with pytest.raises((FileNotFoundError, ValueError), match=message) as caught:
        read_samrs(sota, "train", "sota")
    assert str(caught.value).startswith("`root`")
    assert "\n" not in str(caught.value)


def test_wrong_arguments(sota, tmp_path):
    with pytest.raises(ValueError, match="`split` must be one of 'train', 'val' and 'whole'"):
        read_samrs(sota, "test", "sota")
    with pytest.raises(ValueError, match="`subset` must be 'sior', 'sota' or 'fast'"):
        read_samrs(sota, "train", "dota")
    with pytest.raises(FileNotFoundError, match="which is no folder"):
        read_samrs(tmp_path / "nowhere", "train", "sota")
    with pytest.raises(FileNotFoundError, match="none of DIOR's images 00001 to 11725"):
        read_samrs(sota / "dotav2_1024", "train", "sior")
    with pytest.raises(FileNotFoundError, match="`image_list` must be a text file"):
        read_samrs(sota, "train", "sota", image_list=tmp_path / "none.txt")


def test_folders_may_be_linked(sota, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    for entry in (sota / "dotav2_1024/trainval").iterdir():
        (linked / entry.name).symlink_to(entry)
    assert len(read_samrs(linked, "train", "sota").keys) == 3
