import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from score_hf.data.categories import ISAID
from score_hf.data.checking import UNREADABLE
from score_hf.data.readers.isaid import read_isaid
from score_hf.data.readers.isaid_patches import (
    HAS_SPECK,
    NO_CLASS_COLOUR,
    TOO_SMALL,
    has_speck,
    windows,
)
from score_hf.data.readers.segmentations import BAD_POLYGON, FAR_POLYGON, PART_LEFT_OUT
from score_hf.data.records import Dropped
from score_hf.data.writing import write_split
from tests.data.drawn_coco import (
    annotation,
    box_polygon,
    draw,
    encode,
    image,
    records_of,
    write_coco,
)
from tests.data.drawn_files import truncate
from tests.data.drawn_isaid import (
    TRAIN_NUMBERS,
    VAL_NUMBERS,
    Scene,
    save_picture,
    scene_pixels,
    write_devkit_patches,
)


def whole(record, height: int, width: int) -> dict[str, list[np.ndarray]]:
    """Masks by class."""
    found: dict[str, list[np.ndarray]] = {}
    for one in record.objects:
        mask = draw(one.segmentation)
        assert mask.shape == (height, width)
        found.setdefault(one.category, []).append(mask)
    return found


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1000, 1500, [(0, 0), (0, 600), (0, 700), (200, 0), (200, 600), (200, 700)]),
        (801, 1400, [(0, 0), (0, 600), (1, 0), (1, 600)]),
        (2000, 2000, [(top, left) for top in (0, 600, 1200) for left in (0, 600, 1200)]),
    ],
)
def test_windows_end_at_the_border(height, width, expected):
    cut = windows(height, width, 800, 200)
    assert [(one.top, one.left) for one in cut] == expected
    assert {(one.bottom - one.top, one.right - one.left) for one in cut} == {(800, 800)}


@pytest.mark.parametrize("size", [(800, 800), (800, 2000), (558, 1563), (6402, 525), (100, 90)])
def test_scenes_with_a_side_that_fits_are_not_cut(size):
    (window,) = windows(*size, 800, 200)
    assert window == (0, size[0], 0, size[1])


def test_specks():
    mask = np.zeros((12, 12), dtype=bool)
    mask[:5, :5] = True
    assert not has_speck(mask)
    mask[6, 5] = True  # Touches nothing: (4, 4) is two rows away.
    assert has_speck(mask)
    mask[5, 5] = True  # Joins it at a corner.
    assert not has_speck(mask)
    mask[10, 10] = True
    assert has_speck(mask)
    mask[11, 11] = True
    assert has_speck(mask)
    mask[9, 9] = True
    assert not has_speck(mask)


@pytest.fixture
def scenes(tmp_path) -> Path:
    """One large scene, one small grey one, and one that the devkit passes over."""
    large = Scene(1000, 1500)
    ring = large.box(100, 200, 100, 200) & ~large.box(130, 170, 130, 170)
    large.add(ring, 1000, "ship")
    large.add(large.box(300, 340, 780, 830), 65_536 + 7, "plane")
    large.add(large.box(500, 510, 500, 501), 70_000, "ship")  # 10 pixels
    large.add(large.box(600, 611, 500, 501), 70_001, "ship")  # 11 pixels
    broken = large.box(400, 420, 400, 420) | large.box(430, 431, 430, 432)
    large.add(broken, 3_000_000, "Small_Vehicle")
    large.add(large.box(700, 750, 0, 50), 999, "ship")  # No instance.
    large.add(large.box(800, 850, 0, 50), 5000, (1, 2, 3))
    large.save(tmp_path / "train" / "images", "P0003")
    small = Scene(300, 900)
    small.add(small.box(10, 30, 20, 50), 1234, "Small_Vehicle")
    small.save(tmp_path / "train" / "images", "P0010", "L")
    Scene(20, 20).save(tmp_path / "train" / "images", "P1527")
    save_picture(tmp_path / "test" / "images" / "P0006.png", 50, 50)
    return tmp_path


