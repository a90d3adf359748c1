"""Times of calls and of the parts of a model, and what they are told in."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

Clock = Callable[[], float]

YARDSTICK = "convnext_large_d_320"


def wall_clock() -> float:
    """Seconds of the clock on the wall, once a GPU has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def cpu_clock() -> float:
    """Seconds that this process has worked; with one thread hardly disturbed by other processes."""
    return time.process_time()


def seconds_of(work: Callable[[], object], clock: Clock) -> float:
    """Times one call."""
    start = clock()
    work()
    return clock() - start


@contextmanager
def timed_parts(parts: dict[str, nn.Module], clock: Clock) -> Iterator[dict[str, float]]:
    """Adds up the time that modules take while the context lasts.

    Args:
        parts: Modules by the names under which their seconds are reported.
        clock: Tells the time.

    Yields:
        Seconds by name; filled when the context ends.
    """
    seconds: dict[str, float] = defaultdict(float)
    started: dict[str, float] = {}

    with ExitStack() as stack:
        for name, module in parts.items():

            def begin(*_: object, name: str = name) -> None:
                started[name] = clock()

            def end(*_: object, name: str = name) -> None:
                seconds[name] += clock() - started[name]

            stack.callback(module.register_forward_pre_hook(begin).remove)
            stack.callback(module.register_forward_hook(end).remove)
        yield seconds


def device_peak() -> float | None:
    """Returns the largest memory that tensors took on the GPU, in GB; None without one."""
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None


def build_yardstick(device: torch.device) -> torch.nn.Module:
    """Returns open_clip's own general trunk."""
    import open_clip

    logging.getLogger().setLevel(logging.ERROR)
    with torch.device(device):
        return open_clip.create_model(YARDSTICK).visual.trunk.eval()
