"""What ties the forward passes of one optimisation step together, however they are spread."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass
class ScoreTrainingStep:
    """What a forward pass must know of the optimisation step that it is a part of.

    Gradients are averaged over processes and over accumulated passes. So that the average is the
    gradient of the whole step's batch, every pass divides its sums by the same numbers: those of
    the whole step, shared out evenly among its passes. And so that chance does not depend on who
    computes an image, points are drawn for each image by itself and the kernel's noise once for
    the step.

    The original, and the model without this argument, divides each process's class loss by the
    weights of that process alone, and accumulates nothing.

    Args:
        num_objects: Objects of the whole step, divided by the number of its passes (processes x
            accumulated passes).
        class_weights: Sum of the class loss's weights over the whole step, divided likewise: an
            image with n objects counts min(n, queries) and `no_object_weight` for each query left.
        seed: Seeds the kernel's noise; the same in all passes of the step. None: drawn freely.
        image_seeds: A seed for each image of this pass, for the points at which its masks are
            compared. None: drawn freely.
        first_pass: Whether this is the first pass that this process makes for the step: the
            kernel's learning is counted in steps, not in passes.
    """

    num_objects: float
    class_weights: float
    seed: int | None = None
    image_seeds: list[int] | None = None
    first_pass: bool = True


@contextlib.contextmanager
def drawn_from(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draws from a seed inside the block and leaves chance as it was outside.

    Args:
        seed: The seed; None changes nothing.
        device: Where numbers are drawn, beside the CPU.
    """
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
