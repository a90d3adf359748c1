"""Class names as arrays, which an exported image half takes as inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.text_classifier import ScoreClassifier
from ..processing.processing_score import ScoreProcessor


@torch.no_grad()
def encode_vocabulary(
    model: ScoreForInstanceSegmentation, processor: ScoreProcessor, classes: Sequence[str] | None
) -> tuple[list[str], ScoreClassifier]:
    """Encodes class names, or reads the vocabulary that the model stores.

    Args:
        model: The model; class names need its text tower.
        processor: Its processor.
        classes: One item a class, a comma inside an item separates synonyms. None: the stored
            vocabulary.

    Returns:
        What each class is called, and the vocabulary.

    Raises:
        ValueError: If names are not valid, or there are none and the model stores none.
    """
    if classes is not None:
        classifier = model.build_classifier(**processor.tokenize_classes(list(classes)))
        return [name.split(",")[0].strip() for name in classes], classifier
    config: Any = model.config
    if not config.stored_synonyms:
        raise ValueError("`classes` must name what to look for: the model stores no vocabulary.")
    seen = model.stored_seen_classes
    further: Any = getattr(model, "stored_context_embeddings", None)
    classifier = ScoreClassifier(model.stored_embeddings, model.stored_class_ids, seen, further)
    return [config.id2label[index] for index in range(len(seen))], classifier


def write_vocabulary(names: Sequence[str], classifier: ScoreClassifier, path: Path) -> None:
    """Writes a vocabulary as an .npz file, which NumPy reads without pickles.

    Args:
        names: What each class is called.
        classifier: The vocabulary.
        path: The file; ends in .npz, which NumPy would else append.
    """
    arrays = {name: tensor.cpu().numpy() for name, tensor in classifier.items()}
    np.savez(path, allow_pickle=False, names=np.array(names), **arrays)
