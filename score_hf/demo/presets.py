"""Vocabularies of the published data sets, to start from."""

from collections.abc import Sequence

from ..data import categories, semantic_sets
from ..processing.prompts import split_synonyms

OWN = "Trained on"


def list_presets(training_classes: Sequence[str] | None) -> dict[str, str]:
    """Lists vocabularies as a visitor would type them.

    Args:
        training_classes: What the model was trained on, listed first; None if it does not say.

    Returns:
        The text of each by its title.
    """
    tables: dict[str, Sequence[str]] = {
        "iSAID": categories.ISAID,
        "NWPU VHR-10": categories.NWPU,
        "SIOR (DIOR)": categories.SIOR,
        "SOTA (DOTA)": categories.SOTA,
        "FAST (FAIR1M)": categories.FAST,
        "LandDiscover50K": semantic_sets.LANDDISCOVER.vocabulary,
        "FLAIR": semantic_sets.FLAIR.vocabulary,
        "Potsdam": semantic_sets.POTSDAM.vocabulary,
        "FloodNet": semantic_sets.FLOODNET.vocabulary,
    }
    own = {OWN: training_classes} if training_classes else {}
    return {title: type_out(names) for title, names in {**own, **tables}.items()}


def type_out(names: Sequence[str]) -> str:
    """Writes class names as a visitor types them.

    Args:
        names: One item a class, a comma inside an item separates synonyms.

    Returns:
        The text that `parse_class_names` reads back.
    """
    return ", ".join(" | ".join(split_synonyms(name)) for name in names)
