"""The table of a run: one row a group of goldens, with its largest error and the tolerance."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Group:
    """What was found in one group of goldens.

    Args:
        checks: How many values, lists or tensors were compared.
        failed: How many of them were outside their tolerance.
        ratio: Largest error, measured in its tolerance.
        error: That error.
        tolerance: Its tolerance.
        place: Where it is.
    """

    checks: int = 0
    failed: int = 0
    ratio: float = -1.0
    error: float = 0.0
    tolerance: float = 0.0
    place: str = ""

    def add(self, place: str, error: float, tolerance: float) -> None:
        """Counts one comparison."""
        if error <= tolerance:
            ratio = error / tolerance if tolerance else 0.0
        else:
            # Also where the error is no number.
            ratio = error / tolerance if tolerance and error > 0 else float("inf")
            self.failed += 1
        self.checks += 1
        if ratio > self.ratio:
            self.ratio, self.error, self.tolerance, self.place = ratio, error, tolerance, place


class Report:
    """Collects comparisons and prints them."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.deviations: dict[str, None] = {}
        self.complaints: list[str] = []
        self.absent: list[str] = []
        self.without_counterpart: list[str] = []

    @property
    def failed(self) -> int:
        """Number of groups in which anything did not hold."""
        return sum(group.failed > 0 for group in self.groups.values())

    def number(self, group: str, place: str, error: float, tolerance: float) -> None:
        """Notes an error and the largest that is allowed."""
        self.groups.setdefault(group, Group()).add(place, float(error), float(tolerance))

    def close(
        self, group: str, place: str, ours: Tensor, golden: Tensor, tolerance: Tensor | float
    ) -> None:
        """Compares tensors element by element.

        Args:
            group: The row of the table.
            place: What is compared.
            ours: Ours.
            golden: The original's, of the same shape.
            tolerance: Largest absolute error, one for all or one for each element.
        """
        if ours.shape != golden.shape:
            self.complain(group, place, f"shape {tuple(ours.shape)}, not {tuple(golden.shape)}")
            return
        error = (ours.detach().double() - golden.double()).abs().flatten()
        allowed = torch.as_tensor(tolerance).double().expand(golden.shape).flatten()
        if error.numel() == 0:
            self.number(group, place, 0.0, 0.0)
            return
        worst = (error / allowed).nan_to_num(nan=float("inf")).argmax()
        if error.isnan().any():
            self.complain(group, place, "not a number")
        else:
            self.number(group, place, error[worst], allowed[worst])

    def same(self, group: str, place: str, ours: Any, golden: Any) -> None:
        """Compares names, counts or lists that must be equal."""
        if ours != golden:
            self.complain(group, place, f"{ours!r:.200}, not {golden!r:.200}")
        else:
            self.number(group, place, 0.0, 0.0)

    def complain(self, group: str, place: str, what: str) -> None:
        """Notes a failure that no number describes."""
        self.number(group, place, 1.0, 0.0)
        self.complaints.append(f"{group}: {place}: {what}")

    def deviation(self, text: str) -> None:
        """Names a difference from the original that is on purpose."""
        self.deviations[text] = None

    @contextmanager
    def guard(self, group: str, place: str) -> Iterator[None]:
        """Turns a crash of a check into a failed group, so that the others still run."""
        try:
            yield
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self.complain(group, place, f"{type(error).__name__}: {error}")

    def lines(self) -> list[str]:
        """The table, what is on purpose, what failed and the summary."""
        width = max(map(len, self.groups), default=5)
        lines = [f"{'group':{width}}  checks  {'error':>9}  {'allowed':>9}        at"]
        for name, group in self.groups.items():
            verdict = f"{group.failed} FAILED" if group.failed else "ok"
            lines.append(
                f"{name:{width}}  {group.checks:6}  {group.error:9.2e}  {group.tolerance:9.2e}"
                f"  {verdict:4}  {group.place}"
            )
        lines += [f"on purpose: {text}" for text in self.deviations]
        lines += [f"absent: {text}" for text in self.absent]
        if self.without_counterpart:
            names = ", ".join(self.without_counterpart)
            lines.append(f"the original's recipes, not part of this project: {names}")
        lines += [f"failed: {text}" for text in self.complaints]
        lines.append(f"parity: {len(self.groups)} groups, {self.failed} failed")
        return lines
