import numpy as np
import pytest
from scipy import ndimage

from score_hf.scenes import Found, Tile, Window
from score_hf.scenes.crowding import CrowdSplitter


class FewQueries:
    """Finds bright parts, but no more than so many."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.sizes = capacity, []

    def __call__(self, tiles):
        results = []
        for tile in tiles:
            self.sizes.append(tile.image.shape[:2])
            numbers, count = ndimage.label(tile.image[..., 0] > 120)
            masks = (numbers == one for one in range(1, count + 1))
            results.append([Found(0, 0.8, mask) for mask in masks if mask.sum() > 4])
            results[-1] = results[-1][: self.capacity]
        return results


def car_park(side: int, step: int) -> tuple[Tile, np.ndarray]:
    mask = np.zeros((side, side), dtype=bool)
    for top in range(2, side - 6, step):
        for left in range(2, side - 8, step):
            mask[top : top + 5, left : left + 7] = True
    image = np.where(mask, 200, 40).astype(np.uint8)[..., None].repeat(3, axis=2)
    return Tile(image, Window(100, 200, 100 + side, 200 + side)), mask


@pytest.mark.parametrize(("step", "views"), [(60, 1), (24, 5), (12, 21)])
def test_crowded_tiles_are_seen_in_closer_views(step, views):
    tile, mask = car_park(160, step)
    network = FewQueries(30)
    splitter = CrowdSplitter(network, 30, ["things"])
    (found,) = splitter([tile])
    covered = np.zeros_like(mask)
    for one in found:
        height, width = one.mask.shape
        covered[one.top : one.top + height, one.left : one.left + width] |= one.mask
    assert len(found) == ndimage.label(mask)[1]
    assert (covered & mask).sum() > 0.9 * (covered | mask).sum()
    assert len(network.sizes) == views and set(network.sizes) == {(160, 160)}
    assert splitter.split_tiles == (views > 1)


def test_faint_instances_do_not_count():
    tile, _ = car_park(160, 24)
    faint = CrowdSplitter(lambda tiles: [[Found(0, 0.2, np.ones((2, 2), bool))] * 30], 30, None)
    (found,) = faint([tile])
    assert len(found) == 30 and faint.split_tiles == 0


def test_tiny_tiles_are_not_split():
    tile, _ = car_park(64, 9)
    network = FewQueries(5)
    (found,) = CrowdSplitter(network, 5, ["things"])([tile])
    assert len(found) == 5 and len(network.sizes) == 1
