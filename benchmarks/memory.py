"""How much memory this process takes, and took at most, in GB."""

import resource
from pathlib import Path

import psutil


def resident_memory() -> float:
    """Returns the resident size of this process now."""
    return psutil.Process().memory_info().rss / 1e9


def peak_memory() -> float:
    """Returns the largest resident size of this process since its peak was last forgotten."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    # Not getrusage where this is told: a process begins with the peak of the one that started it.
    label = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(label.split()[1]) * 1024 / 1e9


def forget_peak() -> float:
    """Starts a new peak, where Linux can; returns the memory in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()
