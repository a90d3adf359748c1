from pathlib import Path

import numpy as np
import pytest

from score_hf.data.readers.landdiscover import read_landdiscover
from score_hf.data.records import Dropped
from tests.data.drawn_files import draw_image, draw_label, truncate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As the joined zip unpacks, in a folder of its own."""
    base = tmp_path / "LandDiscover50K"
    draw_image(base / "TR_Image" / "b_2.png", 3, 2)
    draw_label(base / "GT_ID" / "b_2.png", [[0, 1, 39], [255, 12, 0]])
    draw_image(base / "TR_Image" / "a_1.png", 2, 1)
    draw_label(base / "GT_ID" / "a_1.png", [[40, 5]])
    return tmp_path


def records_of(source) -> list:
    return [record for key in source.keys for record in source.read(key)]


def test_values_are_class_indices_and_background_is_a_class(root):
    source = read_landdiscover(root)
    first, second = records_of(source)
    assert (source.kind, source.split, source.paper_count) == ("semantic", "train", 51_846)
    assert len(source.class_names) == 40
    assert source.class_names[0] == "background"
    # Misspelt in the data set, and so in the prompts of the published results.
    assert source.class_names[32] == "expresswalltoll station"
    assert (first.file_name, second.file_name) == ("a_1.png", "b_2.png")
    assert (first.image_id, second.image_id) == (0, 1)
    assert second.label.tolist() == [[0, 1, 39], [255, 12, 0]]
    assert second.altered == ()


def test_values_that_are_no_class_are_ignored_and_counted(root):
    first = records_of(read_landdiscover(root))[0]
    assert first.label.tolist() == [[255, 5]]
    assert first.altered == ("label with values that are no class, ignored there",)


def test_the_folder_itself_can_be_named(root):
    assert len(read_landdiscover(root / "LandDiscover50K").keys) == 2


def test_faulty_images_are_left_out_alone(root):
    base = root / "LandDiscover50K"
    draw_label(base / "GT_ID/a_1.png", np.zeros((2, 2)))
    truncate(base / "GT_ID/b_2.png")
    assert records_of(read_landdiscover(root)) == [
        Dropped("a_1.png", "image and label differ in size"),
        Dropped("b_2.png", "label cannot be decoded"),
    ]


def remove(path: str):
    return lambda base: (base / path).unlink()


def colour(base: Path) -> None:
    draw_image(base / "GT_ID/a_1.png", 2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("TR_Image/a_1.png"), "0 of 1 images have no label and 1 of 2 labels have no image"),
        (remove("GT_ID/b_2.png"), "1 of 2 images have no label and 0 of 1 labels have no image"),
        (lambda base: (base / "GT_ID").rename(base / "GT"), "folders 'TR_Image' and 'GT_ID'"),
        (colour, "a label with 3 colour channels"),
    ],
)
def test_a_wrong_or_half_downloaded_root_gives_one_sentence(root, change, message):
    change(root / "LandDiscover50K")
    with pytest.raises((FileNotFoundError, ValueError), match=message) as caught:
        records_of(read_landdiscover(root))
    assert str(caught.value).startswith("`root`")
    assert "\n" not in str(caught.value)


def test_two_copies_and_wrong_splits(root):
    (root / "copy" / "TR_Image").mkdir(parents=True)
    (root / "copy" / "GT_ID").mkdir()
    with pytest.raises(ValueError, match="`root` must hold one data set"):
        read_landdiscover(root)
    with pytest.raises(ValueError, match="`split` must be one of 'train', but got 'val'"):
        read_landdiscover(root, "val")
    with pytest.raises(FileNotFoundError, match="`root` has no images in"):
        read_landdiscover(root / "copy")
