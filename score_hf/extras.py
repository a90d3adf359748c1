"""Packages that come with an extra of this one, looked for before they are missed."""

from importlib.util import find_spec


def missing_packages(need: str, *packages: str, extra: str = "train") -> str | None:
    """Says which packages are not installed, and how to get them.

    Args:
        need: Who needs them, such as "training needs"; begins the sentence.
        packages: Their names as they are imported.
        extra: What of `score-hf[...]` brings them.

    Returns:
        One sentence; None if they are all there.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if not missing:
        return None
    return f"{need} {' and '.join(missing)}: run `pip install 'score-hf[{extra}]'`."
