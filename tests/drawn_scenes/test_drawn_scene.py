"""The drawn scenes: repeatable, consistent with their masks, and complete."""

import subprocess
import sys

import numpy as np
import pytest

from score_hf.drawn_scenes import DRAWN_VOCABULARY, DrawnScene, draw_scene, drawn_scenes_as_coco


@pytest.fixture(scope="module")
def scenes() -> list[DrawnScene]:
    return [draw_scene(seed) for seed in range(40)]


def colours_under(scenes: list[DrawnScene], class_name: str) -> np.ndarray:
    """The RGB values of all pixels of a class, (pixels, 3)."""
    return np.concatenate(
        [
            np.asarray(scene.image)[mask].astype(float)
            for scene in scenes
            for mask, name in zip(scene.masks, scene.class_names, strict=True)
            if name == class_name
        ]
    )


def test_same_seed_same_scene() -> None:
    first, second = draw_scene(7, 128), draw_scene(7, 128)
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
    assert np.array_equal(first.masks, second.masks)
    assert first.class_names == second.class_names


def test_other_seed_other_scene() -> None:
    first, second = draw_scene(7, 128), draw_scene(8, 128)
    assert not np.array_equal(np.asarray(first.image), np.asarray(second.image))


def test_same_scene_in_another_process() -> None:
    code = (
        "import zlib; from score_hf.drawn_scenes import draw_scene; s = draw_scene(11, 96);"
        "print(zlib.crc32(s.image.tobytes()), zlib.crc32(s.masks.tobytes()), s.class_names)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


def test_does_not_touch_the_global_generator() -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    draw_scene(3, 64)
    assert np.random.random() == expected


@pytest.mark.parametrize("size, shape", [(64, (64, 64)), ((100, 70), (100, 70)), (512, (512, 512))])
def test_sizes(size: int | tuple[int, int], shape: tuple[int, int]) -> None:
    scene = draw_scene(5, size)
    assert scene.image.mode == "RGB"
    assert scene.image.size == shape[::-1]
    assert scene.masks.shape == (len(scene.class_names), *shape)
    assert scene.masks.dtype == bool
    assert scene.boxes.shape == (len(scene.class_names), 4)


def test_a_larger_picture_holds_more_objects_of_the_same_size() -> None:
    small = [draw_scene(seed, 128) for seed in range(12)]
    large = [draw_scene(seed, 512) for seed in range(4)]
    few = np.mean([len(scene.masks) for scene in small])
    many = np.mean([len(scene.masks) for scene in large])
    assert many > 6 * few
    longest = max(
        (scene.boxes[index, 2:] - scene.boxes[index, :2]).max()
        for scene in large
        for index, name in enumerate(scene.class_names)
        if name == "vehicle"
    )
    assert longest < 30


def test_masks_are_disjoint_and_not_tiny(scenes: list[DrawnScene]) -> None:
    for scene in scenes:
        assert scene.masks.sum(axis=0).max(initial=0) <= 1
        assert scene.masks.sum(axis=(1, 2)).min(initial=12) >= 12


def test_every_scene_shows_something(scenes: list[DrawnScene]) -> None:
    counts = [len(scene.class_names) for scene in scenes]
    assert min(counts) >= 1
    assert 5 <= np.mean(counts) <= 15


def test_every_class_appears(scenes: list[DrawnScene]) -> None:
    drawn = {name for scene in scenes for name in scene.class_names}
    assert drawn == set(DRAWN_VOCABULARY)


def test_vocabulary_names_are_unambiguous() -> None:
    synonyms = [name for names in DRAWN_VOCABULARY.values() for name in names]
    assert len(synonyms) == len(set(synonyms))
    assert all(names[0] == canonical for canonical, names in DRAWN_VOCABULARY.items())


def test_boxes_enclose_their_masks(scenes: list[DrawnScene]) -> None:
    for scene in scenes[:8]:
        for (left, top, right, bottom), mask in zip(
            scene.boxes.astype(int), scene.masks, strict=True
        ):
            inside = mask[top:bottom, left:right]
            assert inside.sum() == mask.sum()
            assert inside[0].any() and inside[-1].any()
            assert inside[:, 0].any() and inside[:, -1].any()


def test_masks_lie_on_what_is_drawn(scenes: list[DrawnScene]) -> None:
    red, green, blue = colours_under(scenes, "swimming pool").mean(axis=0)
    assert blue > green > red + 30
    red, green, blue = colours_under(scenes, "soccer field").mean(axis=0)
    assert green > red + 15 and green > blue + 15
    red, green, blue = colours_under(scenes, "solar panel").mean(axis=0)
    assert blue > red + 15 and blue > green + 15
    red, green, blue = colours_under(scenes, "baseball diamond").mean(axis=0)
    assert red > blue + 20
    assert colours_under(scenes, "plane").mean() > 170


def test_a_pool_ends_where_its_mask_ends() -> None:
    seen = 0
    for seed in range(60):
        scene = draw_scene(seed)
        picture = np.asarray(scene.image).astype(float)
        for mask, name in zip(scene.masks, scene.class_names, strict=True):
            inner = np.zeros_like(mask)
            inner[1:-1, 1:-1] = (
                mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2]
                & mask[1:-1, 2:]
            )  # fmt: skip
            if name != "swimming pool" or inner.sum() < 100:
                continue
            grown = mask.copy()
            for _ in range(3):
                grown[1:-1, 1:-1] |= (
                    grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2] | grown[1:-1, 2:]
                )
            around = picture[grown & ~mask].mean(axis=0)
            within = picture[inner].mean(axis=0)
            assert within[2] - within[0] > around[2] - around[0] + 40
            seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    "seed, size, error, message",
    [
        (0, 32, ValueError, "`size` must lie between 64 and 2048"),
        (0, (256, 4096), ValueError, r"\(256, 4096\)"),
        (0, (256, 256, 3), TypeError, "`size` must be one integer or"),
        (0, 99.5, TypeError, "99.5"),
        (0, True, TypeError, "True"),
        (-1, 64, ValueError, "`seed` must be 0 or larger, but it is -1"),
        (1.5, 64, TypeError, "`seed` must be an integer, but it is 1.5"),
    ],
)
def test_bad_arguments(seed: int, size: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw_scene(seed, size)


def test_coco_ground_truth() -> None:
    coco_mask = pytest.importorskip("pycocotools.mask")
    truth = drawn_scenes_as_coco([4, 9], 128)
    assert [image["id"] for image in truth["images"]] == [4, 9]
    assert [category["name"] for category in truth["categories"]] == list(DRAWN_VOCABULARY)
    scene = draw_scene(9, 128)
    annotations = [entry for entry in truth["annotations"] if entry["image_id"] == 9]
    assert len(annotations) == len(scene.masks) > 0
    names = {category["id"]: category["name"] for category in truth["categories"]}
    for entry, mask, name in zip(annotations, scene.masks, scene.class_names, strict=True):
        assert np.array_equal(coco_mask.decode(entry["segmentation"]).astype(bool), mask)
        assert names[entry["category_id"]] == name
        assert entry["area"] == mask.sum()
    numbers = [entry["id"] for entry in truth["annotations"]]
    assert numbers == list(range(1, len(numbers) + 1))
