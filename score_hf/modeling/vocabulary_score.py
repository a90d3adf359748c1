"""SCORE's side of names: its text towers, and the vocabulary that it stores."""

import contextlib

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection

from .pretrained_score import ScorePreTrainedModel
from .text_classifier import ScoreClassifier, as_classifier, encode_prompts


class ScoreVocabularyModel(ScorePreTrainedModel):
    """A model with a text tower or a stored vocabulary, each of which may be missing.

    Args:
        config: Configuration of the model.
    """

    text_tower: CLIPTextModelWithProjection
    context_text_tower: CLIPTextModelWithProjection
    stored_embeddings: Tensor
    stored_class_ids: Tensor
    stored_seen_classes: Tensor

    def get_input_embeddings(self) -> nn.Module:
        """Returns the text tower's token embedding.

        Raises:
            ValueError: If the model has no text tower.
        """
        return self._require_text_tower().get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replaces the text tower's token embedding."""
        self._require_text_tower().set_input_embeddings(value)

    def build_classifier(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        class_ids: Tensor | None = None,
        seen_classes: Tensor | None = None,
    ) -> ScoreClassifier:
        """Encodes a vocabulary, once for any number of images.

        Args:
            input_ids: (synonyms x templates, tokens), prompts with the template running fastest,
                as `ScoreProcessor.tokenize_classes` gives them.
            attention_mask: The same shape.
            class_ids: (synonyms,), the class of each name; by default each prompt is a class.
            seen_classes: (classes,) bool, whether the class was in the training vocabulary; by
                default none was.

        Returns:
            The classifier.

        Raises:
            ValueError: If the model has no text tower, or the arguments do not fit together.
        """
        tower = self._require_text_tower()
        if class_ids is None:
            class_ids = torch.arange(input_ids.shape[0], device=input_ids.device)
        synonyms = class_ids.numel()
        if synonyms == 0 or input_ids.ndim != 2 or input_ids.shape[0] % synonyms:
            raise ValueError(
                "`input_ids` must be of shape (synonyms x templates, tokens) with as many "
                f"synonyms as `class_ids`, got {tuple(input_ids.shape)} and {synonyms}."
            )
        if attention_mask is not None and attention_mask.shape != input_ids.shape:
            raise ValueError(
                f"`attention_mask` must have the shape of `input_ids`, {tuple(input_ids.shape)}, "
                f"got {tuple(attention_mask.shape)}."
            )
        classes = int(class_ids.max()) + 1 if seen_classes is None else seen_classes.numel()
        if class_ids.unique().tolist() != list(range(classes)):
            raise ValueError(
                f"`class_ids` must give each of the {classes} classes a name, counted from 0, got "
                f"{class_ids.tolist()}."
            )
        if seen_classes is None:
            seen_classes = torch.zeros(classes, dtype=torch.bool, device=input_ids.device)
        context_embeddings = None
        with self._frozen():
            embeddings = encode_prompts(tower, input_ids, attention_mask, synonyms)
            if self.config.out_of_vocabulary == "context":
                context_embeddings = encode_prompts(
                    self.context_text_tower, input_ids, attention_mask, synonyms
                )
        return ScoreClassifier(
            embeddings=embeddings,
            class_ids=class_ids,
            seen_classes=seen_classes,
            context_embeddings=context_embeddings,
        )

    def store_vocabulary(
        self, classifier: ScoreClassifier, class_names: list[str], keep_text_tower: bool = True
    ) -> None:
        """Makes a vocabulary the model's own: used without class names, saved with the weights.

        Args:
            classifier: The encoded vocabulary.
            class_names: One name a class; becomes `config.id2label`.
            keep_text_tower: Whether other vocabularies can still be encoded afterwards.

        Raises:
            ValueError: If names and classes differ in number, or the classifier does not fit.
        """
        classifier = self._checked(classifier).to(self.device)
        if len(class_names) != classifier.seen_classes.numel():
            raise ValueError(
                f"`class_names` must hold {classifier.seen_classes.numel()} names, one for each "
                f"class of `classifier`, got {len(class_names)}."
            )
        self.config.id2label = dict(enumerate(class_names))
        self.config.label2id = {name: index for index, name in enumerate(class_names)}
        self.config.stored_synonyms = classifier.class_ids.numel()
        for name, tensor in classifier.items():
            setattr(self, f"stored_{name}", nn.Buffer(tensor.detach().clone()))
        if not keep_text_tower:
            self.config.text_tower = False
            for name in ("text_tower", "context_text_tower"):
                if hasattr(self, name):
                    delattr(self, name)

    def _first_vocabulary(self) -> dict[str, Tensor]:
        """Buffers that hold a place for the stored vocabulary: each name a direction of its own."""
        config, rows = self.config, self.config.stored_synonyms
        if rows == 0:
            return {}
        vocabulary = {
            "stored_embeddings": torch.eye(rows, config.projection_dim),
            "stored_class_ids": torch.arange(rows).clamp(max=config.num_labels - 1),
            "stored_seen_classes": torch.zeros(config.num_labels, dtype=torch.bool),
        }
        if config.out_of_vocabulary == "context":
            width = config.context_config.projection_dim
            vocabulary["stored_context_embeddings"] = torch.eye(rows, width)
        return vocabulary

    def _read_vocabulary(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        class_ids: Tensor | None,
        seen_classes: Tensor | None,
        classifier: Tensor | ScoreClassifier | None,
    ) -> ScoreClassifier:
        if input_ids is None and not (class_ids is None and seen_classes is None):
            raise ValueError(
                "`class_ids` and `seen_classes` belong to `input_ids`, which are not given: a "
                "`classifier` and a stored vocabulary have their own."
            )
        if classifier is not None and input_ids is not None:
            raise ValueError(
                "Give either `classifier` or `input_ids` of class names, not both: they are two "
                "forms of one vocabulary."
            )
        if input_ids is not None:
            return self.build_classifier(input_ids, attention_mask, class_ids, seen_classes)
        if classifier is None:
            if not self.config.stored_synonyms:
                raise ValueError(
                    "No classes to look for: give `classifier` (see `build_classifier`) or "
                    "`input_ids` (see `ScoreProcessor`), or load a model with a stored vocabulary."
                )
            classifier = ScoreClassifier(
                embeddings=self.stored_embeddings,
                class_ids=self.stored_class_ids,
                seen_classes=self.stored_seen_classes,
                context_embeddings=getattr(self, "stored_context_embeddings", None),
            )
        return self._checked(classifier)

    def _checked(self, classifier: Tensor | ScoreClassifier) -> ScoreClassifier:
        classifier = as_classifier(classifier, self.config.projection_dim)
        if self.config.out_of_vocabulary == "context" and classifier.context_embeddings is None:
            raise ValueError(
                "`classifier` has no `context_embeddings`, which a model with "
                "`out_of_vocabulary='context'` needs: build it with this model."
            )
        return classifier

    def _require_text_tower(self) -> CLIPTextModelWithProjection:
        if not self.config.text_tower:
            raise ValueError(
                "This model was saved without its text tower, so it cannot encode class names: "
                "use its stored vocabulary, or give a `classifier` built by the full model."
            )
        return self.text_tower

    def _frozen(self) -> contextlib.AbstractContextManager:
        return torch.no_grad() if self.config.frozen_trunks else contextlib.nullcontext()
