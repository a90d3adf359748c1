"""Figures of several seeds as text."""

from collections.abc import Sequence
from statistics import mean, stdev


def mean_and_spread(values: Sequence[float | None]) -> tuple[float, float | None] | None:
    """Mean and sample standard deviation; no deviation of one value, nothing of none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return mean(known), stdev(known) if len(known) > 1 else None


def percent(values: Sequence[float | None]) -> str:
    """Writes them such as "41.2 ± 0.3"."""
    summary = mean_and_spread(values)
    if summary is None:
        return ""
    middle, spread = summary
    return f"{100 * middle:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")