def test_names_of_patches_say_rows_first(scenes):
    records = records_of(read_isaid(scenes, "train"))
    assert [one.file_name for one in records] == [
        "P0003_0_800_0_800.png",
        "P0003_0_800_600_1400.png",
        "P0003_0_800_700_1500.png",
        "P0003_200_1000_0_800.png",
        "P0003_200_1000_600_1400.png",
        "P0003_200_1000_700_1500.png",
        "P0010.png",
    ]
    assert [one.image_id for one in records] == list(range(7))


def test_patches_are_cut_from_the_scene(scenes):
    records = records_of(read_isaid(scenes, "train"))
    pixels = scene_pixels(1000, 1500)
    np.testing.assert_array_equal(np.array(records[4].image), pixels[200:1000, 600:1400])
    assert records[6].image == scenes / "train" / "images" / "P0010.png"
    assert (records[6].width, records[6].height) == (900, 300)


def test_masks_are_exact_with_holes_and_large_numbers(scenes):
    first, second, *_, small = records_of(read_isaid(scenes, "train"))
    found = whole(first, 800, 800)
    assert sorted(found) == ["plane", "ship"]
    ring, bar = sorted(found["ship"], key=lambda mask: -mask.sum())
    assert ring.sum() == 100 * 100 - 40 * 40
    assert not ring[150, 150]
    assert bar.sum() == 11
    assert found["plane"][0].sum() == 40 * 20
    (plane,) = whole(second, 800, 800)["plane"]
    np.testing.assert_array_equal(np.argwhere(plane)[[0, -1]], [[300, 180], [339, 229]])
    assert [mask.sum() for mask in whole(small, 300, 900)["Small_Vehicle"]] == [600]


def test_what_the_devkit_leaves_out_is_left_out(scenes):
    (
        first,
        *_,
    ) = records_of(read_isaid(scenes, "train"))
    assert sorted(first.dropped) == sorted([TOO_SMALL, HAS_SPECK])
    fourth = records_of(read_isaid(scenes, "train"))[3]
    assert fourth.dropped.count(NO_CLASS_COLOUR) == 1


def test_the_prepared_set(scenes, tmp_path):
    summary = write_split(read_isaid(scenes, "train"), tmp_path / "out")
    assert (summary["images"], summary["paper_images"]) == (7, 18_732)
    assert summary["class_names"] == list(ISAID)
    assert any("28,029" in note for note in summary["notes"])


def test_other_patches(scenes):
    source = read_isaid(scenes, "train", side=512, overlap=0)
    assert len(source.keys) == 2 * 3 + 1
    assert not any("28,029" in note for note in source.notes)


def test_a_scene_that_cannot_be_read_is_left_out_patch_by_patch(scenes):
    path = scenes / "train" / "images" / "P0003_instance_id_RGB.png"
    truncate(path)
    records = records_of(read_isaid(scenes, "train"))
    assert records[0] == Dropped("P0003_0_800_0_800.png", UNREADABLE)
    assert [isinstance(one, Dropped) for one in records] == [True] * 6 + [False]
    truncate(scenes / "train" / "images" / "P0010.png")
    path.with_name("P0003.png").write_bytes(b"no picture")
    records = records_of(read_isaid(scenes, "train"))
    assert all(isinstance(one, Dropped) for one in records)
    assert len(records) == 2


def official(root: Path, split: str, numbers: dict[int, str], with_sizes: bool) -> Path:
    """As the official files are, one number meaning another class in each."""
    folder = root / f"{split.capitalize()}Data" / split / "images" / "images"
    save_picture(folder / "P0003.png", 900, 1000)
    save_picture(folder / "P0010.png", 300, 900)
    number_of = {name: number for number, name in numbers.items()}
    size = (1000, 900) if with_sizes else (None, None)
    images = [
        {**image(1, "P0003.png", *size), "ins_file_name": "P0003_instance_id_RGB.png"},
        image(0, "P0010.png", *((900, 300) if with_sizes else (None, None))),
    ]
    kinds = [
        ("ship", [box_polygon(100, 100, 200, 200)]),
        ("Helicopter", [box_polygon(700, 300, 900, 340), [1, 2, 3]]),
        ("plane", [box_polygon(-5, 880, 10, 910)]),
        ("Harbor", [[1, 2, 3, 4]]),
        ("Harbor", [box_polygon(0, 0, 1e7, 1e7)]),
        ("Bridge", [box_polygon(2000, 2000, 2100, 2100)]),
    ]
    annotations = [
        annotation(k, 1, number_of[name], polygons, iscrowd=0, category_name=name)
        for k, (name, polygons) in enumerate(kinds)
    ]
    annotations.append(annotation(90, 0, number_of["ship"], [box_polygon(3, 3, 13, 9)]))
    path = root / f"{split.capitalize()}Data" / split / "Annotations" / f"iSAID_{split}.json"
    return write_coco(path, images, annotations, numbers)


