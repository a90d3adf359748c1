"""Class names to the sentences that the text tower reads (paper §3.2)."""

import re
import warnings
from collections.abc import Collection, Sequence, Set

# 18 templates in the original's order: the source varies fastest, the article slowest.
TEMPLATES = tuple(
    f"{source} {kind} of {article}{{}}."
    for article in ("", "a ", "the ")
    for kind in ("imagery", "photo", "view")
    for source in ("satellite", "aerial")
)


def parse_class_names(text: str, argument: str = "text") -> list[str]:
    """Reads class names as a person types them.

    Commas, semicolons and line breaks separate classes, `|` separates synonyms of one class. A
    separator may end a line, and lines may be blank; where a name is missing between separators,
    a warning says so and the rest is read. In a list of names, by contrast, an empty one is an
    error: see [`check_class_names`].

    Args:
        text: For example `"ship, harbor; storage tank | oil tank"`.
        argument: What the caller calls it; named in errors and warnings.

    Returns:
        One item a class, its synonyms separated by commas, as [`ScoreProcessor`] takes it:
        `["ship", "harbor", "storage tank, oil tank"]`.

    Raises:
        TypeError: If `text` is not a string.
        ValueError: If it names no class.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"`{argument}` must be one string of class names, but got {type(text).__name__}; "
            "a list of names needs no parsing."
        )
    classes, missing = [], 0
    for line in filter(str.strip, text.splitlines()):
        for piece in re.split("[,;]", line.rstrip(",; \t")):
            names = [name.strip() for name in piece.split("|")]
            synonyms = [name for name in names if name]
            missing += len(names) - len(synonyms)
            if synonyms:
                classes.append(", ".join(synonyms))
    if not classes:
        raise ValueError(
            f"`{argument}` must name at least one class, but got {shortened(text)!r}; "
            'write for example "ship, storage tank | oil tank".'
        )
    if missing:
        warnings.warn(
            f"`{argument}` has {missing} empty name{'s' * (missing > 1)} between separators, which "
            f"{'are' if missing > 1 else 'is'} ignored: {shortened(text)!r}.",
            stacklevel=2,
        )
    return classes


def shortened(text: str, longest: int = 60) -> str:
    """Cuts off what is too long to repeat in a message."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def split_synonyms(name: str) -> list[str]:
    """Splits a class name at its commas into cleaned synonyms.

    As in the original, letters become lower case and `_` and `-` become spaces. Blanks around a
    synonym are stripped, which the original does not do: there "ship" and "ship " are different
    classes when the seen ones are looked up.

    Args:
        name: One class, for example `"Storage_Tank, oil-tank"`.

    Returns:
        The synonyms, for example `["storage tank", "oil tank"]`; one that is blank is kept as "".
    """
    cleaned = name.replace("_", " ").lower().replace("-", " ")
    return [synonym.strip() for synonym in cleaned.split(",")]


def check_class_names(classes: Sequence[str], argument: str = "classes") -> list[str]:
    """Checks a list of class names.

    Args:
        classes: One item a class, a comma inside an item separates synonyms.
        argument: What the caller calls it; named in the errors.

    Returns:
        The names as a list.

    Raises:
        TypeError: If it is not a list of strings.
        ValueError: If it is empty, or a name is blank or stands for two classes.
    """
    if isinstance(classes, str) and not classes.strip(" ,;|\t\r\n"):
        raise TypeError(
            f"`{argument}` must be a list with one name a class, but got the blank string "
            f'{shortened(classes)!r}; write for example ["ship", "harbor"].'
        )
    if isinstance(classes, str):
        raise TypeError(
            f"`{argument}` must be a list with one name a class, but got the string "
            f"{shortened(classes)!r}; wrap it in a list, or split it with `parse_class_names`."
        )
    if not isinstance(classes, Collection) or isinstance(classes, Set):
        raise TypeError(
            f"`{argument}` must be a list of class names, whose order numbers the classes, but got "
            f"{type(classes).__name__}."
        )
    if len(classes) == 0:
        raise ValueError(f"`{argument}` is empty; give at least one class name.")
    class_of: dict[str, str] = {}
    for index, name in enumerate(classes):
        if not isinstance(name, str):
            raise TypeError(
                f"`{argument}[{index}]` must be a string, but got {name!r} ({type(name).__name__})."
            )
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(
                f"`{argument}[{index}]` is {shortened(name)!r}, which is no text: it holds bytes "
                "that are not UTF-8."
            )
        for synonym in dict.fromkeys(split_synonyms(name)):
            # Spaces and characters that show nothing name nothing.
            if not any(one.isprintable() and not one.isspace() for one in synonym):
                raise ValueError(
                    f"`{argument}[{index}]` is {name!r}, which holds an empty name; "
                    "every class, and every synonym between commas, needs at least one letter."
                )
            if synonym in class_of:
                raise ValueError(
                    f"`{argument}` holds {synonym!r} twice, in {class_of[synonym]!r} and in "
                    f"{name!r}; upper case, `_` and `-` make no difference, and a name can stand "
                    "for one class only."
                )
            class_of[synonym] = name
    return list(classes)


def check_templates(templates: Sequence[str]) -> list[str]:
    """Checks prompt templates.

    Args:
        templates: Sentences, each with one `{}` where the class name goes.

    Returns:
        The templates as a list.

    Raises:
        TypeError: If it is not a list of strings.
        ValueError: If it is empty, or a template has not exactly one `{}`.
    """
    if isinstance(templates, str) or not isinstance(templates, Collection):
        raise TypeError(
            f"`templates` must be a list of strings, but got {templates!r}; "
            'write for example ["satellite photo of a {}."].'
        )
    if len(templates) == 0:
        raise ValueError("`templates` is empty; give at least one, or None for the default ones.")
    for index, template in enumerate(templates):
        if not isinstance(template, str):
            raise TypeError(
                f"`templates[{index}]` must be a string, but got {type(template).__name__}."
            )
        if template.count("{}") != 1:
            raise ValueError(
                f"`templates[{index}]` is {template!r}; it must hold exactly one {{}}, "
                "where the class name goes."
            )
    return list(templates)


def build_prompts(
    classes: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> tuple[list[str], list[int]]:
    """Writes every synonym of every class into every template.

    Args:
        classes: One item a class, a comma inside an item separates synonyms.
        templates: Sentences, each with one `{}`.

    Returns:
        The prompts, synonyms x templates with the template varying fastest, and for each synonym
        the index of its class.
    """
    prompts: list[str] = []
    class_ids: list[int] = []
    for index, name in enumerate(classes):
        for synonym in split_synonyms(name):
            # Not str.format: a class name may itself hold braces.
            prompts.extend(template.replace("{}", synonym) for template in templates)
            class_ids.append(index)
    return prompts, class_ids


def find_seen_classes(classes: Sequence[str], training_classes: Sequence[str]) -> list[bool]:
    """Tells which classes were in the training vocabulary.

    Args:
        classes: One item a class, a comma inside an item separates synonyms.
        training_classes: The same for the classes that the model was trained on.

    Returns:
        For each class, whether one of its synonyms is a synonym of any training class.
    """
    known = {synonym for name in training_classes for synonym in split_synonyms(name)}
    return [not known.isdisjoint(split_synonyms(name)) for name in classes]
