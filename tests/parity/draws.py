"""The recorded random draws of a training golden, fed in where the project draws its own."""

from collections.abc import Callable

import torch
from torch import Tensor

from score_hf import ScoreConfig
from score_hf.modeling.loss_score import ScoreCriterion
from score_hf.modeling.matching import ScoreMatcher

from .golden import Tensors


class Draws:
    """The points in the order in which they were drawn.

    Args:
        golden: A training golden.
        predictions: How many predictions there are; the last one draws first.
    """

    def __init__(self, golden: Tensors, predictions: int) -> None:
        self._golden = golden
        images = sum(name.startswith("points.0.matcher.") for name in golden)
        self._names = [
            f"points.{index}.{kind}"
            for index in (predictions - 1, *range(predictions - 1))
            for kind in (*(f"matcher.{image}" for image in range(images)), "oversampled", "random")
        ]

    def next(self, kind: str, shape: tuple[int, ...]) -> Tensor:
        """Takes the next draw.

        Args:
            kind: `matcher`, `oversampled` or `random`.
            shape: The shape that the project would draw.

        Returns:
            The points.

        Raises:
            ValueError: If the original drew something else at this place.
        """
        name = self._names.pop(0)
        points = self._golden[name]
        if name.split(".")[2] != kind or tuple(points.shape) != shape:
            raise ValueError(
                f"The original drew {name} of shape {tuple(points.shape)} where a draw for {kind} "
                f"of shape {shape} was due."
            )
        return points

    def left(self) -> list[str]:
        """Draws that were not asked for."""
        return list(self._names)


class _RecordedMatcher(ScoreMatcher):
    def __init__(self, config: ScoreConfig, draws: Draws) -> None:
        super().__init__(config)
        self._draws = draws

    def draw_points(self, device: torch.device) -> Tensor:
        return self._draws.next("matcher", (1, self.num_points, 2))


class RecordedCriterion(ScoreCriterion):
    """The project's losses with the recorded draws; keeps what it matched and chose.

    Args:
        config: The model's configuration.
        golden: A training golden.
        predictions: How many predictions there are.
    """

    def __init__(self, config: ScoreConfig, golden: Tensors, predictions: int) -> None:
        super().__init__(config)
        self.draws = Draws(golden, predictions)
        matcher = _RecordedMatcher(config, self.draws)
        order = iter([predictions - 1, *range(predictions - 1)])
        self.matches: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self.chosen_points: dict[int, Tensor] = {}

        def match(*arguments: object) -> list[tuple[Tensor, Tensor]]:
            self._prediction = next(order)
            pairs = matcher(*arguments)
            self.matches |= {(self._prediction, image): pair for image, pair in enumerate(pairs)}
            return pairs

        self.matcher = match

    def draw_candidates(self, objects: int, device: torch.device) -> Tensor:
        return self.draws.next("oversampled", (objects, self.num_candidates, 2))

    def draw_random(self, objects: int, device: torch.device) -> Tensor:
        return self.draws.next("random", (objects, self.num_points - self.num_uncertain, 2))

    def _choose_points(self, predicted: Tensor) -> Tensor:
        self.chosen_points[self._prediction] = super()._choose_points(predicted)
        return self.chosen_points[self._prediction]


def recorded_gumbel(golden: Tensors, logits: Tensor, temperature: float) -> Callable[[], Tensor]:
    """Recovers the noise behind recorded kernel probabilities p: g = temperature ln p - logits.

    Args:
        golden: A training golden; in the hard phase it records none.
        logits: The kernel's logits.
        temperature: That of the Gumbel-softmax.

    Returns:
        A function that gives the noise of prediction 0, 1, ... at each call.
    """
    names = [name for name in golden if name.endswith(".kernel_probs")]
    noises = (
        temperature * golden[f"dec.{index}.kernel_probs"].log() - logits
        for index in range(len(names))
    )
    return lambda: next(noises)
