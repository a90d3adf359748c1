"""Compares what converted towers compute with open_clip's own modules, in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from ...modeling.context_trunk import ScoreContextTrunk
from ...modeling.general_trunk import ScoreGeneralTrunk
from .source import OpenClipSource

# Largest difference allowed, as a share of the largest value.
TOLERANCE = 1e-4
# Multiples of 32 and not alike, so that a mixed-up axis shows; the features need no larger picture.
PICTURE = (96, 128)
PROMPTS = (
    "satellite imagery of ship.",
    "aerial photo of a storage tank.",
    "satellite view of the baseball diamond.",
    "aerial imagery of the ground track field.",
    "a photo of a truck's trailer, seen from above.",
    "Aerial View of a T-shaped 3-storey building (1950s)!",
    "helicopter",
    "satellite photo of the café at Zürich airport",
    "aerial imagery of    swimming_pool   &   tennis court",
    "a very long text " + "about solar panels on roofs " * 20,
)


@dataclass(frozen=True)
class Difference:
    """How far one kind of output differs.

    Args:
        name: What was compared.
        largest: Largest absolute difference.
        scale: Largest absolute value of open_clip's.
    """

    name: str
    largest: float
    scale: float

    @property
    def relative(self) -> float:
        """The difference as a share of the scale."""
        return self.largest if self.scale == 0 else self.largest / self.scale


def check_differences(differences: Sequence[Difference], tolerance: float = TOLERANCE) -> None:
    """Raises if something differs by more than is explained by rounding.

    Args:
        differences: What was compared.
        tolerance: Largest relative difference.

    Raises:
        ValueError: If so, or if something is not a number.
    """
    # Written so that not-a-number fails.
    wrong = [one for one in differences if not one.relative <= tolerance]
    if wrong:
        found = ", ".join(f"{one.name} by {one.relative:.1e}" for one in wrong)
        raise ValueError(
            f"The converted towers do not compute what open_clip's do, nothing is written: {found} "
            f"of the largest value, allowed are {tolerance:.0e}."
        )


@torch.no_grad()
def compare_general(reference: Any, trunk: ScoreGeneralTrunk) -> list[Difference]:
    """Compares the ConvNeXt's stages, its visual head and CLIP's scale.

    Args:
        reference: open_clip's model.
        trunk: The converted one.

    Returns:
        The differences.
    """
    pixels = _noise(1, 3, *PICTURE)
    ours = trunk(pixels)
    theirs = reference.visual.trunk.forward_intermediates(pixels, intermediates_only=True)
    names = [f"stage {i + 1} of the general trunk" for i in range(len(ours))]
    head = trunk.head(ours[-1].mean(dim=(2, 3)))
    return [
        *map(_difference, names, ours, theirs),
        _difference("visual head", head, reference.encode_image(pixels)),
        _difference("logit scale", trunk.logit_scale, reference.logit_scale),
    ]


@torch.no_grad()
def compare_text(
    name: str,
    reference: Any,
    tower: CLIPTextModelWithProjection,
    tokenizer: CLIPTokenizer,
    prompts: Sequence[str] = PROMPTS,
) -> list[Difference]:
    """Compares tokens and embeddings of prompts.

    Args:
        name: What the text tower is called in the result.
        reference: open_clip's model.
        tower: The converted one.
        tokenizer: The converted tokenizer.
        prompts: Texts.

    Returns:
        The differences. That of the tokens is the number of prompts that differ.
    """
    from open_clip.tokenizer import SimpleTokenizer

    ids = SimpleTokenizer(context_length=reference.context_length)(list(prompts))
    tokens = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
    wrong = sum(
        ours[mask.bool()].tolist() != theirs[: int(theirs.argmax()) + 1].tolist()
        for ours, mask, theirs in zip(
            tokens["input_ids"], tokens["attention_mask"], ids, strict=True
        )
    )
    return [
        Difference(f"tokens of {name}", float(wrong), float(len(prompts))),
        _difference(
            f"embeddings of {name}", tower(**tokens).text_embeds, reference.encode_text(ids)
        ),
    ]


@torch.no_grad()
def compare_context(
    source: OpenClipSource,
    reference: Any,
    trunk: ScoreContextTrunk,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Difference]:
    """Compares global and dense context.

    The reference is the original's rule for the last block, applied to open_clip's own modules.

    Args:
        source: Says how its own pictures are normalised.
        reference: open_clip's model.
        trunk: The converted one.
        mean: Mean that the converted trunk's pictures are normalised with.
        std: Standard deviation, likewise.

    Returns:
        The differences.
    """
    side: Any = trunk.config.image_size
    pixels = _noise(1, 3, side, side)
    colours = pixels * _colours(std) + _colours(mean)
    ours = trunk(pixels)
    cls, patches = context_of(
        reference.visual, (colours - _colours(source.mean)) / _colours(source.std)
    )
    return [
        _difference("global context", ours.cls, cls),
        _difference("dense context", ours.patches, patches),
    ]


def context_of(visual: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Runs open_clip's vision transformer as the original SCORE does.

    The last block attends to nothing: every token passes its own value and output projections, and
    is added to the [CLS] token of the block's input.

    Args:
        visual: open_clip's vision transformer.
        pixels: (batch, 3, side, side), normalised for it.

    Returns:
        The projected [CLS] token (batch, width) and patch tokens (batch, width, rows, columns).
    """
    patches = visual.conv1(pixels)
    rows = patches.shape[2]
    tokens = patches.flatten(2).transpose(1, 2)
    start = visual.class_embedding.expand(len(tokens), 1, -1)
    tokens = visual.ln_pre(torch.cat((start, tokens), dim=1) + visual.positional_embedding)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        tokens = block(tokens)
    value_weight = last.attn.in_proj_weight.chunk(3)[2]
    value_bias = last.attn.in_proj_bias.chunk(3)[2]
    values = nn.functional.linear(last.ln_1(tokens), value_weight, value_bias)
    tokens = last.attn.out_proj(values) + tokens[:, :1]
    tokens = tokens + last.mlp(last.ln_2(tokens))
    projected = visual.ln_post(tokens) @ visual.proj
    dense = projected[:, 1:].transpose(1, 2)
    return projected[:, 0], dense.unflatten(2, (rows, -1))


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _colours(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def _difference(name: str, ours: Tensor, theirs: Tensor) -> Difference:
    if ours.shape != theirs.shape:
        raise ValueError(
            f"The converted towers do not compute what open_clip's do, nothing is written: {name} "
            f"is of shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}."
        )
    return Difference(name, float((ours - theirs).abs().max()), float(theirs.abs().max()))
