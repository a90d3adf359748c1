"""The recorded random draws of a training golden, fed in where the project draws its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from score_hf import ScoreConfig
from score_hf.modeling.loss_score import ScoreCriterion
from score_hf.modeling.matching import ScoreMatches
from score_hf.modeling.point_sampling import ScorePoints

from .golden import Tensors


class RecordedPoints(ScorePoints):
    """The points that the original drew; keeps which of them are chosen.

    Args:
        config: The model's configuration.
        golden: A training golden.
    """

    def __init__(self, config: ScoreConfig, golden: Tensors) -> None:
        super().__init__(config, torch.device("cpu"))
        self._golden = golden
        kinds = (".matcher.", ".oversampled", ".random")
        self._left = {name for name in golden if name.startswith("points.") and _is_of(name, kinds)}
        self.chosen: list[Tensor] = []

    def for_matching(self, prediction: int, images: int) -> Tensor:
        return torch.cat(
            [self._take(f"points.{prediction}.matcher.{image}") for image in range(images)]
        )

    def for_losses(self, prediction: int, counts: list[int]) -> Tensor:
        kinds = ("oversampled", "random")
        return torch.cat([self._take(f"points.{prediction}.{kind}") for kind in kinds], dim=1)

    def choose(self, mask_logits: Tensor, points: Tensor) -> Tensor:
        self.chosen.append(super().choose(mask_logits, points))
        return self.chosen[-1]

    def left(self) -> list[str]:
        """Draws that were not asked for."""
        return sorted(self._left)

    def _take(self, name: str) -> Tensor:
        self._left.remove(name)
        return self._golden[name]


class RecordedCriterion(ScoreCriterion):
    """The project's losses with the recorded draws; keeps what it matched.

    Args:
        config: The model's configuration.
        golden: A training golden.
    """

    matches: ScoreMatches

    def __init__(self, config: ScoreConfig, golden: Tensors) -> None:
        super().__init__(config)
        self.draws = RecordedPoints(config, golden)
        matcher = self.matcher

        def match(*arguments: object) -> ScoreMatches:
            self.matches = matcher(*arguments)
            return self.matches

        self.matcher = match

    def _points(self, device: torch.device, seeds: list[int] | None) -> ScorePoints:
        return self.draws


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


def _is_of(name: str, kinds: Sequence[str]) -> bool:
    return any(kind in name for kind in kinds)
