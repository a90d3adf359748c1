"""Seeds: every random number of a training is a function of the recipe's seed and the step."""

import numpy as np

# What random numbers are for; each purpose draws from seeds of its own.
ORDER, AUGMENTATION, POINTS, KERNEL, DROPOUT, PROMPTS, PAIRS = range(7)


def seed_of(*numbers: int) -> int:
    """Mixes numbers into one seed of 32 bits.

    Args:
        *numbers: The recipe's seed, a purpose, and what the draw belongs to.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
