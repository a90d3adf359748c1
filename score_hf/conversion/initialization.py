"""Starts a model from weights of another: what fits is taken over, the rest stays random."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..loading import load_model
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from .original_keys import ORIGINAL_ROOTS, from_original

# One row a query: of another number of queries, as many are taken over as there are in both.
_QUERY_ROWS = ("mask_decoder.query_features.weight", "mask_decoder.query_positions.weight")
# The vocabulary that a model stores is its own; it goes with the labels of its configuration.
_VOCABULARY = "stored_"


@dataclass(frozen=True)
class InitializationReport:
    """What a model took over from its source.

    Args:
        filled: Names of the model's tensors that now hold the source's values.
        partly_filled: Those of which only the first rows do, with what the rows are.
        random: Parameters that stay as they were, because the source has none or none that fits.
        other_shape: Of these, the ones that the source has in another shape: the model's shape
            and the source's.
        without_place: Tensors of the source that the model has no place for.
        frozen: Those of `random` that no training will change.
    """

    filled: tuple[str, ...]
    partly_filled: dict[str, str] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    other_shape: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    without_place: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Says it in a few lines, parts of the model instead of single tensors."""
        lines = [f"filled: {_by_part(self.filled)}"]
        lines += [f"partly filled: {name}: {rows}" for name, rows in self.partly_filled.items()]
        shapeless = [name for name in self.random if name not in self.other_shape]
        if shapeless:
            lines.append(f"stays random: {_by_part(shapeless)}")
        lines += [
            f"stays random: {name}: {ours} here, {theirs} in the source"
            for name, (ours, theirs) in self.other_shape.items()
        ]
        if self.frozen:
            lines.append(
                f"random and frozen: {_by_part(self.frozen)}: fill it from another source first, "
                "such as a pair that `score-hf convert` has made"
            )
        if self.without_place:
            lines.append(f"not needed: {_by_part(self.without_place)}")
        return lines


Source = str | os.PathLike[str] | Mapping[str, Tensor] | ScoreForInstanceSegmentation


@torch.no_grad()
def init_from(
    model: ScoreForInstanceSegmentation, *sources: Source, argument: str = "source"
) -> InitializationReport:
    """Fills a model with everything of its sources that fits: the start of a training.

    What several sources have is taken from the first. What a source calls random itself
    (`untrained_parts` of its configuration), such as the decoder of a converted pair of CLIPs, is
    left to the next. A converted FC-CLIP checkpoint is the recommended source of a decoder: it was
    trained with 250 queries; a model with 300 takes these over and draws 50 itself. A vocabulary
    that a source stores is not taken over.

    Args:
        model: The model; its values change in place, in their type and on their device.
        *sources: Each a folder, bundled model or hub id of this project; a checkpoint file of SCORE
            or FC-CLIP; tensors under our names or the original's; or a model.
        argument: What the caller calls a source; named in the errors.

    Returns:
        What was filled, what stays random and what was not needed.

    Raises:
        ValueError: If a source cannot be read, or nothing in it fits.
    """
    ours = model.state_dict()
    filled: dict[str, None] = {}
    partly: dict[str, str] = {}
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    without_place: dict[str, None] = {}
    for source in sources:
        tensors = _read_source(source, argument)
        placed = {name: ours[name] for name in tensors if name in ours}
        fitting = [name for name, target in placed.items() if tensors[name].shape == target.shape]
        if not fitting:
            named = f" {str(source)!r}" if isinstance(source, str | os.PathLike) else ""
            raise ValueError(
                f"`{argument}`{named} must hold weights of SCORE or FC-CLIP, but none of its "
                f"{len(tensors)} tensors fits this model; the first are "
                f"{', '.join(list(tensors)[:3]) or 'none'}."
            )
        without_place |= {name: None for name in tensors if name not in ours}
        for name, target in placed.items():
            value = tensors[name]
            if name in filled or name in partly:
                continue
            if name in fitting:
                target.copy_(value)
                filled[name] = None
            elif name in _QUERY_ROWS and value.shape[1:] == target.shape[1:]:
                rows = min(len(value), len(target))
                target[:rows] = value[:rows].to(target)
                partly[name] = f"the first {rows} of {len(target)} queries"
            else:
                shapes.setdefault(name, (tuple(target.shape), tuple(value.shape)))
    random = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name not in filled and name not in partly
    }
    return InitializationReport(
        filled=tuple(filled),
        partly_filled=partly,
        random=tuple(random),
        other_shape={name: both for name, both in shapes.items() if name not in filled},
        without_place=tuple(without_place),
        frozen=tuple(name for name, parameter in random.items() if not parameter.requires_grad),
    )


def parts_of(names: Iterable[str]) -> list[str]:
    """Lists the parts of a model that its tensors belong to.

    Args:
        names: Names of tensors.

    Returns:
        Each part once, such as "mask_decoder", in alphabetical order.
    """
    return sorted({name.partition(".")[0] for name in names})


def _read_source(source: Source, argument: str) -> dict[str, Tensor]:
    if isinstance(source, ScoreForInstanceSegmentation):
        untrained = source.config.untrained_parts
        tensors = source.state_dict()
        return {
            name: tensors[name]
            for name in tensors
            if name.partition(".")[0] not in untrained and not name.startswith(_VOCABULARY)
        }
    if isinstance(source, Mapping):
        tensors = dict(source)
    elif Path(source).is_file():
        from .reading.checkpoint_files import read_tensors

        tensors = read_tensors(Path(source))
    else:
        return _read_source(load_model(source, device="cpu", argument=argument)[0], argument)
    if any(name.startswith(ORIGINAL_ROOTS) for name in tensors):
        ours, unused = from_original(tensors)
        tensors = {**ours, **{name: tensors[name] for name in unused}}
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_VOCABULARY)}


def _by_part(names: tuple[str, ...] | list[str]) -> str:
    parts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{part} ({count})" for part, count in parts.items())
