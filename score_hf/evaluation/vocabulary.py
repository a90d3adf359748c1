"""The classes of a dataset as prompts, and which of them the model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..data.loading import class_names, load_split, split_names
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.text_classifier import ScoreClassifier
from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import check_class_names, find_seen_classes, parse_class_names


@dataclass(frozen=True)
class Vocabulary:
    """What a model is asked for on a dataset.

    Args:
        names: The dataset's classes, as its figures call them.
        prompts: What the text tower reads for each, with commas between synonyms.
        seen: Which of them the model was trained on; None if that is not known.
        extra: Further names that the model can answer and that count for no class: whatever is
            called so is wrong (or, among instances, left out).
        seen_extra: Which of these the model was trained on.
    """

    names: tuple[str, ...]
    prompts: tuple[str, ...]
    seen: tuple[bool, ...] | None = None
    extra: tuple[str, ...] = ()
    seen_extra: tuple[bool, ...] = ()

    @property
    def ensemble_as_seen(self) -> list[bool]:
        """Which prompts and extra names the ensemble weighs by alpha; the others get beta."""
        return [*(self.seen or [False] * len(self.names)), *self.seen_extra]

    def encode(
        self, model: ScoreForInstanceSegmentation, processor: ScoreProcessor
    ) -> ScoreClassifier:
        """Encodes prompts and extra names, in this order.

        Args:
            model: With its text tower.
            processor: Its processor.

        Returns:
            The classifier, on the model's device; seen classes are those of this vocabulary.

        Raises:
            ValueError: If a name stands for two classes, or the model has no text tower.
        """
        tokens = processor.tokenize_classes([*self.prompts, *self.extra]).to(model.device)
        tokens["seen_classes"] = torch.tensor(self.ensemble_as_seen, device=model.device)
        return model.build_classifier(**tokens)


def make_vocabulary(
    names: Sequence[str],
    prompts: Sequence[str] | None,
    training_names: Sequence[str] | None,
    extra: Sequence[str] = (),
) -> Vocabulary:
    """Checks names and tells which were trained on.

    Args:
        names: The dataset's classes.
        prompts: One a class, with commas between synonyms; None: the names themselves.
        training_names: Of all classes of the training vocabulary, in the same form; None: not
            known.
        extra: Further names that the model can answer.

    Returns:
        The vocabulary. A class is seen if one of its synonyms, cleaned as prompts are, is among
        those of all training classes.

    Raises:
        ValueError: If names are missing or stand for two classes.
    """
    chosen = list(names if prompts is None else prompts)
    check_class_names([*chosen, *extra], "prompts")
    if len(chosen) != len(names):
        raise ValueError(
            f"`prompts` must have one entry for each of the {len(names)} classes, got "
            f"{len(chosen)}."
        )
    seen = None if training_names is None else tuple(find_seen_classes(chosen, training_names))
    seen_extra = find_seen_classes(extra, training_names or ())
    return Vocabulary(tuple(names), tuple(chosen), seen, tuple(extra), tuple(seen_extra))


def average_by_seen(
    by_class: dict[str, float | None], seen: Sequence[bool] | None
) -> dict[str, float | None]:
    """Averages a figure over the classes trained on and over the others.

    Args:
        by_class: The figure of each class, None where there is nothing to measure.
        seen: Which of them the model was trained on; None if that is not known.

    Returns:
        `seen`, `unseen` and their `harmonic_mean`.
    """
    means: list[float | None] = [None, None]
    if seen is not None:
        for place, wanted in enumerate((True, False)):
            values = [
                value
                for value, is_seen in zip(by_class.values(), seen, strict=True)
                if value is not None and bool(is_seen) is wanted
            ]
            means[place] = sum(values) / len(values) if values else None
    one, other = means
    harmonic = None
    if one is not None and other is not None:
        harmonic = 2 * one * other / (one + other) if one + other else 0.0
    return {"seen": one, "unseen": other, "harmonic_mean": harmonic}


def read_training_names(source: str) -> list[str]:
    """Reads the training vocabulary.

    Args:
        source: A prepared dataset, as a folder or a hub id, or a text file with class names.

    Returns:
        Its class names.

    Raises:
        ValueError: If it is neither.
    """
    if Path(source).is_file():
        return read_names(Path(source), "--seen-from")
    # The classes of all splits are the same, and streaming reads no more than what they are.
    split = split_names(source, "--seen-from")[0]
    return class_names(load_split(source, split, streaming=True, argument="--seen-from"))


def read_names(path: Path, argument: str) -> list[str]:
    """Reads class names from a text file.

    Args:
        path: Commas, semicolons and new lines separate classes, `|` separates synonyms.
        argument: What the caller calls it; named in the errors.

    Returns:
        One item a class.

    Raises:
        ValueError: If it is no text file, or names no class.
    """
    if not path.is_file():
        raise ValueError(
            f"`{argument}` must be a text file with class names, but there is no {str(path)!r}."
        )
    try:
        return parse_class_names(path.read_text(encoding="utf-8"), argument)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{argument}` must be a text file in UTF-8, but {str(path)!r} is not ({error})."
        ) from error
