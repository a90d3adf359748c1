"""How far from the original a number may be, and why; nowhere else is a tolerance stated."""

from torch import Tensor

# Values of the network. The original itself moves by the recorded noise when its sums are done in
# another order; where no noise is recorded, or less, the fixed bound holds.
NOISE_FACTOR = 5.0
ABSOLUTE, RELATIVE = 2e-4, 1e-5
# All that against the recorded noise alone, which small slips (another epsilon) exceed by far.
LARGEST_NOISE, LEAST_NOISE = 10.0, 1e-6
# Mask bits and panoptic pixels: logits within 1e-4 of the threshold may fall on either side.
FLIPPED_SHARE, FLIPPED_AT_LEAST = 2e-4, 1
# A flipped bit at a mask's rim moves its box.
BOX_PIXELS = 1.0
# Gradients of a tensor, and their norm, against that norm. The original's float32 and ours may lie
# on different sides of a kink (a ReLU near 0, a sampling place near a pixel's edge), which shows as
# some 1e-4; elsewhere they agree to 1e-6. A gradient far below the whole one is a sum that cancels
# and takes errors from the rest: its norm counts as this share of the whole at least.
GRADIENT_RELATIVE, GRADIENT_NEGLIGIBLE = 1e-3, 1e-4
# The optimiser's first step moves a weight by the learning rate: error in learning rates, and the
# rounding of the weight itself.
STEP_SHARE, FLOAT_ROUNDING = 0.01, 1.2e-7
# What half precision of the context trunk changes in the original; ours is float32.
HALF_PRECISION = 5e-3
# Points near the cut between chosen and left out change places with the last bits of a logit.
SWAPPED_POINTS_SHARE = 0.01
# Losses whose points were not recorded, in standard deviations over draws of points.
UNRECORDED_DEVIATIONS = 6.0


def value_tolerance(golden: Tensor, noise: float | None = None) -> Tensor:
    """Largest error of each value of the network.

    Args:
        golden: The original's values.
        noise: How far the original itself moved, if that was recorded.

    Returns:
        The errors allowed, of the same shape.
    """
    allowed = ABSOLUTE + RELATIVE * golden.abs()
    return allowed if noise is None else allowed.clamp(min=NOISE_FACTOR * noise)


def flips_allowed(total: int) -> int:
    """How many of so many thresholded bits may differ."""
    return max(FLIPPED_AT_LEAST, int(FLIPPED_SHARE * total))


def step_tolerance(golden: Tensor, learning_rate: float) -> Tensor:
    """Largest error of weights after the optimiser's first step."""
    return STEP_SHARE * learning_rate + FLOAT_ROUNDING * golden.abs()


def gradient_error(difference: float, norm: float, whole: float) -> float:
    """Relative error of a tensor's gradient, given its norm and that of the whole gradient."""
    scale = max(norm, GRADIENT_NEGLIGIBLE * whole)
    return difference / scale if scale else difference
