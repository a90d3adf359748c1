"""A model and a processor small enough for a test to build, run and save in moments."""

from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import CLIPTokenizer

from score_hf import ScoreConfig, ScoreImageProcessor, ScoreProcessor

TINY_VOCABULARY_SIZE = 600
TINY_IMAGE_SIZE = 64
TINY_CLASSES = ("ship", "storage tank", "harbor")
# Changes of the config that take other ways through the network.
MODEL_KINDS: tuple[dict[str, str], ...] = (
    {"region_kernel": "fixed"},
    {"region_kernel": "clamp"},
    {"region_context": "cls", "global_context": "equation"},
    {"region_context": "joint", "global_context": "tokens"},
    {"region_context": "intermediate", "global_context": "concat"},
    {"region_context": "none", "global_context": "none"},
    {"out_of_vocabulary": "context"},
)
# Words of the tiny vocabulary; all others are spelled byte by byte.
_TINY_WORDS = (
    "satellite aerial imagery photo view of the ship storage tank harbor oil plane vehicle boat "
    "bridge tennis court pool pier car jet"
)


def tiny_config(**changes: Any) -> ScoreConfig:
    """Returns a model of some hundred thousand weights with a stored vocabulary of 3 classes.

    Args:
        **changes: Fields of the config that should differ.
    """
    text = {
        "vocab_size": TINY_VOCABULARY_SIZE,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 32,
        "bos_token_id": TINY_VOCABULARY_SIZE - 2,
        "eos_token_id": TINY_VOCABULARY_SIZE - 1,
        "pad_token_id": TINY_VOCABULARY_SIZE - 1,
    }
    fields = {
        "text_config": {**text, "hidden_act": "gelu"},
        "general_config": {
            "depths": [1, 1, 2, 1],
            "hidden_sizes": [16, 32, 32, 64],
            "layer_norm_eps": 1e-6,
        },
        "context_config": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "projection_dim": 32,
        },
        "context_text_config": text if changes.get("out_of_vocabulary") == "context" else None,
        "projection_dim": 32,
        "hidden_size": 32,
        "num_queries": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "pixel_decoder_layers": 2,
        "pixel_decoder_intermediate_size": 64,
        "pixel_decoder_points": 2,
        "intermediate_layer": 1,
        "region_layers": 2,
        "region_intermediate_size": 64,
        "context_num_heads": 4,
        "num_points": 64,
        "stored_synonyms": len(TINY_CLASSES),
        "id2label": dict(enumerate(TINY_CLASSES)),
    }
    return ScoreConfig(**{**fields, **changes})


def make_inputs(config: ScoreConfig, batch_size: int) -> dict[str, Tensor]:
    """Returns arguments of `forward`: a batch of noise, to be segmented by the stored vocabulary.

    Args:
        config: Configuration of the model.
        batch_size: Number of images.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, TINY_IMAGE_SIZE, TINY_IMAGE_SIZE)
    return {
        "pixel_values": torch.randn(
            batch_size, config.general_config.num_channels, *shape[1:], generator=generator
        ),
        "pixel_mask": torch.ones(shape, dtype=torch.int64),
    }


def make_labels(config: ScoreConfig, batch_size: int) -> dict[str, list[Tensor]]:
    """Returns the labels that fit `make_inputs`: one, two or three rectangles an image.

    Args:
        config: Configuration of the model.
        batch_size: Number of images.
    """
    mask_labels, class_labels = [], []
    for image in range(batch_size):
        objects = 1 + image % 3
        masks = torch.zeros(objects, TINY_IMAGE_SIZE, TINY_IMAGE_SIZE)
        for i, mask in enumerate(masks):
            mask[8 + 12 * i : 30 + 12 * i, 4 + 16 * i : 28 + 16 * i] = 1.0
        mask_labels.append(masks)
        class_labels.append((torch.arange(objects) + image) % config.num_labels)
    return {"mask_labels": mask_labels, "class_labels": class_labels}


def tiny_tokenizer() -> CLIPTokenizer:
    """Returns a tokenizer of CLIP's kind: all bytes, a few words, start and end token."""
    symbols = sorted(ByteLevel.alphabet())
    symbols += [symbol + "</w>" for symbol in symbols]
    merges: list[tuple[str, str]] = []
    for word in _TINY_WORDS.split():
        letters = [*word[:-1], word[-1] + "</w>"]
        start = letters[0]
        for letter in letters[1:]:
            if (start, letter) not in merges:
                merges.append((start, letter))
            start += letter
    merges = merges[: TINY_VOCABULARY_SIZE - 2 - len(symbols)]
    tokens = [*symbols, *("".join(pair) for pair in merges)]
    tokens += [f"<|unused{i}|>" for i in range(TINY_VOCABULARY_SIZE - 2 - len(tokens))]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        model_max_length=77,
    )


def tiny_processor() -> ScoreProcessor:
    """Returns a processor that fits `tiny_config`, trained on two of its three classes."""
    return ScoreProcessor(
        ScoreImageProcessor(size={"shortest_edge": TINY_IMAGE_SIZE, "longest_edge": 96}),
        tiny_tokenizer(),
        seen_classes=["ship", "storage tank, oil tank"],
    )
