from pathlib import Path

import pytest

from score_hf.data.categories import FAST, ISAID, NWPU, SIOR, SOTA
from score_hf.data.readers.score_release import SUBSETS, read_score, splits_of, subsets_of
from tests.data.drawn_coco import annotation, box_polygon, box_runs, image, records_of, write_coco
from tests.data.drawn_files import draw_image

# Folder, pictures and file of every split, as the authors' code reads them.
LAYOUT = {
    ("isaid", "train"): ("iSAID/train/images", "iSAID/train/instances_train.json", ISAID),
    ("isaid", "val"): ("iSAID/val/images", "iSAID/val/instances_val.json", ISAID),
    ("sior", "train"): ("SIOR/train/images", "SIOR/train/instances_train.json", SIOR),
    ("sior", "val"): ("SIOR/val/images", "SIOR/val/instances_val.json", SIOR),
    ("nwpu", "val"): ("NWPU/image_patches", "NWPU/instances_val.json", NWPU),
    ("sota", "val"): ("SOTA/val/images", "SOTA/val/instances_val.json", SOTA),
    ("fast", "val"): ("FAST/val/images", "FAST/val/instances_val.json", FAST),
}
BOX = [box_polygon(5, 10, 25, 20)]


@pytest.fixture
def root(tmp_path) -> Path:
    for (_, split), (pictures, annotations, names) in LAYOUT.items():
        for stem in ("a", "b"):
            draw_image(tmp_path / pictures / f"{stem}.png", 60, 40)
        # Polygons in train; val may have run lengths.
        mask = BOX if split == "train" else box_runs((40, 60), 5, 10, 25, 20)
        objects = [annotation(0, 1, 2, mask), annotation(1, 1, len(names), mask)]
        write_coco(
            tmp_path / annotations,
            [image(1, "a.png"), image(2, "b.png")],
            objects,
            dict(enumerate(names, 1)),
        )
    return tmp_path


@pytest.mark.parametrize(("subset", "split"), LAYOUT)
def test_every_set(root, subset, split):
    names = LAYOUT[subset, split][2]
    source = read_score(root, split, subset)
    assert (source.class_names, source.split) == (names, split)
    first, second = records_of(source)
    assert [one.category for one in first.objects] == [names[1], names[-1]]
    assert second.objects == ()
    assert bool(source.notes) == ((subset, split) == ("isaid", "train"))


@pytest.mark.parametrize(
    ("subset", "split", "images"),
    [
        ("isaid", "train", 18_732),
        ("isaid", "val", None),
        ("sior", "train", 11_725),
        ("sior", "val", 11_738),
        ("nwpu", "val", 731),
        ("sota", "val", 874),
        ("fast", "val", 3_207),
    ],
)
def test_the_papers_counts(root, subset, split, images):
    assert read_score(root, split, subset).paper_count == images


def test_numbers_of_classes():
    assert [len(names) for names in (ISAID, SIOR, NWPU, SOTA, FAST)] == [15, 20, 10, 18, 37]
    assert {(subset, split) for subset in SUBSETS for split in splits_of(subset)} == set(LAYOUT)


def test_what_is_there_is_found_from_the_root_or_the_folder_above(root, tmp_path):
    assert subsets_of(root) == SUBSETS
    above = tmp_path / "data"
    above.mkdir()
    for name in ("iSAID", "NWPU"):
        (root / name).rename(above / name)
    assert subsets_of(above) == ("isaid", "nwpu")
    assert len(read_score(tmp_path / "data", "val", "nwpu").keys) == 2


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'iSAID', 'SIOR'.*has none.*may lie anywhere"):
        read_score(tmp_path, "train", "isaid")
    with pytest.raises(FileNotFoundError, match="`root` must be the folder"):
        subsets_of(tmp_path / "nowhere")


@pytest.mark.parametrize("gone", ["iSAID/train/instances_train.json", "iSAID/train/images"])
def test_a_part_that_is_not_there(root, gone):
    (root / gone).rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=rf"not complete: iSAID's train needs '.*{gone}'"):
        read_score(root, "train", "isaid")


def test_a_picture_that_is_not_there(root):
    (root / "FAST/val/images/b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 2 pictures.*'b\.png' first"):
        read_score(root, "val", "fast")


def test_the_file_of_another_set(root):
    (root / "FAST/val/instances_val.json").rename(root / "SOTA/val/instances_val.json")
    source = read_score(root, "val", "sota")
    assert any("not of this data set: A220" in note for note in source.notes)
    names = {1: "A220", 2: "Warship"}
    write_coco(root / "SOTA/val/instances_val.json", [image(1, "a.png")], [], names)
    with pytest.raises(ValueError, match="it is of another data set"):
        read_score(root, "val", "sota")


def test_wrong_arguments(root):
    with pytest.raises(ValueError, match=r"`subset` must be one of 'isaid', .* but got 'coco'"):
        read_score(root, "val", "coco")
    with pytest.raises(ValueError, match="`split` of NWPU must be 'val', but got 'train'"):
        read_score(root, "train", "nwpu")
