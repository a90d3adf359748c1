"""Compares a model with open_clip's public interface, not with the project's own checks."""

from collections.abc import Sequence

import open_clip
import torch
from torch import Tensor

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor

# Largest difference to open_clip, as a share of the largest value.
TOLERANCE = 1e-4


def original_context(visual: open_clip.transformer.VisionTransformer, pixels: Tensor) -> Tensor:
    """What the original takes from a CLIP: its last block adds each token's own value to [CLS]."""
    inputs = {}
    last = visual.transformer.resblocks[-1]
    handle = last.register_forward_pre_hook(lambda _, args: inputs.update(tokens=args[0]))
    visual(pixels)
    handle.remove()
    tokens = inputs["tokens"]
    rows = []
    for i in range(tokens.shape[1]):
        # Attention over a single token returns the token's value.
        one = last.ln_1(tokens[:, i : i + 1])
        rows.append(last.attn(one, one, one, need_weights=False)[0] + tokens[:, :1])
    hidden = torch.cat(rows, dim=1)
    hidden = hidden + last.mlp(last.ln_2(hidden))
    return visual.ln_post(hidden) @ visual.proj


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= TOLERANCE * float(theirs.abs().max())


@torch.no_grad()
def assert_same_towers(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    general: open_clip.CLIP,
    context: open_clip.CLIP,
    mean: Sequence[float] | None = None,
    std: Sequence[float] = (0.5, 0.4, 0.3),
) -> None:
    """Compares trunks, heads and text towers; the context trunk's pictures may differ in mean."""
    pixels = torch.randn(1, 3, 64, 96)
    stages = model.general_trunk(pixels)
    expected = general.visual.forward_intermediates(pixels)
    for ours, theirs in zip(stages, expected["image_intermediates"], strict=True):
        assert_close(ours, theirs)
    pooled = stages[-1].mean(dim=(2, 3))
    assert_close(model.general_trunk.head(pooled), expected["image_features"])
    assert torch.equal(model.general_trunk.logit_scale, general.logit_scale)

    prompts = ["satellite imagery of ship", "aerial photo of a storage-tank's roof, 3rd floor"]
    tokens = processor.tokenizer(prompts, padding=True, return_tensors="pt")
    ids = open_clip.SimpleTokenizer()(prompts)
    assert_close(model.text_tower(**tokens).text_embeds, general.encode_text(ids))
    if model.config.out_of_vocabulary == "context":
        assert_close(model.context_text_tower(**tokens).text_embeds, context.encode_text(ids))
        assert torch.equal(model.context_logit_scale, context.logit_scale)

    side = model.config.context_config.image_size
    colours = torch.rand(1, 3, side, side)
    clip = processor.image_processor
    given = (colours - rgb(clip.image_mean)) / rgb(clip.image_std)
    wanted = (colours - rgb(mean)) / rgb(std) if mean else given
    ours, theirs = model.context_trunk(given), original_context(context.visual, wanted)
    assert_close(ours.cls, theirs[:, 0])
    rows = side // model.config.context_config.patch_size
    assert_close(ours.patches, theirs[:, 1:].transpose(1, 2).reshape(1, -1, rows, rows))


def rgb(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
