"""Class names as rows of a classifier: prompts through a text tower, averaged a name."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection
from transformers.utils import ModelOutput

# Prompts that pass through the text tower at once; bounds memory for vocabularies of thousands.
PROMPT_CHUNK = 512


@dataclass
class ScoreClassifier(ModelOutput):
    """A vocabulary, encoded once and usable with any number of images.

    Args:
        embeddings: (synonyms, width), normalised text embeddings in the general CLIP's space.
        class_ids: (synonyms,) int64, the class that each row speaks for; the best row counts.
        seen_classes: (classes,) bool, whether the class was in the training vocabulary.
        context_embeddings: (synonyms, context width), the same names in the remote-sensing CLIP's
            space; only where that scores out of vocabulary.
    """

    embeddings: Tensor | None = None
    class_ids: Tensor | None = None
    seen_classes: Tensor | None = None
    context_embeddings: Tensor | None = None

    def to(self, device: torch.device | str) -> "ScoreClassifier":
        """Returns the same vocabulary on another device."""
        return ScoreClassifier(**{name: tensor.to(device) for name, tensor in self.items()})


def as_classifier(classifier: Tensor | ScoreClassifier, width: int) -> ScoreClassifier:
    """Checks a classifier and completes a plain tensor.

    Args:
        classifier: A vocabulary, or a tensor (classes, width) of one unseen class a row.
        width: The embedding width of the model.

    Returns:
        The classifier.

    Raises:
        ValueError: If the width or the number of rows is wrong.
        TypeError: If it is neither a classifier nor a tensor.
    """
    if isinstance(classifier, Tensor):
        rows = classifier.shape[0] if classifier.ndim == 2 else 0
        classifier = ScoreClassifier(
            embeddings=classifier,
            class_ids=torch.arange(rows, device=classifier.device),
            seen_classes=torch.zeros(rows, dtype=torch.bool, device=classifier.device),
        )
    # By name: code loaded from a saved folder has a class of its own.
    elif type(classifier).__name__ != "ScoreClassifier":
        raise TypeError(
            "`classifier` must be a ScoreClassifier (see `build_classifier`) or a tensor of shape "
            f"(classes, {width}), got {type(classifier).__name__}."
        )
    shape = tuple(classifier.embeddings.shape)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != width:
        raise ValueError(
            f"`classifier` must have embeddings of shape (classes, {width}), got {shape}: build it "
            "with `build_classifier` of this model."
        )
    if classifier.class_ids.shape != shape[:1]:
        raise ValueError(
            f"`classifier` has {shape[0]} embeddings but {classifier.class_ids.numel()} "
            "`class_ids`: there must be one for each."
        )
    return classifier


def encode_prompts(
    tower: CLIPTextModelWithProjection,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    synonyms: int,
) -> Tensor:
    """Encodes names: each prompt normalised, averaged over its templates, normalised again.

    Args:
        tower: The text tower.
        input_ids: (synonyms x templates, tokens), the template running fastest.
        attention_mask: The same shape, or None.
        synonyms: Number of names.

    Returns:
        (synonyms, width).
    """
    chunks = [
        tower(
            input_ids=input_ids[start : start + PROMPT_CHUNK],
            attention_mask=None
            if attention_mask is None
            else attention_mask[start : start + PROMPT_CHUNK],
        ).text_embeds
        for start in range(0, input_ids.shape[0], PROMPT_CHUNK)
    ]
    embeddings = nn.functional.normalize(torch.cat(chunks), dim=-1)
    embeddings = embeddings.unflatten(0, (synonyms, -1)).mean(dim=1)
    return nn.functional.normalize(embeddings, dim=-1)
