"""Tables and sentences about a result; whatever a visitor typed is escaped."""

from collections.abc import Mapping, Sequence
from html import escape

from ..inference import NamedClass
from ..visualize import class_color
from .found import FoundObject, StoredResult
from .views import INSTANCES, PANOPTIC, SEMANTIC, Part, Wish
from .vocabulary import Vocabulary

HEADERS = ["No.", "Class", "Seen", "Score", "Area (px)", "Left", "Top", "Width", "Height"]
# Of the columns, in pixels.
WIDTHS = [50, 125, 75, 70, 100, 70, 65, 75, 90]
SEEN_WORDS = {True: "seen", False: "unseen", None: "not known"}
_SEEN_HELP = {
    True: "in the training vocabulary of the model",
    False: "not in the training vocabulary of the model",
    None: "the model does not say what it was trained on",
}

Row = list[str | int | float]


def object_rows(objects: Sequence[FoundObject], classes: Sequence[NamedClass]) -> list[Row]:
    """Lists instances.

    Args:
        objects: Those that are shown.
        classes: The vocabulary.

    Returns:
        A row of `HEADERS` for each.
    """
    rows: list[Row] = []
    for one in objects:
        entry = classes[one.label]
        left, top, right, bottom = map(int, one.piece.box)
        rows.append(
            [
                one.number,
                entry.name,
                SEEN_WORDS[entry.seen],
                round(one.score, 3),
                one.piece.area,
                left,
                top,
                right - left,
                bottom - top,
            ]
        )
    return rows


def object_choices(
    objects: Sequence[FoundObject], classes: Sequence[NamedClass]
) -> list[tuple[str, int]]:
    """Names instances for a list to choose from: what is shown, and the number."""
    return [
        (f"{one.number} · {classes[one.label].name} · {one.score:.2f}", one.number)
        for one in objects
    ]


def vocabulary_chips(vocabulary: Vocabulary) -> str:
    """Shows back what was understood.

    Args:
        vocabulary: The classes.

    Returns:
        HTML: a list with colour, name, synonyms and whether the class was seen in training.
    """
    chips = []
    for label, entry in enumerate(vocabulary.classes):
        also = ", ".join(entry.synonyms[1:])
        synonyms = f' <span class="also">also {escape(also)}</span>' if also else ""
        badge = ""
        if entry.seen is not None:
            word = SEEN_WORDS[entry.seen]
            badge = f' <span class="badge {word}" title="{_SEEN_HELP[entry.seen]}">{word}</span>'
        chips.append(f"<li>{_swatch(label)}{escape(entry.name)}{synonyms}{badge}</li>")
    count = len(vocabulary.classes)
    notice = f'<p class="notice">{escape(vocabulary.notice)}</p>' if vocabulary.notice else ""
    seen = [entry.seen for entry in vocabulary.classes]
    summary = f"{count} class{'es' * (count > 1)}"
    if None not in seen:
        summary += f", {sum(map(bool, seen))} of them seen in training"
    return f'<p class="summary">{summary}</p><ul class="chips">{"".join(chips)}</ul>{notice}'


def legend(parts: Sequence[Part], classes: Sequence[NamedClass], view: str) -> str:
    """Lists the classes of a view with their colours.

    Args:
        parts: Of the view.
        classes: The vocabulary.
        view: Its name.

    Returns:
        HTML.
    """
    counts: dict[int, float] = {}
    for part in parts:
        counts[part.label] = counts.get(part.label, 0) + _amount(part, view)
    amounts = {
        label: f"{counts[label]:.1%}" if view == SEMANTIC else f"{counts[label]:.0f}"
        for label in sorted(counts)
    }
    return _legend({label: (classes[label].name, amount) for label, amount in amounts.items()})


def count_chips(counts: Mapping[str, int]) -> str:
    """Lists the classes of a scene with their colours.

    Args:
        counts: Objects by class name, in the order of the vocabulary.

    Returns:
        HTML.
    """
    found = enumerate(counts.items())
    return _legend({label: (name, str(count)) for label, (name, count) in found if count})


def tell(
    result: StoredResult, objects: Sequence[FoundObject], parts: Sequence[Part], wish: Wish
) -> str:
    """Says in a sentence what is seen, for the eye and for screen readers.

    Args:
        result: The stored result.
        objects: All instances that were found.
        parts: Of the view.
        wish: What is wanted.

    Returns:
        Plain text.
    """
    height, width = result.size
    names = [entry.name for entry in result.classes]
    where = f"in {width} x {height} pixels at a threshold of {wish.threshold:.2f}"
    if not parts:
        best = next((one for one in objects if one.label in wish.shown), None)
        if wish.view != INSTANCES or best is None or best.score >= wish.threshold:
            return f"Nothing found {where}."
        return (
            f"Nothing found {where}; the best is {names[best.label]} with {best.score:.2f}: lower "
            "the threshold to see it."
        )
    kinds = len({part.label for part in parts})
    classes = f"of {kinds} class{'es' * (kinds > 1)}"
    if wish.view == SEMANTIC:
        covered = sum(_amount(part, SEMANTIC) for part in parts)
        return f"{covered:.0%} of the picture has one {classes} {where}."
    thing = "segment" if wish.view == PANOPTIC else "object"
    count = f"{len(parts)} {thing}{'s' * (len(parts) > 1)}"
    best_part = max(parts, key=lambda part: part.score or 0)
    return (
        f"{count} {classes} {where}; the best is {names[best_part.label]} with "
        f"{best_part.score:.2f}."
    )


def _legend(entries: Mapping[int, tuple[str, str]]) -> str:
    chips = [
        f'<li>{_swatch(label)}{escape(name)} <span class="count">{amount}</span></li>'
        for label, (name, amount) in entries.items()
    ]
    return f'<ul class="chips" aria-label="Legend">{"".join(chips)}</ul>' if chips else ""


def _amount(part: Part, view: str) -> float:
    return float(part.mask.mean()) if view == SEMANTIC else 1.0


def _swatch(label: int) -> str:
    return f'<span class="swatch" style="background: rgb{class_color(label)}"></span>'
