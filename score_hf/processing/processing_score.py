"""Processor of SCORE: images and class names in, model inputs and results out."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub.errors import HFValidationError
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import ImageInput
from transformers.processing_utils import ProcessingKwargs, ProcessorMixin
from transformers.tokenization_utils_base import BatchEncoding
from transformers.utils.generic import TensorType

from .image_processing_score import ScoreImageProcessorKwargs
from .post_processing import ScorePostProcessing
from .prompts import (
    TEMPLATES,
    build_prompts,
    check_class_names,
    check_templates,
    find_seen_classes,
    shortened,
)

# CLIP's text towers have so many positions; the end token is one of them.
MAX_TOKENS = 77


class ScoreProcessorKwargs(ProcessingKwargs, total=False):
    """Options of a call, by what they are for."""

    images_kwargs: ScoreImageProcessorKwargs  # type: ignore[misc]
    # Transformers 5.20 insists on it, 5.24 does without.
    _defaults = {}  # type: ignore[misc]  # noqa: RUF012


class ScoreProcessor(ProcessorMixin, ScorePostProcessing):
    """Images and class names for SCORE: a [`ScoreImageProcessor`] and CLIP's tokenizer.

    Args:
        image_processor: A [`ScoreImageProcessor`].
        tokenizer: A CLIP tokenizer.
        templates: Sentences, each with one `{}`, that every class name is written into. None: the
            original's 18.
        seen_classes: Names of the classes that the model was trained on, in the form of
            `classes`; a class that shares a name with them counts as seen. None: not known, no
            class does.
    """

    valid_processor_kwargs = ScoreProcessorKwargs  # type: ignore[assignment]

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        templates: Sequence[str] | None = None,
        seen_classes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.templates = check_templates(TEMPLATES if templates is None else templates)
        self.seen_classes = (
            None if seen_classes is None else check_class_names(seen_classes, "seen_classes")
        )
        super().__init__(image_processor, tokenizer, **kwargs)

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        classes: list[str] | None = None,
        annotations: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        segmentation_maps: ImageInput | None = None,
        instance_id_to_semantic_id: Mapping[int, int] | Sequence[Mapping[int, int]] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepares images, class names or both.

        Args:
            images: One or several; see [`ScoreImageProcessor.preprocess`].
            text: Finished prompts, one a class, for those who write their own.
            classes: Class names, one item a class; a comma inside an item separates synonyms.
            annotations: Objects to train on; see [`ScoreImageProcessor.preprocess`].
            segmentation_maps: The same as maps of ids.
            instance_id_to_semantic_id: Class index of each id in the maps.
            **kwargs: Options of the image processor and the tokenizer, flat or grouped as
                `images_kwargs` and `text_kwargs`.

        Returns:
            With images `pixel_values`, `pixel_mask` (and `mask_labels`, `class_labels`), with
            names `input_ids`, `attention_mask`, `class_ids`, `seen_classes`; see
            [`tokenize_classes`].

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If nothing is given, both `text` and `classes` are, or something in them
                is not valid.
        """
        if images is None and text is None and classes is None:
            raise ValueError("Give `images`, `classes` or both; got neither.")
        if text is not None and classes is not None:
            raise ValueError(
                "Give either `classes`, which are put into the templates, or `text`, finished "
                "prompts, but got both."
            )
        if images is None and (annotations is not None or segmentation_maps is not None):
            raise ValueError("`annotations` and `segmentation_maps` need their `images`.")
        merged = self._sort_options(**kwargs)
        features = BatchFeature()
        if images is not None:
            features.update(
                self.image_processor(
                    images,
                    segmentation_maps=segmentation_maps,
                    instance_id_to_semantic_id=instance_id_to_semantic_id,
                    annotations=annotations,
                    **merged["images_kwargs"],
                )
            )
        if classes is not None:
            features.update(self._encode_classes(classes, merged["text_kwargs"]))
        if text is not None:
            features.update(self._encode_text(text, merged["text_kwargs"]))
        return features

    def tokenize_classes(
        self, classes: list[str], return_tensors: str | TensorType | None = "pt"
    ) -> BatchFeature:
        """Prepares class names alone, as `model.build_classifier` takes them.

        Args:
            classes: One item a class; a comma inside an item separates synonyms.
            return_tensors: "pt", "np" or None for lists.

        Returns:
            `input_ids` and `attention_mask` (prompts, tokens), synonyms x templates with the
            template varying fastest; `class_ids` (synonyms,), the class that each synonym belongs
            to; `seen_classes` (classes,) bool, whether the model was trained on the class.

        Raises:
            TypeError: If `classes` is not a list of strings.
            ValueError: If there are none, or a name is empty or stands for two classes.
        """
        options = self._sort_options(return_tensors=return_tensors)
        return self._encode_classes(classes, options["text_kwargs"])

    def _sort_options(self, **options: Any) -> dict[str, dict[str, Any]]:
        """Divides options between image processor and tokenizer."""
        return self._merge_kwargs(
            ScoreProcessorKwargs,  # type: ignore[arg-type]
            tokenizer_init_kwargs=self.tokenizer.init_kwargs,
            **options,
        )

    def _encode_classes(self, classes: list[str], options: dict[str, Any]) -> BatchFeature:
        classes = check_class_names(classes)
        templates = check_templates(self.templates)
        prompts, class_ids = build_prompts(classes, templates)
        names = [classes[index] for index in class_ids for _ in templates]
        return self._features(prompts, names, class_ids, classes, options)

    def _encode_text(self, text: str | list[str], options: dict[str, Any]) -> BatchFeature:
        prompts = [text] if isinstance(text, str) else text
        if not isinstance(prompts, list | tuple) or not all(isinstance(p, str) for p in prompts):
            raise TypeError(f"`text` must be a prompt or a list of prompts, but got {text!r:.200}.")
        if not prompts or not all(prompt.strip() for prompt in prompts):
            raise ValueError(f"`text` must hold prompts that are not empty, but got {text!r:.200}.")
        return self._features(list(prompts), prompts, list(range(len(prompts))), prompts, options)

    def _features(
        self,
        prompts: list[str],
        names: Sequence[str],
        class_ids: list[int],
        classes: Sequence[str],
        options: dict[str, Any],
    ) -> BatchFeature:
        features = BatchFeature(
            {
                **self._tokenize(prompts, names, options),
                "class_ids": class_ids,
                "seen_classes": find_seen_classes(classes, self.seen_classes or ()),
            }
        )
        return features.convert_to_tensors(options.get("return_tensors"))

    def _tokenize(
        self, prompts: list[str], names: Sequence[str], options: dict[str, Any]
    ) -> BatchEncoding:
        """Tokenizes prompts, and warns of those that are cut off."""
        limit = options.get("max_length") or min(self.tokenizer.model_max_length, MAX_TOKENS)
        options = {"padding": True, **options, "max_length": limit, "truncation": True}
        options["return_tensors"] = None
        uncut = self.tokenizer(prompts, truncation=False, padding=False, verbose=False)
        too_long = {
            name: len(ids)
            for name, ids in zip(names, uncut["input_ids"], strict=True)
            if len(ids) > limit
        }
        for name, length in too_long.items():
            warnings.warn(
                f"The class {shortened(name)!r} makes a prompt of {length} tokens; only the first "
                f"{limit} are read, so give it a shorter name.",
                stacklevel=2,
            )
        return self.tokenizer(prompts, **options)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> Any:
        """Loads a processor; see [`ProcessorMixin.from_pretrained`].

        Raises:
            OSError: If there is no such processor.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except (OSError, HFValidationError) as error:
            name = str(pretrained_model_name_or_path)
            if os.path.isdir(name):
                raise
            raise OSError(
                f"`pretrained_model_name_or_path` is {name!r}, which is no folder here and cannot "
                "be had from the Hugging Face hub; give a folder that `save_pretrained` wrote or "
                f"an id such as 'owner/name' ({' '.join(str(error).split())})."
            ) from error

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """Saves the processor with its code; see [`ProcessorMixin.save_pretrained`]."""
        try:
            return super().save_pretrained(str(save_directory), push_to_hub=push_to_hub, **kwargs)
        finally:
            # Transformers leaves this on the object, which then differs from its loaded copy.
            self.__dict__.pop("auto_map", None)

    @property
    def model_input_names(self) -> list[str]:
        return [*super().model_input_names, "class_ids", "seen_classes"]

    @property
    def max_detections(self) -> int:  # type: ignore[override]
        """How many detections post-processing considers: what the image processor says."""
        return self.image_processor.max_detections


ScoreProcessor.register_for_auto_class()
