"""An exported graph is compared with PyTorch on other inputs than it was traced with."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from .image_half import SMALLEST_SIDE, ScoreImageHalf, random_inputs

# Differences of class probabilities and mask logits, in shares of the largest one.
TOLERANCE = 1e-4

Graph = Callable[[Mapping[str, Tensor]], tuple[Tensor, ...]]


@torch.no_grad()
def largest_difference(
    graph: Graph, half: ScoreImageHalf, inputs: Iterable[Mapping[str, Tensor]]
) -> float:
    """Compares a graph with the network it was made of.

    Class logits are compared as the probabilities that they stand for: the logarithm of what is
    nearly 0 differs by more than anybody reads.

    Args:
        graph: Takes inputs by name and gives the outputs of `ScoreImageHalf`.
        half: The network.
        inputs: Those to compare on.

    Returns:
        The largest difference, as a share of the largest number; infinite where the graph says
        something that is no number, or something of another shape.
    """
    worst = 0.0
    for one in inputs:
        for found, expected in zip(graph(one), half(**one), strict=True):
            if found.shape != expected.shape or not found.isfinite().all():
                return float("inf")
            if found.ndim == 3:
                found, expected = found.softmax(dim=-1), expected.softmax(dim=-1)
            worst = max(worst, float((found - expected).abs().max() / expected.abs().max()))
    return worst


def check_graph(graph: Graph, half: ScoreImageHalf, size: tuple[int, int] | None) -> float:
    """Compares a graph with PyTorch on other numbers of images and classes, and other sizes.

    Args:
        graph: As for `largest_difference`.
        half: The network.
        size: The size that was fixed, if any.

    Returns:
        The largest difference.

    Raises:
        RuntimeError: If it exceeds `TOLERANCE`: the graph must not be used.
    """
    # The smallest that the graph takes, and more of everything.
    small, large = size or (SMALLEST_SIDE, SMALLEST_SIDE), size or (128, 224)
    cases = [
        random_inputs(half.model.config, 1, small, classes=1, seed=1),
        random_inputs(half.model.config, 3, large, classes=7, seed=2),
    ]
    difference = largest_difference(graph, half, cases)
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"The exported graph differs from PyTorch by {difference:.1e} of the largest class "
            f"probability or mask logit, more than {TOLERANCE:.0e}; nothing was written."
        )
    return difference
