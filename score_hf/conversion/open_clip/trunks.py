"""Towers of an OpenCLIP model become the trunks of SCORE.

open_clip's own model is built without weights and then shares those that are converted: it says
which there must be, and later what must come out of them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..original_keys import from_original
from ..reading.usable_weights import check_weights, separate
from .config import (
    check_general,
    describe_convnext,
    describe_head,
    describe_text,
    describe_vit,
)
from .source import LISTED, OpenClipSource


@dataclass(frozen=True)
class ConvertedTowers:
    """Towers of one OpenCLIP model.

    Args:
        source: Where they come from.
        config: Fields of `ScoreConfig` that describe them.
        state: Their weights under our names, float32.
        reference: open_clip's own model with the same weights, in evaluation mode; what is not
            converted of it has no values (lies on the meta device).
    """

    source: OpenClipSource
    config: dict[str, Any]
    state: dict[str, Tensor]
    reference: Any


def convert_general(source: OpenClipSource) -> ConvertedTowers:
    """Converts the general CLIP: its ConvNeXt with the visual head, its text tower, its scale.

    Args:
        source: The model.

    Returns:
        The towers.

    Raises:
        ValueError: If it is no ConvNeXt CLIP, differs from those that are known, or its weights do
            not fit.
    """
    check_general(source)
    text, head = describe_text(source), describe_head(source)
    model = _empty_model(source, with_text=True)
    config = {
        "general_config": describe_convnext(source, model.visual.trunk),
        "text_config": text,
        "projection_dim": source.config["embed_dim"],
        **head,
    }
    state = _fill(model, source, "", "backbone.clip_model.")
    return ConvertedTowers(source, config, state, model)


def convert_context(source: OpenClipSource, with_text: bool = False) -> ConvertedTowers:
    """Converts the remote-sensing CLIP: its vision transformer, and its text tower if needed.

    Args:
        source: The model.
        with_text: Whether its text tower and scale are wanted too, for
            `out_of_vocabulary="context"`.

    Returns:
        The towers.

    Raises:
        ValueError: If it is no plain vision transformer of CLIP, or its weights do not fit.
    """
    config = {"context_config": describe_vit(source)}
    if with_text:
        config["context_text_config"] = describe_text(source)
    model = _empty_model(source, with_text)
    state = _fill(model, source, "" if with_text else "visual.", "clip_rs.clip_model.")
    return ConvertedTowers(source, config, state, model)


def match_normalization(
    towers: ConvertedTowers, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Makes the context trunk take pictures that were normalised for the general one.

    The model sees one normalised picture. Where the two CLIPs differ in it (OpenCLIP's ViT-L-14 of
    LAION-2B does), the difference is linear in each colour: it goes into the patch embedding, and
    what is constant into the patches' positions. Both become exactly what they would have been.

    Args:
        towers: The remote-sensing CLIP, whose state is changed.
        mean: Mean of the general CLIP.
        std: Standard deviation of the general CLIP.
    """
    source = towers.source
    if (source.mean, source.std) == (tuple(mean), tuple(std)):
        return
    prefix = "context_trunk.vision_model.embeddings."
    patches = towers.state[f"{prefix}patch_embedding.weight"]
    positions = towers.state[f"{prefix}position_embedding.weight"].clone()
    given_mean, given_std = torch.tensor(mean).double(), torch.tensor(std).double()
    wanted_mean, wanted_std = torch.tensor(source.mean).double(), torch.tensor(source.std).double()
    shift = (given_mean - wanted_mean) / wanted_std
    positions[1:] += torch.einsum("ochw,c->o", patches.double(), shift).float()
    scale = (given_std / wanted_std).float().view(1, -1, 1, 1)
    towers.state[f"{prefix}patch_embedding.weight"] = patches * scale
    towers.state[f"{prefix}position_embedding.weight"] = positions


def _empty_model(source: OpenClipSource, with_text: bool) -> Any:
    """Builds open_clip's model without memory for weights."""
    from open_clip import CLIP

    vision = {**source.config["vision_cfg"], "timm_model_pretrained": False}
    # A text tower that is not converted may be of any kind; it only has to be there.
    text = source.config["text_cfg"] if with_text else {"width": 64, "heads": 1, "layers": 1}
    embed_dim, quick_gelu = source.config["embed_dim"], source.config.get("quick_gelu", False)
    try:
        with torch.device("meta"):
            model = CLIP(embed_dim, vision, text, quick_gelu=quick_gelu)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`{source.role}`: open_clip cannot build {source.name} from its configuration: "
            f"{reason}"
        ) from error
    return model.eval().requires_grad_(False)


def _fill(model: Any, source: OpenClipSource, wanted: str, prefix: str) -> dict[str, Tensor]:
    """Gives open_clip's model its weights; returns the same under our names."""
    places = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name.startswith(wanted)
    }
    tensors = {name: tensor for name, tensor in source.read().items() if name.startswith(wanted)}
    _check_fit(source, places, tensors)
    check_weights(f"`{source.role}_weights` {source.weights!r}", tensors)
    tensors = {name: _aligned(tensor) for name, tensor in separate(tensors).items()}
    model.load_state_dict(tensors, strict=False, assign=True)
    model.requires_grad_(False)
    if "positional_embedding" in places:
        length = places["positional_embedding"][0]
        model.attn_mask = torch.full((length, length), float("-inf")).triu_(1)
    ours, unused = from_original({f"{prefix}{name}": tensors[name] for name in places})
    if unused:
        raise ValueError(
            f"`{source.role}`: {source.name} has weights that have no place here: "
            f"{_some([name.removeprefix(prefix) for name in unused])}."
        )
    return ours


def _aligned(tensor: Tensor) -> Tensor:
    # Loading would copy what lies at odd addresses once more, with the file still in memory.
    if tensor.dtype == torch.float32 and tensor.data_ptr() % 64 == 0 and tensor.is_contiguous():
        return tensor
    return tensor.to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def _check_fit(
    source: OpenClipSource, places: dict[str, tuple[int, ...]], tensors: dict[str, Tensor]
) -> None:
    if "visual.layer1.0.conv1.weight" in tensors:
        raise ValueError(
            f"`{source.role}_weights` {source.weights!r} are of a ResNet, which SCORE has no trunk "
            f"for: give weights of {source.name}."
        )
    missing = [name for name in places if name not in tensors]
    if len(missing) == len(places):
        raise ValueError(
            f"`{source.role}_weights` {source.weights!r} hold none of the tensors of "
            f"{source.label}, such as {missing[0]}: give a checkpoint of OpenCLIP."
        )
    surplus = [name for name in tensors if name not in places]
    other = [
        f"{name} {tuple(tensors[name].shape)} instead of {shape}"
        for name, shape in places.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    found = ((missing, "missing"), (surplus, "surplus"), (other, "of another shape"))
    reasons = [f"{len(names)} {what} ({_some(names)})" for names, what in found if names]
    if reasons:
        raise ValueError(
            f"`{source.role}_weights` {source.weights!r} do not fit {source.label}: of its "
            f"{len(places)} tensors {', '.join(reasons)}."
        )


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:LISTED])
    return listed if len(names) <= LISTED else f"{listed}, ..."
