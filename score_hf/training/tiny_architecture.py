"""The architecture of `score-tiny`, and a tokenizer cut to what it was trained on."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from ..drawn_scenes import DRAWN_VOCABULARY
from ..modeling.configuration_score import ScoreConfig
from ..processing.image_processing_score import ScoreImageProcessor
from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import TEMPLATES


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Learns byte-pair merges until each word is one token.

    The trainer of `tokenizers` breaks ties differently in every run; a tokenizer must be the same
    in all processes of a training.

    Args:
        words: Distinct words of plain letters.

    Returns:
        Merges in the order in which they apply; the last letter of a word ends in `</w>`.
    """
    spellings = [[*word[:-1], f"{word[-1]}</w>"] for word in sorted(words)]
    merges = []
    while pairs := Counter(pair for spelling in spellings for pair in pairwise(spelling)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spellings = [_merge(spelling, best) for spelling in spellings]
    return merges


def _merge(spelling: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in spelling:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def tiny_tokenizer() -> CLIPTokenizer:
    """Makes a CLIP tokenizer that knows the words of the drawn vocabulary and of the templates.

    Other words are spelled from their parts. CLIP's own vocabulary would make up most of the
    model's weights.
    """
    texts = [*TEMPLATES, *(name for names in DRAWN_VOCABULARY.values() for name in names)]
    words = {word for text in texts for word in re.findall("[a-z]+", text.lower())}
    merges = learn_merges(words)
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [left + right for left, right in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,  # type: ignore[arg-type]  # pairs, whatever its annotation says
        model_max_length=77,
    )


def tiny_processor() -> ScoreProcessor:
    """Makes the processor: no resizing, since drawn scenes have one ground sampling."""
    return ScoreProcessor(
        image_processor=ScoreImageProcessor(do_resize=False, max_detections=100),
        tokenizer=tiny_tokenizer(),
        seen_classes=[", ".join(synonyms) for synonyms in DRAWN_VOCABULARY.values()],
    )


def tiny_config(tokenizer: CLIPTokenizer) -> ScoreConfig:
    """Makes the configuration: every part of SCORE, about a hundredth of its size."""
    return ScoreConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "projection_dim": 64,
            "hidden_act": "gelu",
        },
        general_config={
            "depths": [2, 2, 4, 2],
            "hidden_sizes": [32, 64, 128, 256],
            "layer_norm_eps": 1e-6,
            # Blocks count from the first step; CLIP's 1e-6 is meant for far longer trainings.
            "layer_scale_init_value": 1.0,
        },
        context_config={
            "hidden_size": 96,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 128,
            "patch_size": 16,
            "projection_dim": 64,
        },
        projection_dim=64,
        frozen_trunks=False,
        hidden_size=64,
        num_queries=100,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=256,
        pixel_decoder_layers=2,
        pixel_decoder_intermediate_size=256,
        region_kernel="fixed",
        region_kernel_size=5,
        region_layers=2,
        region_intermediate_size=256,
        context_num_heads=4,
        num_points=1024,
        # Best of 0.4, 0.2 and 0.0, give or take noise, on scenes that are not in the evaluation.
        alpha=0.2,
    )
