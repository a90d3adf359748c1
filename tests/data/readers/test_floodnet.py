from pathlib import Path

import pytest

from score_hf.data.readers.floodnet import read_floodnet
from tests.data.drawn_files import draw_image, draw_label


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As the authors publish it: images of two sizes, and coloured copies of the labels."""
    base = tmp_path / "FloodNet-Supervised_v1.0"
    for split, stem, values in (
        ("train", "6279", [[0, 9, 9], [9, 9, 9]]),
        ("val", "7577", [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]),
        ("test", "6335", [[5, 5, 10], [5, 5, 5]]),
    ):
        draw_image(base / split / f"{split}-org-img" / f"{stem}.jpg", len(values[0]), len(values))
        draw_label(base / split / f"{split}-label-img" / f"{stem}_lab.png", values)
        colours = tmp_path / f"ColorMasks-FloodNetv1.0/ColorMasks-{split.title()}Set"
        draw_image(colours / f"{stem}_lab.png", 4, 4)
    return tmp_path


def records_of(source) -> list:
    return [record for key in source.keys for record in source.read(key)]


def test_the_paper_scores_validation_and_test_together(root):
    source = read_floodnet(root)
    records = records_of(source)
    assert (source.split, source.paper_count) == ("val_test", 898)
    assert [record.file_name for record in records] == ["7577.jpg", "6335.jpg"]
    assert [(record.width, record.height) for record in records] == [(4, 3), (3, 2)]
    assert len({record.image_id for record in records}) == 2


def test_background_is_ignored_and_the_others_count_from_0(root):
    source = read_floodnet(root)
    assert len(source.class_names) == 9
    assert source.class_names[0] == "Building-Flooded"
    record = records_of(source)[0]
    assert record.label.tolist() == [[255, 0, 1, 2], [3, 4, 5, 6], [7, 8, 8, 8]]


def test_background_can_be_kept(root):
    source = read_floodnet(root, "train", unscored="keep")
    assert source.class_names[8:] == ("Grass", "Background")
    assert records_of(source)[0].label.tolist() == [[9, 8, 8], [8, 8, 8]]
    assert source.paper_count is None
    assert source.settings != read_floodnet(root, "train").settings


def test_values_that_are_no_class_are_ignored_and_counted(root):
    record = records_of(read_floodnet(root, "test"))[0]
    assert record.label.tolist() == [[4, 4, 255], [4, 4, 4]]
    assert record.altered == ("label with values that are no class, ignored there",)


@pytest.mark.parametrize("suffix", ["", "_lab"])
def test_as_gsnet_has_it(tmp_path, suffix):
    draw_image(tmp_path / "FloodNet/val+test/img/7577.jpg", 2, 1)
    draw_label(tmp_path / f"FloodNet/val+test/lbl/7577{suffix}.png", [[0, 9]])
    assert records_of(read_floodnet(tmp_path))[0].label.tolist() == [[255, 8]]


def remove(path: str):
    return lambda base: (base / path).unlink()


def add_unlabelled(base: Path) -> None:
    draw_image(base / "test/test-org-img/6336.jpg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("val/val-label-img/7577_lab.png"), "1 of 1 images have no label"),
        (remove("test/test-org-img/6335.jpg"), "1 of 1 labels have no image"),
        (add_unlabelled, r"1 of 2 images have no label.*6336\.jpg' first"),
        (lambda base: (base / "test").rename(base / "testing"), "folders 'test/test-org-img' and"),
    ],
)
def test_a_wrong_or_half_downloaded_root_gives_one_sentence(root, change, message):
    change(root / "FloodNet-Supervised_v1.0")
    with pytest.raises(FileNotFoundError, match=message) as caught:
        read_floodnet(root)
    assert str(caught.value).startswith("`root`")
    assert "\n" not in str(caught.value)


def test_wrong_splits(root):
    with pytest.raises(ValueError, match="'train', 'val', 'test' and 'val_test', but got 'all'"):
        read_floodnet(root, "all")
