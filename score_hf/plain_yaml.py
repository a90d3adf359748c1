"""Reads YAML that anybody may have written, into plain values of a bearable size."""

from typing import Any

# A file of a few lines can stand for billions of values, by naming the same list again and again.
_MOST_VALUES = 100_000


def read_yaml(text: str, loader: Any = None) -> Any:
    """Reads YAML.

    Args:
        text: What stands in the file.
        loader: A kind of `yaml.SafeLoader`; None: that itself.

    Returns:
        Dictionaries, lists, texts, numbers, truth values, dates and None.

    Raises:
        ImportError: If PyYAML is missing.
        ValueError: If it is no YAML, or stands for too many values; says why in a line without a
            stop at its end.
    """
    import yaml

    try:
        values = yaml.load(text, loader or yaml.SafeLoader)
    # PyYAML stumbles over odd numbers, dates and tags in as many ways, and over what nests deeply.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(reason[:300].rstrip(".")) from error
    _check_size(values)
    return values


def _check_size(values: Any) -> None:
    waiting, seen = [values], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set):
            waiting += one
        if seen + len(waiting) > _MOST_VALUES:
            raise ValueError(
                f"it stands for more than {_MOST_VALUES:,} values, perhaps by aliases (*name) of "
                "lists that hold one another"
            )
