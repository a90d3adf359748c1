"""The stored result of a visitor: every later question is answered from it, without a new pass."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..inference import NamedClass
from ..modeling.open_vocabulary import ensemble_vocabularies
from ..processing.instances import rank_instances
from ..processing.mask_boxes import MaskPiece
from ..processing.predictions import Prediction, split_outputs
from .network import NetworkResult

# Nothing below is ever shown, so nothing below is looked for.
LOWEST_THRESHOLD = 0.05
_MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Ensemble:
    """How in- and out-of-vocabulary scores are mixed.

    Args:
        alpha: Weight of the out-of-vocabulary scores for classes seen in training.
        beta: The same for other classes.
        trunk: Whose out-of-vocabulary scores: "general" or "context".
    """

    alpha: float
    beta: float
    trunk: str


@dataclass(frozen=True, eq=False)
class StoredResult:
    """What a visitor's picture and vocabulary gave.

    Args:
        name: What the visitor calls the picture.
        picture: RGB picture.
        classes: The vocabulary.
        network: What the network said.
    """

    name: str
    picture: Image.Image
    classes: tuple[NamedClass, ...]
    network: NetworkResult

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.picture.height, self.picture.width

    def class_logits(self, ensemble: Ensemble) -> torch.Tensor:
        """Mixes the scores, as the model does with its own alpha and beta.

        Args:
            ensemble: How.

        Returns:
            (queries, classes + 1) log-probabilities, void last.
        """
        network = self.network
        seen = torch.tensor([entry.seen is True for entry in self.classes])
        return ensemble_vocabularies(
            torch.from_numpy(network.in_logits),
            torch.from_numpy(network.out_logits[ensemble.trunk]),
            seen,
            ensemble.alpha,
            ensemble.beta,
        )

    def outputs(self, ensemble: Ensemble) -> dict[str, torch.Tensor]:
        """Gives the outputs of the model for post-processing, as a batch of one."""
        return {
            "class_queries_logits": self.class_logits(ensemble)[None],
            "masks_queries_logits": torch.from_numpy(self.network.mask_logits)[None],
            "image_sizes": torch.tensor([self.network.image_size]),
        }


@dataclass(frozen=True, eq=False)
class FoundObject:
    """One instance.

    Args:
        number: From 1, in falling order of score over all that was found.
        query: Index of the query that found it.
        label: Index of its class.
        score: Class probability times mean mask probability inside the mask.
        class_probability: Of its class, after the ensemble.
        piece: Its mask, cut out.
    """

    number: int
    query: int
    label: int
    score: float
    class_probability: float
    piece: MaskPiece

    def covers(self, column: float, row: float) -> bool:
        """Tells whether a point of the picture, in pixels, is inside the mask."""
        inside_column, inside_row = int(column) - self.piece.left, int(row) - self.piece.top
        rows, columns = self.piece.mask.shape
        if not (0 <= inside_column < columns and 0 <= inside_row < rows):
            return False
        return bool(self.piece.mask[inside_row, inside_column])

    def surrounds(self, column: float, row: float) -> bool:
        """Tells whether a point of the picture, in pixels, is inside the box."""
        left, top, right, bottom = self.piece.box
        return left <= column < right and top <= row < bottom

    def mask(self, size: tuple[int, int], drawn: tuple[int, int] | None = None) -> np.ndarray:
        """Draws the mask.

        Args:
            size: Height and width of the picture.
            drawn: Height and width to draw it at; None: those of the picture.

        Returns:
            (height, width) bool.
        """
        height, width = drawn or size
        mask = np.zeros((height, width), dtype=bool)
        rows = _read_at(height, size[0], self.piece.rows)
        columns = _read_at(width, size[1], self.piece.columns)
        if len(rows[0]) and len(columns[0]):
            cut = self.piece.mask.numpy()[np.ix_(rows[1], columns[1])]
            mask[np.ix_(rows[0], columns[0])] = cut
        return mask


def _read_at(drawn: int, length: int, kept: slice) -> tuple[np.ndarray, np.ndarray]:
    """The drawn places whose nearest pixel is kept, and where among those it is."""
    nearest = ((np.arange(drawn) + 0.5) * (length / drawn)).astype(int)
    places = np.flatnonzero((nearest >= kept.start) & (nearest < kept.stop))
    return places, nearest[places] - kept.start


def find_objects(
    result: StoredResult, ensemble: Ensemble, max_detections: int
) -> tuple[FoundObject, ...]:
    """Finds all instances that any threshold could show.

    The same as `post_process_instance_segmentation` gives, and which query found what.

    Args:
        result: The stored result.
        ensemble: How scores are mixed.
        max_detections: How many (query, class) pairs, the best, can become instances.

    Returns:
        Instances by falling score, from `LOWEST_THRESHOLD` up.
    """
    prediction: Prediction = split_outputs(result.outputs(ensemble), [result.size])[0]
    found = rank_instances(prediction, LOWEST_THRESHOLD, _MASK_THRESHOLD, max_detections)
    facts = zip(
        found.queries.tolist(),
        found.labels.tolist(),
        found.scores.tolist(),
        found.class_probabilities.tolist(),
        found.pieces,
        strict=True,
    )
    return tuple(FoundObject(number, *fact) for number, fact in enumerate(facts, start=1))


def filter_objects(
    objects: Sequence[FoundObject], threshold: float, shown: Collection[int]
) -> list[FoundObject]:
    """Keeps the instances that pass.

    Args:
        objects: All that were found.
        threshold: Lowest score.
        shown: Class indices.

    Returns:
        Those that pass, in their order.
    """
    return [one for one in objects if one.score >= threshold and one.label in shown]


def object_at(objects: Sequence[FoundObject], column: float, row: float) -> FoundObject | None:
    """Finds what a click means: of the objects there the smallest, of equal ones the best.

    A click into a hole means the object around it: where no mask is, boxes count.

    Args:
        objects: Those that are shown, best first.
        column: Of the picture, in pixels.
        row: Of the picture, in pixels.

    Returns:
        The object; None if there is none.
    """
    there = [one for one in objects if one.covers(column, row)]
    if there:
        return min(there, key=lambda one: one.piece.area)
    around = [one for one in objects if one.surrounds(column, row)]
    return min(around, key=lambda one: one.piece.mask.numel(), default=None)
