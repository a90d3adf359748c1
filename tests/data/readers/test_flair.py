import sys
from pathlib import Path

import numpy as np
import pytest

from score_hf.data.readers.flair import read_flair
from score_hf.data.records import Dropped
from tests.data.drawn_files import draw_image, draw_label, truncate

VALUES = [[1, 2, 12], [13, 15, 19], [0, 20, 6]]


def draw_bands(path: Path, bands: int = 5, dtype: str = "uint8") -> np.ndarray:
    """Red, green, blue, infrared and height, as IGN's images have them."""
    rasterio = pytest.importorskip("rasterio")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(bands * 9, dtype=dtype).reshape(bands, 3, 3)
    profile = {"driver": "GTiff", "count": bands, "height": 3, "width": 3, "dtype": dtype}
    transform = rasterio.Affine(0.2, 0, 0, 0, -0.2, 0)
    with rasterio.open(path, "w", transform=transform, compress="lzw", **profile) as raster:
        raster.write(pixels)
    return pixels


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Images and labels in archives of their own, train and test; one number in two domains."""
    for split, domain, zone, number in (
        ("test", "D012_2019", "Z10_UU", "062613"),
        ("test", "D022_2021", "Z1_NN", "062613"),
        ("train", "D001_2019", "Z1_UA", "000001"),
    ):
        draw_bands(tmp_path / f"flair_1_aerial_{split}" / domain / zone / f"img/IMG_{number}.tif")
        folder = tmp_path / f"flair_1_labels_{split}" / domain / zone / "msk"
        draw_label(folder / f"MSK_{number}.tif", VALUES)
    (tmp_path / "flair_1_metadata_aerial.json").write_text("{}")
    return tmp_path


def records_of(source) -> list:
    return [record for key in source.keys for record in source.read(key)]


def test_five_bands_become_red_green_and_blue(published):
    source = read_flair(published)
    records = records_of(source)
    assert (source.split, source.paper_count, len(records)) == ("test", 15_700, 2)
    pixels = np.arange(45, dtype=np.uint8).reshape(5, 3, 3)
    assert np.array_equal(np.asarray(records[0].image), pixels[:3].transpose(1, 2, 0))
    assert (records[0].width, records[0].height) == (3, 3)


def test_values_count_from_1_and_those_above_12_are_not_scored(published):
    source = read_flair(published)
    record = records_of(source)[0]
    assert len(source.class_names) == 12
    assert record.label.tolist() == [[0, 1, 11], [255, 255, 255], [255, 255, 5]]
    # 0 and 20 are not FLAIR's; building, class 0, must not swallow them.
    assert record.altered == ("label with values that are no class, ignored there",)


def test_values_above_12_can_be_kept_as_one_class(published):
    source = read_flair(published, "train", unscored="keep")
    record = records_of(source)[0]
    assert source.class_names[11:] == ("plowed land", "other")
    assert record.label.tolist() == [[0, 1, 11], [12, 12, 12], [255, 255, 5]]
    assert source.paper_count is None


def test_one_split_alone_and_the_toy_set(published, tmp_path):
    assert len(read_flair(published, "train").keys) == 1
    alone = tmp_path / "alone"
    alone.mkdir()
    for kind in ("aerial", "labels"):
        source = published / f"flair_1_{kind}_test" / "D012_2019"
        source.rename(alone / f"D012_2019_{kind}")
        (alone / f"{kind}").mkdir()
        (alone / f"D012_2019_{kind}").rename(alone / kind / "D012_2019")
    assert len(read_flair(alone, "test").keys) == 1
    toy = tmp_path / "flair_1_toy_dataset" / "test"
    toy.mkdir(parents=True)
    for kind in ("aerial", "labels"):
        (alone / kind).rename(toy / f"flair_1_toy_{kind}_test")
    assert len(read_flair(toy.parent, "test").keys) == 1


def test_as_gsnet_has_it(tmp_path):
    draw_image(tmp_path / "FLAIR/test/image/IMG_1.png", 3, 1)
    draw_label(tmp_path / "FLAIR/test/mask/IMG_1.png", [[0, 11, 12]])
    record = records_of(read_flair(tmp_path))[0]
    assert record.label.tolist() == [[0, 11, 255]]
    assert record.altered == ()
    kept = read_flair(tmp_path, unscored="keep")
    assert records_of(kept)[0].label.tolist() == [[0, 11, 12]]


def test_faulty_images_are_left_out_alone(published):
    base = published / "flair_1_aerial_test"
    truncate(base / "D012_2019/Z10_UU/img/IMG_062613.tif")
    draw_bands(base / "D022_2021/Z1_NN/img/IMG_062613.tif", bands=2)
    assert (
        records_of(read_flair(published))
        == [Dropped("IMG_062613.tif", "image cannot be decoded")] * 2
    )


def rename_labels(root: Path) -> None:
    (root / "flair_1_labels_test").rename(root.parent / "elsewhere")


def remove_mask(root: Path) -> None:
    (root / "flair_1_labels_test/D012_2019/Z10_UU/msk/MSK_062613.tif").unlink()


def remove_images(root: Path) -> None:
    (root / "flair_1_aerial_test").rename(root.parent / "elsewhere")


def copy_image(root: Path) -> None:
    draw_bands(root / "test copy/D012_2019/Z10_UU/img/IMG_062613.tif")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_mask, r"1 of 2 images have no label.*IMG_062613\.tif' first"),
        (rename_labels, "2 of 2 images have no label"),
        (remove_images, "must hold FLAIR's test images.*unpack flair_1_aerial_test"),
        (copy_image, "two files for one tile"),
    ],
)
def test_a_wrong_or_half_downloaded_root_gives_one_sentence(published, tmp_path, change, message):
    root = published / "inner"
    root.mkdir()
    for folder in list(published.iterdir()):
        if folder != root:
            folder.rename(root / folder.name)
    change(root)
    with pytest.raises((FileNotFoundError, ValueError), match=message) as caught:
        read_flair(root)
    assert str(caught.value).startswith("`root`")
    assert "\n" not in str(caught.value)


def test_wrong_splits(published):
    with pytest.raises(ValueError, match="`split` must be one of 'train' and 'test', but got 'val"):
        read_flair(published, "val")


def test_without_rasterio_one_sentence_says_how_to_get_it(published, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match="run `pip install rasterio`"):
        read_flair(published)
