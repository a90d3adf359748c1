"""A reader of outside bytes, with inputs for it."""

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .guard import observe


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        name: A word or two, for the command line.
        make_valid: Makes inputs that are read.
        damage: From these to a strategy of damaged ones.
        read: Puts an input into a folder and reads it.
        errors: What it may raise.
        share: Of the examples of a run; below 1 for slow readers.
    """

    name: str
    make_valid: Callable[[], Sequence[Any]]
    damage: Callable[[Sequence[Any]], st.SearchStrategy[Any]]
    read: Callable[[Any, Path], object]
    errors: tuple[type[Exception], ...] = (ValueError,)
    share: float = 1.0

    @cached_property
    def valid(self) -> Sequence[Any]:
        return self.make_valid()


@dataclass
class Seen:
    """What a target has seen.

    Args:
        inputs: How many inputs.
        refused: How many of them were refused.
        seconds: How long it took.
    """

    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0


def run(target: Target, examples: int, fixed: bool = False) -> Seen:
    """Feeds a target.

    Args:
        target: The target.
        examples: About how many inputs, times its share.
        fixed: Whether the inputs are the same in every run.

    Returns:
        What it has seen.

    Raises:
        Violation: If an input breaks a rule.
    """
    seen, began = Seen(), time.monotonic()
    # Of the machine's /tmp, which is often in memory, or where the user wants it.
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        for content in target.valid:
            # Also loads what is only loaded when needed, such as a library that asks the system.
            target.read(content, folder)

        @settings(
            max_examples=max(4, round(examples * target.share)),
            derandomize=fixed,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
            report_multiple_bugs=False,
        )
        @given(target.damage(target.valid))
        def feed(content: Any) -> None:
            seen.inputs += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                was_read = observe(lambda at: target.read(content, at), target.errors, folder)
            seen.refused += not was_read

        feed()
    seen.seconds = time.monotonic() - began
    return seen
