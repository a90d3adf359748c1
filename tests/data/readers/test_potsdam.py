from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from score_hf.data.readers.potsdam import read_potsdam
from score_hf.data.readers.potsdam_tiles import SPLITS
from tests.data.drawn_files import draw_image, draw_label

COLOURS = {
    "impervious surface": (255, 255, 255),
    "building": (0, 0, 255),
    "low vegetation": (0, 255, 255),
    "tree": (0, 255, 0),
    "car": (255, 255, 0),
    "clutter": (255, 0, 0),
    "boundary": (0, 0, 0),
    "off-palette": (252, 255, 255),
    "magenta": (255, 0, 255),
}
HEIGHT, WIDTH = 100, 140


def draw_tile(root: Path, name: str, colours: dict[str, tuple[int, int, int]]) -> None:
    """One tile of noise; its label has the colours one below another in rows of ten pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    folder = root / "2_Ortho_RGB"
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"top_potsdam_{name}_RGB.tif")
    label = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for row, colour in enumerate(colours.values()):
        label[10 * row : 10 * row + 10] = colour
    folder = root / "5_Labels_all_noBoundary"
    folder.mkdir(exist_ok=True)
    Image.fromarray(label).save(folder / f"top_potsdam_{name}_label_noBoundary.tif")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """The 14 tiles of val as ISPRS publishes them, but small; with files that are not wanted."""
    root = tmp_path_factory.mktemp("Potsdam")
    for row, column in SPLITS["val"]:
        draw_tile(root, f"{row}_{column}", COLOURS)
    (root / "2_Ortho_RGB" / "top_potsdam_2_13_RGB.tfw").write_text("0.05\n")
    draw_image(root / "4_Ortho_RGBIR" / "top_potsdam_2_13_RGBIR.tif")
    return root


def records_of(source, number: int | None = None) -> list:
    return [record for key in source.keys[:number] for record in source.read(key)]


def test_there_are_38_tiles():
    assert [len(SPLITS[split]) for split in ("train", "val", "whole")] == [24, 14, 38]
    assert len(set(SPLITS["whole"])) == 38
    assert not set(SPLITS["train"]) & set(SPLITS["val"])


def test_tiles_are_cut_into_patches_that_end_at_the_border(published):
    source = read_potsdam(published, "val", patch_size=64)
    assert len(source.keys) == 14 * 6
    records = records_of(source, 6)
    # x before y in the names, as mmsegmentation has them.
    assert [record.file_name for record in records] == [
        "2_13_0_0_64_64.png", "2_13_64_0_128_64.png", "2_13_76_0_140_64.png",
        "2_13_0_36_64_100.png", "2_13_64_36_128_100.png", "2_13_76_36_140_100.png",
    ]  # fmt: skip
    assert {record.image.size for record in records} == {(64, 64)}
    tile = np.asarray(Image.open(published / "2_Ortho_RGB" / "top_potsdam_2_13_RGB.tif"))
    assert np.array_equal(np.asarray(records[5].image), tile[36:100, 76:140])


def test_tiles_of_6000_pixels_give_the_papers_number_of_patches():
    from score_hf.data.readers.potsdam_tiles import _starts

    starts = _starts(6000, 512)
    assert starts[-2:] == [5120, 5488]
    assert len(starts) ** 2 * len(SPLITS["whole"]) == 5_472


def test_numbers_are_unique_and_those_of_other_splits(published):
    ids = [key.image_id for key in read_potsdam(published, "val", patch_size=64).keys]
    assert len(set(ids)) == len(ids)
    assert ids[0] == SPLITS["whole"].index((2, 13)) * 10_000


@pytest.mark.parametrize(("unscored", "clutter"), [("ignore", 255), ("keep", 5)])
def test_colours_become_classes(published, unscored, clutter):
    source = read_potsdam(published, "val", unscored=unscored)
    record = records_of(source, 1)[0]
    assert record.label.shape == (HEIGHT, WIDTH)
    assert record.label[5::10, 0].tolist() == [0, 1, 2, 3, 4, clutter, 255, 255, 255, 255]
    assert record.altered == ("label with values that are no class, ignored there",)
    assert source.class_names == tuple(COLOURS)[: 5 if unscored == "ignore" else 6]
    assert source.paper_count is None


def test_labels_with_boundaries(published, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"top_potsdam_2_13_label\.tif' first.*_all\.zip"):
        read_potsdam(published, "val", boundaries="labelled")


def test_a_tile_without_strange_colours_is_not_reported(tmp_path):
    for row, column in SPLITS["val"]:
        draw_tile(tmp_path, f"{row}_{column}", {"tree": COLOURS["tree"]})
    record = records_of(read_potsdam(tmp_path, "val"), 1)[0]
    assert record.altered == ()
    assert np.unique(record.label).tolist() == [3, 255]


def test_half_a_tile_costs_its_patches(tmp_path):
    for row, column in SPLITS["val"]:
        draw_tile(tmp_path, f"{row}_{column}", COLOURS)
    # Its header is whole.
    image = tmp_path / "2_Ortho_RGB" / "top_potsdam_2_14_RGB.tif"
    Image.open(image).save(image, compression="tiff_lzw", strip_size=1 << 20)
    content = bytearray(image.read_bytes())
    content[8 : len(content) // 2] = bytes(len(content) // 2 - 8)
    image.write_bytes(content)
    results = records_of(read_potsdam(tmp_path, "val", patch_size=64), 13)
    reasons = [getattr(result, "reason", None) for result in results]
    assert reasons == [None] * 6 + ["image cannot be decoded"] * 6 + [None]


@pytest.mark.parametrize(
    ("whose", "values", "expected"),
    [
        ("gsnet", [[0, 1, 2], [3, 4, 5], [255, 6, 6]], [[0, 1, 2], [3, 4, 255], [255, 255, 255]]),
        ("mmseg", [[0, 1, 2], [3, 4, 5], [6, 7, 7]], [[255, 0, 1], [2, 3, 4], [255, 255, 255]]),
    ],
)
def test_finished_patches(tmp_path, whose, values, expected):
    name = "2_13_0_0_512_512.png"
    draw_image(tmp_path / "PotsdamSplit/img_dir/val" / name, 3, 3)
    draw_label(tmp_path / "PotsdamSplit/ann_dir/val" / name, values)
    source = read_potsdam(tmp_path, patch_values=whose)
    record = records_of(source)[0]
    assert source.paper_count == 5_472
    assert record.label.tolist() == expected
    assert record.altered == ("label with values that are no class, ignored there",)
    with pytest.raises(ValueError, match="`patch_values` must say whether the patches in"):
        read_potsdam(tmp_path)


def copy_of_published(published: Path, root: Path) -> None:
    for path in published.rglob("*.tif"):
        target = root / path.relative_to(published)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())


def shrink(root: Path) -> None:
    draw_image(root / "5_Labels_all_noBoundary/top_potsdam_6_14_label_noBoundary.tif")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: (root / "2_Ortho_RGB/top_potsdam_7_13_RGB.tif").unlink(),
            r"lacks 1 of the 14 tiles of 'val', 'top_potsdam_7_13_RGB\.tif' first",
        ),
        (
            lambda root: (root / "5_Labels_all_noBoundary").rename(root.parent / "elsewhere"),
            r"lacks 14 of the 14 tiles.*label_noBoundary\.tif' first.*_noBoundary\.zip",
        ),
        (
            lambda root: (root / "2_Ortho_RGB/top_potsdam_7_13_RGB.tif").write_bytes(b""),
            "has a damaged tile",
        ),
        (
            lambda root: draw_image(root / "copy" / "top_potsdam_2_13_RGB.tif"),
            "two files for one tile",
        ),
        (shrink, r"\(100, 140\), but its label .* has \(10, 12\)"),
    ],
)
def test_a_wrong_or_half_downloaded_root_gives_one_sentence(published, tmp_path, change, message):
    root = tmp_path / "Potsdam"
    root.mkdir()
    copy_of_published(published, root)
    change(root)
    with pytest.raises((FileNotFoundError, ValueError), match=message) as caught:
        read_potsdam(root, "val")
    assert str(caught.value).startswith("`root`")
    assert "\n" not in str(caught.value)


def test_wrong_arguments(published):
    with pytest.raises(FileNotFoundError, match="lacks 24 of the 38 tiles of 'whole'"):
        read_potsdam(published)
    with pytest.raises(ValueError, match="`split` must be one of"):
        read_potsdam(published, "test")
    with pytest.raises(ValueError, match="`patch_size` must be at least 64 pixels, but got 8"):
        read_potsdam(published, "val", patch_size=8)
