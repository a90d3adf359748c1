"""ZeroGPU: Spaces that borrow a GPU for the length of one call."""

from collections.abc import Callable
from typing import TypeVar

try:
    # Before torch looks for CUDA: on ZeroGPU it replaces that.
    from spaces import GPU  # type: ignore[import-not-found]
except ImportError:
    GPU = None

_Function = TypeVar("_Function", bound=Callable)


def on_gpu(function: _Function, seconds: int) -> _Function:
    """Lets a function run on a borrowed GPU where there is such a thing.

    There it runs in another process: what it takes and gives must be picklable and not on a GPU,
    and what it changes is lost.

    Args:
        function: The function.
        seconds: How long it takes at most; shorter calls wait less.

    Returns:
        The function, the same elsewhere.
    """
    return function if GPU is None else GPU(duration=seconds)(function)
