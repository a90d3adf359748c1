"""CLIP tokenizers cut to the words that a model is trained on.

CLIP's own vocabulary would make up most of a small model's weights.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer


def word_tokenizer(texts: Iterable[str]) -> CLIPTokenizer:
    """Makes a CLIP tokenizer for which each word of the texts is one token.

    Other words are spelled from their parts.

    Args:
        texts: Any texts; their words of plain letters count, without upper case.
    """
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
