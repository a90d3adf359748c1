"""The project's model and processor for one seed of the goldens."""

import re
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from score_hf import (
    ScoreConfig,
    ScoreForInstanceSegmentation,
    ScoreImageProcessor,
    ScoreProcessor,
)
from score_hf.conversion.clip_tokenizer import clip_tokenizer
from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.config import CheckpointHints

from .golden import Entries, GoldenSeed

# What a network does not compute with: weights of the loss, the context's text tower, and the
# general one where the goldens lack its token embedding.
_WITHOUT_EFFECT = re.compile(
    r"criterion\.|clip_rs\.clip_model\.(?!visual)|backbone\.clip_model\.(?!visual|logit_scale)"
)


def build_model(seed: GoldenSeed, converted: Path | None = None) -> ScoreForInstanceSegmentation:
    """Builds the network with the seed's weights, in evaluation mode.

    Args:
        seed: The seed; its weights must be there.
        converted: A folder that `score-hf convert` made of these weights, which is checked
            instead; or one that holds such a folder for each seed, named like the set's own.

    Returns:
        The model. It has a text tower if the goldens have one with its token embedding.

    Raises:
        ValueError: If the weights do not fill the model exactly.
    """
    if converted is not None:
        folder = _folder_of(seed, converted)
        return _as_recorded(ScoreForInstanceSegmentation.from_pretrained(folder), seed)
    checkpoint = convert_checkpoint(seed.weights or {}, clip_tokenizer(), read_heads(seed))
    foreign = [name for name in checkpoint.extras.tensors if not _WITHOUT_EFFECT.match(name)]
    if foreign:
        raise ValueError(f"`weights` of seed {seed.name} have no place in the model: {foreign}.")
    return _as_recorded(checkpoint.model, seed)


def read_heads(seed: GoldenSeed) -> CheckpointHints:
    """Reads numbers of heads from the manifest: they leave no trace in the weights."""
    sizes = seed.golden.manifest["config"]
    return CheckpointHints(
        text_heads=sizes.get("text", Entries({})).get("heads"),
        context_heads=sizes.get("rs", Entries({})).get("heads"),
        decoder_heads=sizes["nheads"],
    )


def _as_recorded(
    model: ScoreForInstanceSegmentation, seed: GoldenSeed
) -> ScoreForInstanceSegmentation:
    """Gives a model the settings with which the goldens were computed."""
    spec = seed.manifest["spec"]
    settings = {
        "num_points": seed.golden.manifest["config"]["points"],
        "region_dropout": 0.0,
        # The images of a batch were padded to one size.
        "batch_padding": "together",
        "alpha": spec["alpha"],
        "beta": spec["beta"],
    }
    config = ScoreConfig.from_dict({**model.config.to_dict(), **settings})
    return ScoreForInstanceSegmentation.from_pretrained(
        None, config=config, state_dict=model.state_dict(), dtype=torch.float32
    ).eval()


def build_processor(seed: GoldenSeed, converted: Path | None = None) -> ScoreProcessor:
    """Builds the processor, whose seen classes are those of the seed's training."""
    tokenizer = read_tokenizer(seed, converted)
    return ScoreProcessor(
        ScoreImageProcessor(do_resize=False), tokenizer, seen_classes=seed.names[0]
    )


def read_tokenizer(seed: GoldenSeed, converted: Path | None = None) -> CLIPTokenizer:
    """Builds CLIP's tokenizer, or reads that of a converted folder.

    Raises:
        ImportError: If OpenCLIP, from whose vocabulary it is built, is not installed.
    """
    if converted is None:
        return clip_tokenizer()
    return CLIPTokenizer.from_pretrained(_folder_of(seed, converted))


def _folder_of(seed: GoldenSeed, converted: Path) -> Path:
    inside = converted / seed.folder
    return inside if inside.is_dir() else converted