@pytest.mark.parametrize(
    ("split", "numbers", "with_sizes"),
    [("train", TRAIN_NUMBERS, False), ("val", VAL_NUMBERS, True)],
)
def test_official_files_go_by_name_in_both_splits(tmp_path, split, numbers, with_sizes):
    official(tmp_path, "train", TRAIN_NUMBERS, False)
    official(tmp_path, "val", VAL_NUMBERS, True)
    source = read_isaid(tmp_path, split)
    assert source.class_names == ISAID
    records = records_of(source)
    assert [one.file_name for one in records] == [
        "P0003_0_800_0_800.png",
        "P0003_0_800_200_1000.png",
        "P0003_100_900_0_800.png",
        "P0003_100_900_200_1000.png",
        "P0010.png",
    ]
    assert [sorted({o.category for o in one.objects}) for one in records] == [
        ["Helicopter", "ship"],
        ["Helicopter"],
        ["Helicopter", "plane", "ship"],
        ["Helicopter"],
        ["ship"],
    ]
    third = whole(records[2], 800, 800)
    assert third["ship"][0].sum() == 100 * 100
    np.testing.assert_array_equal(
        np.argwhere(third["Helicopter"][0])[[0, -1]], [[200, 700], [239, 799]]
    )
    assert third["plane"][0].sum() == 20 * 10
    assert [one.dropped for one in records] == [(BAD_POLYGON, FAR_POLYGON), (), (), (), ()]
    assert [one.altered for one in records] == [(PART_LEFT_OUT,), (), (), (), ()]


def test_of_two_official_files_the_one_with_more_classes_is_read(tmp_path):
    path = official(tmp_path, "train", TRAIN_NUMBERS, False)
    fewer = {number: name for number, name in TRAIN_NUMBERS.items() if name != "Harbor"}
    write_coco(path.with_name("iSAID_train_20190823_114751.json"), [image(1, "x.png")], [], fewer)
    assert any(
        "masks from iSAID_train.json" in note for note in read_isaid(tmp_path, "train").notes
    )


@pytest.mark.parametrize("with_runs", [False, True])
def test_both_sources_of_masks_agree(tmp_path, with_runs):
    scene = Scene(900, 1000)
    scene.add(scene.box(100, 200, 100, 200), 1001, "ship")
    scene.add(scene.box(500, 540, 700, 900), 1002, "plane")
    scene.save(tmp_path / "train" / "images", "P0003")
    polygons = {5: box_polygon(100, 100, 200, 200), 4: box_polygon(700, 500, 900, 540)}
    write_coco(
        tmp_path / "train" / "iSAID_train.json",
        [image(0, "P0003.png", 1000, 900)],
        [
            annotation(k, 0, k, encode(scene.numbers == number) if with_runs else [polygons[k]])
            for number, k in ((1001, 5), (1002, 4))
        ],
        TRAIN_NUMBERS,
    )
    found = [
        [[(o.category, o.segmentation) for o in one.objects] for one in records_of(source)]
        for source in (
            read_isaid(tmp_path, "train", masks="pictures"),
            read_isaid(tmp_path, "train", masks="json"),
        )
    ]
    assert found[0] == found[1]


