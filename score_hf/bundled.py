"""Models and pictures that come with the package, so that first steps need no download."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
DEFAULT_MODEL = "score-tiny"
_LIMITS = {
    "score-tiny": (
        "score-tiny is a demonstration, trained on drawn scenes only; it is not fit for real "
        "imagery."
    ),
}


def bundled_models() -> list[str]:
    """Returns the names of the models that come with the package."""
    return sorted(folder.parent.name for folder in _PACKAGE.glob("models/*/config.json"))


def bundled_model(name: str = DEFAULT_MODEL) -> Path:
    """Gives the folder of a model that comes with the package, for `from_pretrained`.

    Args:
        name: Its name.

    Returns:
        The folder with its configuration, weights and processor.

    Raises:
        ValueError: If no such model comes with the package.
    """
    if name not in bundled_models():
        raise ValueError(
            f"`name` must be a model that comes with score_hf "
            f"({', '.join(bundled_models()) or 'there is none'}), got {name!r}."
        )
    return _PACKAGE / "models" / name


def limits_of(folder: str | Path) -> str | None:
    """Says in a sentence what a model is not fit for, if it is one that comes with the package.

    Args:
        folder: Where it was loaded from.
    """
    path = Path(folder)
    return _LIMITS[path.name] if path.parent == _PACKAGE / "models" else None


def sample_pictures() -> list[Path]:
    """Returns the pictures that come with the package; `samples/ATTRIBUTION.md` tells of them."""
    return sorted((_PACKAGE / "samples").glob("*.png"))
