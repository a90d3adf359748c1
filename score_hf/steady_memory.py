"""Keeps the memory of a process steady while a large model sees many pictures on a CPU."""

import ctypes
import os
import sys

import torch

# Below, memory of freed blocks is reused; above, it goes back to the system. This is where glibc
# begins, before it raises it.
_THRESHOLD = 128 << 10
_LARGE_MODEL = 1_000_000_000
_M_MMAP_THRESHOLD = -3


def keep_memory_steady(model: torch.nn.Module) -> bool:
    """Has freed tensors give their memory back, if the model is a large one on a CPU.

    glibc keeps freed blocks below a threshold that it raises to 32 MB by itself, and the gaps
    between them grow with pictures of ever new sizes: with the paper's model from 4.0 to 4.7 GB in
    thirty pictures. With a threshold that stays it is 3.4 GB. With one of 1 MB the time of the
    processor grew by a tenth; a small model would lose more, and has little to gain.

    It holds for the whole process, so it is for programs to call, not for libraries. What the
    environment says (`MALLOC_MMAP_THRESHOLD_`) goes before it.

    Args:
        model: Where it is and how large decide.

    Returns:
        Whether something was changed; never where the C library is not glibc.
    """
    sizes = [tensor.nbytes for tensor in model.parameters() if tensor.device.type == "cpu"]
    if sum(sizes) < _LARGE_MODEL or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, _THRESHOLD) == 1
