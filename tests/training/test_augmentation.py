import numpy as np
import pytest
from PIL import Image

from score_hf.training.augmentation import GREY, View, draw_view
from score_hf.training.recipe import AugmentationRecipe


class Numbers:
    """A generator that gives these numbers."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)

    def uniform(self, low, high):
        return low + (high - low) * self.random()


def disc(size, row, column, radius):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_one_number_places_the_crop_on_both_axes():
    recipe = AugmentationRecipe(crop_size=100, scale=(0.5, 2.5))
    view = draw_view(recipe, 300, 400, Numbers(0.4, 0.75, 0.5))
    # 2.0 x 100 over the longer side; half of what is left over on each axis.
    assert view == View((300, 400), True, (150, 200), 25, 50, 100)
    small = draw_view(recipe, 300, 400, Numbers(0.6, 0.0, 0.5))
    assert small == View((300, 400), False, (38, 50), 0, 0, 100)


def test_numbers_lie_within_the_recipe():
    recipe, rng = AugmentationRecipe(crop_size=64), np.random.default_rng(0)
    views = [draw_view(recipe, 90, 200, rng) for _ in range(2000)]
    assert 0.45 < np.mean([view.flip for view in views]) < 0.55
    scales = [view.resized[1] / 64 for view in views]
    assert 0.09 < min(scales) < 0.12 and 1.98 < max(scales) < 2.01
    assert all(view.top <= max(0, view.resized[0] - 64) for view in views)


def test_a_small_picture_is_filled_up_with_grey_right_and_below():
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    view = View((20, 40), False, (10, 20), 0, 0, 32)
    pixels = view.of_image(image)
    assert pixels.shape == (32, 32, 3) and (pixels[:10, :20] == (10, 20, 30)).all()
    assert (pixels[10:] == GREY).all() and (pixels[:, 20:] == GREY).all()
    mask = view.of_mask(np.ones((20, 40), dtype=bool))
    assert mask[:10, :20].all() and mask.sum() == 200
    label = view.of_label(np.full((20, 40), 7, dtype=np.uint8), outside=255)
    assert (label[:10, :20] == 7).all() and (label == 255).sum() == 32 * 32 - 200


@pytest.mark.parametrize("seed", range(20))
def test_a_mask_is_shown_as_the_image_is(seed):
    """Of the part around the object only, and yet as if all of it were resized and cropped."""
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(30, 90, size=2).tolist())
    mask = disc(size, rng.integers(size[0]), rng.integers(size[1]), rng.integers(1, 12))
    view = draw_view(AugmentationRecipe(crop_size=48, scale=(0.2, 3)), *size, rng)

    shown = view.of_mask(mask)

    picture = Image.fromarray(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2))
    expected = view.of_image(picture)[..., 0] >= GREY
    height, width = (min(48, side) for side in view.resized)
    assert np.array_equal(shown[:height, :width], expected[:height, :width])
    assert not shown[height:].any() and not shown[:, width:].any()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0])
    assert view.shows_box(box) or not shown.any()


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.8, 1.7, 3.0])
def test_small_objects_keep_their_area(scale):
    size = 120
    areas, expected = 0, 0.0
    rng = np.random.default_rng(1)
    for _ in range(50):
        row, column = rng.uniform(15, 105, size=2)
        mask = disc((size, size), row, column, 3 / min(scale, 1))
        side = round(size * scale)
        view = View((size, size), False, (side, side), 0, 0, side)
        areas += view.of_mask(mask).sum()
        expected += mask.sum() * (side / size) ** 2
    assert areas == pytest.approx(expected, rel=0.05)


def test_a_mask_out_of_sight_is_empty():
    mask = disc((60, 60), 5, 5, 3)
    view = View((60, 60), False, (120, 120), 60, 60, 60)
    assert not view.of_mask(mask).any() and not view.shows_box((2, 2, 7, 7))
    assert not view.of_mask(np.zeros((60, 60), dtype=bool)).any()
    # Flipped, the left upper corner comes from the right.
    flipped = View((60, 60), True, (60, 60), 0, 30, 30)
    assert flipped.of_mask(mask).any() and flipped.shows_box((2, 2, 7, 7))


def test_crops_lie_around_objects_of_each_class_alike():
    recipe = AugmentationRecipe(crop_size=40, scale=(5.0, 5.0), crops="objects")
    # Three of one class to the left, one of another in the lower right corner; twice as large.
    objects = [{"bbox": (2, top, 4, 6), "category": 0} for top in (0, 30, 60)]
    objects.append({"bbox": (92, 90, 8, 10), "category": 1})
    rng, shown = np.random.default_rng(0), []
    for _ in range(400):
        view = draw_view(recipe, 100, 100, rng, objects)
        assert view.turns == 0 and 0 <= view.top <= 160 and 0 <= view.left <= 160
        whole = np.zeros((4, 100, 100), dtype=bool)
        for mask, one in zip(whole, objects, strict=True):
            left, top, width, height = one["bbox"]
            mask[top : top + height, left : left + width] = True
        seen = [view.of_mask(mask).any() for mask in whole]
        assert any(seen)
        shown.append(seen[3])
    assert 0.4 < np.mean(shown) < 0.6
    # Without objects anywhere, not only on the diagonal.
    views = [draw_view(recipe, 100, 100, rng) for _ in range(50)]
    assert len({view.top - view.left for view in views}) > 20


def test_quarter_turns_turn_picture_and_masks_alike():
    recipe = AugmentationRecipe(crop_size=32, scale=(1.0, 1.0), flip=0.0, quarter_turns=True)
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[2:9, 20:30] = 255
    mask = pixels[..., 0] > 0
    rng, found = np.random.default_rng(0), set()
    for _ in range(40):
        view = draw_view(recipe, 32, 32, rng)
        turned = view.of_image(Image.fromarray(pixels))
        assert (turned[..., 0] == np.rot90(pixels[..., 0], view.turns)).all()
        assert (view.of_mask(mask) == (turned[..., 0] > 0)).all()
        assert (view.of_label(mask.astype(np.uint8), 255) == (turned[..., 0] > 0)).all()
        found.add(view.turns)
    assert found == {0, 1, 2, 3}
