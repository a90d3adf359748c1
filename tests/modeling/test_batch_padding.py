from dataclasses import dataclass

import pytest
import torch
from transformers.utils import ModelOutput

from score_hf.modeling.batch_padding import (
    OUTSIDE,
    group_by_size,
    image_sizes_of,
    merge_groups,
    pad_to_multiple,
)


@dataclass
class Output(ModelOutput):
    masks_queries_logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor | None, ...] | None = None
    cross_attentions: tuple[torch.Tensor, ...] | None = None


def mask_of(canvas, *sizes):
    mask = torch.zeros(len(sizes), *canvas, dtype=torch.int64)
    for image, (height, width) in zip(mask, sizes, strict=True):
        image[:height, :width] = 1
    return mask


@pytest.mark.parametrize(("size", "padded"), [((64, 96), (64, 96)), ((1, 33), (32, 64))])
def test_padding_reaches_the_next_multiple(size, padded):
    pixels = torch.ones(2, 3, *size)
    made = pad_to_multiple(pixels)
    assert made.shape == (2, 3, *padded) and made.sum() == pixels.sum()
    assert torch.equal(made[..., : size[0], : size[1]], pixels)


def test_sizes_are_read_from_the_mask():
    pixels, sizes = torch.zeros(2, 3, 40, 50), [(40, 31), (7, 50)]
    assert image_sizes_of(pixels, mask_of((40, 50), *sizes)).tolist() == [[40, 31], [7, 50]]
    assert image_sizes_of(pixels, None).tolist() == [[40, 50], [40, 50]]


@pytest.mark.parametrize(
    ("pixels", "mask", "message"),
    [
        (torch.zeros(3, 40, 50), None, r"`pixel_values` must be of shape .* got \(3, 40, 50\)"),
        (torch.zeros(1, 4, 40, 50), None, r"`pixel_values`.* got \(1, 4, 40, 50\)"),
        (torch.zeros(0, 3, 40, 50), None, r"`pixel_values`.* got \(0, 3, 40, 50\)"),
        (torch.zeros(1, 3, 0, 50), None, r"`pixel_values`.* got \(1, 3, 0, 50\)"),
        (torch.zeros(1, 3, 40, 50), torch.ones(1, 40, 40), r"`pixel_mask`.* got \(1, 40, 40\)"),
    ],
)
def test_pixels_and_mask_must_be_images(pixels, mask, message):
    with pytest.raises(ValueError, match=message):
        image_sizes_of(pixels, mask)


@pytest.mark.parametrize("pixels", [None, [torch.zeros(3, 40, 50)]])
def test_pixels_must_be_a_tensor(pixels):
    with pytest.raises(TypeError, match=f"`pixel_values` must be .* got {type(pixels).__name__}"):
        image_sizes_of(pixels, None)


def test_an_image_without_a_pixel_is_refused():
    pixels, mask = torch.zeros(2, 3, 40, 50), mask_of((40, 50), (40, 50), (0, 0))
    with pytest.raises(ValueError, match=r"`pixel_mask\[1\]`"):
        group_by_size(pixels, image_sizes_of(pixels, mask))


def test_images_of_one_padded_size_form_a_group():
    pixels = torch.arange(4.0)[:, None, None, None].expand(4, 3, 70, 70)
    sizes = torch.tensor([[40, 64], [70, 70], [33, 33], [64, 50]])
    groups = group_by_size(pixels, sizes)
    assert [indices for indices, _ in groups] == [[0, 2, 3], [1]]
    assert [part.shape for _, part in groups] == [(3, 3, 64, 64), (1, 3, 96, 96)]
    assert groups[0][1][:, 0, 0, 0].tolist() == [0, 2, 3]


def test_outputs_return_in_the_order_of_the_batch():
    small = Output(
        masks_queries_logits=torch.ones(1, 2, 8, 8),
        hidden_states=(torch.ones(1, 2), None),
        cross_attentions=(torch.ones(1, 4),),
    )
    large = Output(
        masks_queries_logits=torch.stack([torch.zeros(2, 16, 24), torch.full((2, 16, 24), 2.0)]),
        hidden_states=(torch.tensor([[0.0, 0.0], [2.0, 2.0]]), None),
        cross_attentions=(torch.ones(2, 9),),
    )
    merged = merge_groups([small, large], [[1], [0, 2]], torch.zeros(3, 3, 64, 96))
    assert merged.masks_queries_logits.shape == (3, 2, 16, 24)
    assert merged.masks_queries_logits[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert (merged.masks_queries_logits[1, :, 8:] == OUTSIDE).all()
    assert merged.hidden_states[0][:, 0].tolist() == [0, 1, 2] and merged.hidden_states[1] is None
    assert merged.cross_attentions is None, "they have no common shape"
    assert merge_groups([small], [[0]], torch.zeros(1, 3, 32, 32)).cross_attentions is not None