def test_devkit_patches(tmp_path):
    write_devkit_patches(tmp_path)
    source = read_isaid(tmp_path, "train")
    assert source.class_names == ISAID
    cut, small, empty = records_of(source)
    assert (cut.file_name, cut.width, cut.height) == ("P0001_0_800_600_1400.png", 800, 800)
    assert [(o.id, o.category, o.area) for o in cut.objects] == [
        (0, "ship", 100),
        (3, "Small_Vehicle", None),
    ]
    assert cut.altered == (PART_LEFT_OUT,)
    assert draw(cut.objects[1].segmentation).sum() == 20 * 20 + 30 * 20
    # Outlines go through pixel centres, so 100 pixels come back as 81.
    assert draw(cut.objects[0].segmentation).sum() == 81
    assert (small.file_name, small.width, small.height) == ("P0002.png", 900, 520)
    assert empty.objects == ()


@pytest.mark.parametrize(
    "name", ["instance_only_filtered_train.json", "instances_train.json", "annotations/Label.json"]
)
def test_other_names_of_the_devkit_file(tmp_path, name):
    path = write_devkit_patches(tmp_path)
    target = path.parent / name
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    assert len(read_isaid(tmp_path, "train").keys) == 3


def test_mmdetection_adds_a_background(tmp_path):
    path = write_devkit_patches(tmp_path)
    path.write_text(
        path.read_text().replace(
            '"categories": [', '"categories": [{"id": 0, "name": "background"}, '
        )
    )
    assert read_isaid(tmp_path, "train").class_names == ISAID


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("test", {}, "`split` must be one of train, val, got 'test'"),
        ("train", {"form": "tiles"}, "`form` must be one of auto, scenes, patches"),
        ("train", {"masks": "png"}, "`masks` must be one of auto, pictures, json"),
        ("train", {"side": 100, "overlap": 100}, "`overlap` must lie between 0 and `side`"),
    ],
)
def test_wrong_arguments(scenes, split, options, message):
    with pytest.raises(ValueError, match=message):
        read_isaid(scenes, split, **options)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("train", r"has no scenes of train"),
        ("train/images/P0003.png", r"incomplete.*P0003_instance_id_RGB\.png"),
        ("train/images/P0010_instance_id_RGB.png", r"incomplete.*1 of 3 images have no label"),
        ("train/images/P0003_instance_color_RGB.png", r"incomplete.*P0003\.png"),
    ],
)
def test_half_downloaded_scenes(scenes, gone, message):
    remove(scenes / gone)
    with pytest.raises(FileNotFoundError, match=message):
        read_isaid(scenes, "train")


def test_half_downloaded_official_files(tmp_path):
    path = official(tmp_path, "train", TRAIN_NUMBERS, False)
    (scene,) = tmp_path.rglob("P0010.png")
    scene.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"incomplete: 1 of the 2 scenes.*'P0010\.png' first"
    ):
        read_isaid(tmp_path, "train")
    save_picture(scene, 300, 900)
    save_picture(scene.with_name("P0099.png"), 300, 900)
    with pytest.raises(ValueError, match=r"1 scenes that .* does not list"):
        read_isaid(tmp_path, "train")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no masks of train: neither .* nor iSAID_train"):
        read_isaid(tmp_path, "train")


def test_half_downloaded_patches(tmp_path):
    path = write_devkit_patches(tmp_path)
    (tmp_path / "train" / "images" / "P0002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of the 3 pictures"):
        read_isaid(tmp_path, "train")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no instancesonly_filtered_train\.json"):
        read_isaid(tmp_path, "train")


def test_a_root_that_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`root` must be the folder"):
        read_isaid(tmp_path / "nowhere", "train")
    with pytest.raises(FileNotFoundError, match=r"has no scenes of val"):
        read_isaid(tmp_path, "val")


def test_scenes_and_patches_below_one_root(scenes):
    write_devkit_patches(scenes / "iSAID_patches")
    with pytest.raises(ValueError, match=r"holds both scenes and patches of train; say which"):
        read_isaid(scenes, "train")
    assert len(read_isaid(scenes, "train", form="patches").keys) == 3
    Image.new("RGB", (9, 9)).save(scenes / "iSAID_patches" / "train" / "images" / "P0003.png")
    with pytest.raises(ValueError, match=r"P0003\.png' have the same name"):
        read_isaid(scenes, "train", form="patches")
