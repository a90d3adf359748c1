"""What a visitor typed, read into classes; and vocabularies that are encoded once."""

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from ..inference import NamedClass
from ..processing.prompts import (
    check_class_names,
    find_seen_classes,
    parse_class_names,
    shortened,
    split_synonyms,
)
from .limits import Limits
from .network import Arrays

# Longer texts are refused before anything looks at their letters.
_LETTERS_A_NAME = 3


@dataclass(frozen=True)
class Vocabulary:
    """Classes to look for, as they were understood.

    Args:
        classes: The classes in the order given.
        notice: What was ignored, in one sentence; "" if nothing was.
    """

    classes: tuple[NamedClass, ...]
    notice: str = ""

    @property
    def content(self) -> tuple[tuple[str, ...], ...]:
        """What the text tower reads: two vocabularies of the same content score alike."""
        return tuple(tuple(split_synonyms(", ".join(one.synonyms))) for one in self.classes)

    @property
    def class_names(self) -> list[str]:
        """One item a class, a comma inside an item separates synonyms."""
        return [", ".join(one.synonyms) for one in self.classes]


def read_vocabulary(
    text: str, training_classes: Sequence[str] | None, limits: Limits
) -> Vocabulary:
    """Reads class names as a visitor types them.

    Args:
        text: Commas, semicolons and new lines separate classes, `|` separates synonyms.
        training_classes: What the model was trained on; None if it does not say.
        limits: Of the demo.

    Returns:
        The vocabulary.

    Raises:
        ValueError: If it names nothing, names something twice or exceeds a limit.
    """
    if not text or not text.strip(" ,;|\t\r\n"):
        raise ValueError(
            "There are no class names yet: write what to look for, for example "
            '"ship, storage tank | oil tank", or pick a vocabulary.'
        )
    longest = limits.names * limits.name_length * _LETTERS_A_NAME
    if len(text) > longest:
        raise ValueError(f"The class names are {len(text)} letters long; at most {longest} work.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = parse_class_names(text, "classes")
    if len(names) > limits.classes:
        raise ValueError(
            f"There are {len(names)} classes, and this demo takes up to {limits.classes}: leave "
            "some out."
        )
    synonyms = [name for entry in names for name in entry.split(",")]
    if len(synonyms) > limits.names:
        raise ValueError(
            f"There are {len(synonyms)} names with all synonyms, and this demo takes up to "
            f"{limits.names}: leave some out."
        )
    longest_name = max(synonyms, key=len).strip()
    if len(longest_name) > limits.name_length:
        raise ValueError(
            f"The name {shortened(longest_name)!r} has {len(longest_name)} letters, and this demo "
            f"takes up to {limits.name_length}: separate classes by commas."
        )
    try:
        names = check_class_names(names)
    except ValueError as error:
        message = str(error).replace("`classes` holds", "The class names hold")
        # Visitors count from 1, and know no list.
        message = re.sub(r"`classes\[(\d+)\]`", lambda n: f"Class {int(n[1]) + 1}", message)
        raise ValueError(message) from error
    notice = " ".join(str(one.message) for one in caught).replace("`classes` has", "The text has")
    seen: Sequence[bool | None] = [None] * len(names)
    if training_classes is not None:
        seen = find_seen_classes(names, training_classes)
    return Vocabulary(tuple(map(NamedClass.of, names, seen)), notice)


class VocabularyCache:
    """Encoded vocabularies by content, those least recently used forgotten first.

    Two visitors who ask for the same names get the same classifier, which nobody changes; visitors
    who ask for different names have nothing in common.

    Args:
        names: How many names are kept in all.
    """

    def __init__(self, names: int = 5_000) -> None:
        self._capacity = names
        self._kept: OrderedDict[tuple[tuple[str, ...], ...], Arrays] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, vocabulary: Vocabulary, encode: Callable[[list[str]], Arrays]) -> Arrays:
        """Gives the classifier of a vocabulary, encoded now if it is not known.

        Args:
            vocabulary: The classes.
            encode: Encodes class names.

        Returns:
            The classifier.
        """
        content = vocabulary.content
        with self._lock:
            if content in self._kept:
                self._kept.move_to_end(content)
                return self._kept[content]
        classifier = encode(vocabulary.class_names)
        with self._lock:
            self._kept[content] = classifier
            while len(self._kept) > 1 and sum(map(_count_names, self._kept)) > self._capacity:
                self._kept.popitem(last=False)
        return classifier


def _count_names(content: tuple[tuple[str, ...], ...]) -> int:
    return sum(map(len, content))
