"""Reads COCO's compressed run lengths without trusting them.

pycocotools draws whatever it is given: runs that end before the mask does leave the rest of it as
the memory happened to be, and damaged text is read as some runs or other.
"""

import numpy as np

_FIRST_CHARACTER = 48
_CONTINUES = 0x20
_NEGATIVE = 0x10
_BITS = 5
# Of a number: 34 bits, enough for any picture.
_CHARACTERS = 7


def run_lengths(counts: str) -> np.ndarray:
    """Decodes compressed counts.

    Args:
        counts: Text as pycocotools writes it.

    Returns:
        Pixels outside and inside the mask in turn, `(runs,)`, int64.

    Raises:
        ValueError: If it is no such text.
    """
    characters = np.frombuffer(counts.encode("ascii"), dtype=np.uint8)
    codes = characters.astype(np.int64) - _FIRST_CHARACTER
    if not codes.size or codes.min() < 0 or codes.max() >= 2 * _CONTINUES:
        raise ValueError("it has characters that no run length is written with")
    last = np.flatnonzero((codes & _CONTINUES) == 0)
    if not last.size or last[-1] != codes.size - 1:
        raise ValueError("its last run length is cut off")
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > _CHARACTERS:
        raise ValueError("it has a run longer than any picture")
    place = np.arange(codes.size) - np.repeat(first, lengths)
    runs = np.add.reduceat((codes & (_CONTINUES - 1)) << (_BITS * place), first)
    runs -= np.where(codes[last] & _NEGATIVE, 1 << (_BITS * lengths), 0)
    # From the fourth on, each is written as the difference to the one before the last.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def area_of(counts: str, height: int, width: int) -> int:
    """Counts the pixels of a mask, after checking that its runs fill the picture exactly.

    Args:
        counts: Compressed counts.
        height: Height of the picture.
        width: Width of the picture.

    Raises:
        ValueError: If they do not, or are damaged.
    """
    runs = run_lengths(counts)
    pixels = height * width
    if runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise ValueError(f"its runs do not fill {height} x {width} pixels")
    return int(runs[1::2].sum())
