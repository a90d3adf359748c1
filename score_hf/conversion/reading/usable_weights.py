"""Checks that tensors of a stranger's file are weights, and keeps them apart in memory."""

from collections.abc import Mapping

import torch
from torch import Tensor

# What training leaves. Other types need a scale that a state dict does not tell.
_WEIGHT_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
# How many names an error lists.
_LISTED = 3


def check_weights(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Checks that weights are finite floating-point numbers.

    A comparison with the source cannot tell: the same numbers compute the same nonsense there.

    Args:
        what: What holds them, as a sentence begins.
        tensors: The weights.

    Raises:
        ValueError: If some are not.
    """
    other = {
        name: f"{name} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in tensors.items()
        if tensor.dtype not in _WEIGHT_TYPES
    }
    if other:
        raise ValueError(
            f"{what} must be floating-point weights of 16, 32 or 64 bits, but {len(other)} of its "
            f"tensors are of another type ({_some(list(other.values()))})."
        )
    infinite = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if infinite:
        raise ValueError(
            f"{what} must hold finite numbers, but {len(infinite)} of its tensors have values that "
            f"are infinite or no numbers ({_some(infinite)}): it is damaged, or what was trained "
            "diverged."
        )


def separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies tensors that share memory with another, which could not be written.

    Args:
        tensors: Tensors by name.

    Returns:
        The same in the same order; those that shared nothing are not copied.
    """
    apart, end = dict(tensors), 0
    for name in sorted(tensors, key=lambda name: tensors[name].data_ptr()):
        tensor = tensors[name]
        if tensor.numel() == 0:
            continue
        if tensor.data_ptr() < end:
            apart[name] = tensor.clone()
        last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
        end = max(end, tensor.data_ptr() + (last + 1) * tensor.element_size())
    return apart


def _is_finite(tensor: Tensor) -> bool:
    # The sum needs no memory; it may itself overflow.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:_LISTED])
    return listed if len(names) <= _LISTED else f"{listed}, ..."
