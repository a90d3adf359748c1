"""SCORE: open-vocabulary instance segmentation of aerial images (Huang et al., ICCV 2025)."""

import contextlib
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection
from transformers import initialization as init
from transformers.modeling_utils import local_torch_dtype
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import can_return_tuple
from typing_extensions import Unpack

from .batch_padding import group_by_size, image_sizes_of, merge_groups, pad_to_multiple
from .configuration_score import ScoreConfig
from .context_trunk import SceneContext, ScoreContextTrunk
from .general_trunk import ScoreGeneralTrunk
from .layers import pool_in_masks
from .loss_score import MaskFactors, ScoreCriterion, fit_mask_labels, repeated_draws
from .low_precision import lower_products
from .mask_decoder import ScoreMaskDecoder, form_masks
from .open_vocabulary import (
    FIRST_LOGIT_SCALE,
    ScoreClassHead,
    class_logits,
    ensemble_vocabularies,
)
from .pixel_decoder import ScorePixelDecoder
from .pretrained_score import ScorePreTrainedModel, align_in_memory
from .scene_context import ScoreGlobalContextAdaptation, ScoreRegionAwareIntegration
from .text_classifier import ScoreClassifier
from .training_step import ScoreTrainingStep
from .vocabulary_score import ScoreVocabularyModel


@dataclass
class ScoreForInstanceSegmentationOutput(ModelOutput):
    """What SCORE says about a batch; the image processor turns it into instances.

    Args:
        loss: Weighted sum of all losses, with labels.
        class_queries_logits: (batch, queries, classes + 1), void last. In evaluation the
            logarithms of the ensembled probabilities, in training the in-vocabulary logits.
        masks_queries_logits: (batch, queries, h, w), at stride 4 of the padded input.
        image_sizes: (batch, 2) int64, height and width of each image within the padded input.
        seen_classes: (batch, classes) int64, 1 for classes of the training vocabulary; the same
            row for every image, so that a batch's outputs can be taken apart by image.
        in_vocabulary_logits: (batch, queries, classes + 1) of the adapted classifier.
        out_of_vocabulary_logits: (batch, queries, classes + 1) of the frozen CLIP, in evaluation.
        auxiliary_class_logits: In-vocabulary logits of every prediction, from the learned queries
            to the last layer, if asked for.
        auxiliary_mask_logits: Mask logits of every prediction, if asked for.
        losses: Each unweighted loss by name, with labels.
        hidden_states: Queries before the first and after each mask decoder layer, if asked for.
        attentions: Self-attention weights of the mask decoder, if asked for.
        cross_attentions: Cross-attention weights of the mask decoder, if asked for.
    """

    loss: Tensor | None = None
    class_queries_logits: Tensor | None = None
    masks_queries_logits: Tensor | None = None
    image_sizes: Tensor | None = None
    seen_classes: Tensor | None = None
    in_vocabulary_logits: Tensor | None = None
    out_of_vocabulary_logits: Tensor | None = None
    auxiliary_class_logits: tuple[Tensor, ...] | None = None
    auxiliary_mask_logits: tuple[Tensor, ...] | None = None
    losses: dict[str, Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None


class ScoreForInstanceSegmentation(ScoreVocabularyModel):
    """SCORE, from pixels and class names to class and mask logits.

    Args:
        config: Configuration of the model.
    """

    # `forward` takes keywords for its sub-models, none of which is Trainer's item count.
    accepts_loss_kwargs = False

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__(config)
        # First, because the first weight's type counts as the model's.
        self.mask_decoder = ScoreMaskDecoder(config)
        with local_torch_dtype(torch.float32):
            self.pixel_decoder = ScorePixelDecoder(config)
        self.class_head = ScoreClassHead(config)
        if config.region_context != "none":
            self.region_integration = ScoreRegionAwareIntegration(config)
        if config.global_context != "none":
            self.global_adaptation = ScoreGlobalContextAdaptation(config)
        self.void_embedding = nn.Embedding(1, config.projection_dim)

        towers: Any = config
        self.general_trunk = ScoreGeneralTrunk(
            towers.general_config,
            config.projection_dim,
            config.visual_head,
            config.visual_head_bias,
        )
        if config.text_tower:
            self.text_tower = CLIPTextModelWithProjection(towers.text_config)
        if config.uses_context:
            self.context_trunk = ScoreContextTrunk(towers.context_config)
        if config.out_of_vocabulary == "context":
            if config.text_tower:
                self.context_text_tower = CLIPTextModelWithProjection(towers.context_text_config)
            self.context_logit_scale = nn.Parameter(torch.empty(()))
        for trunk in self._trunks():
            # CLIP's classes make their inner part in the type that the config was saved with.
            trunk.to(torch.get_default_dtype())

        for name, tensor in self._first_vocabulary().items():
            setattr(self, name, nn.Buffer(tensor))
        self.criterion = ScoreCriterion(config)
        self.post_init()
        self._freeze_trunks()

    def init_own_weights(self) -> None:
        """Standard normal void, CLIP's scale, a stand-in until a vocabulary is stored."""
        init.normal_(self.void_embedding.weight)
        if hasattr(self, "context_logit_scale"):
            init.constant_(self.context_logit_scale, FIRST_LOGIT_SCALE)
        for name, tensor in self._first_vocabulary().items():
            init.copy_(getattr(self, name), tensor)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike | None, *args: Any, **kwargs: Any
    ) -> Any:
        """Loads a model; see Transformers.

        Loading makes new parameters: they are frozen again here, and leave the file's memory.

        Raises:
            OSError: If there is no such model.
        """
        try:
            loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except OSError as error:
            name = str(pretrained_model_name_or_path)
            if Path(name).is_dir():
                raise
            raise OSError(
                f"`pretrained_model_name_or_path` is {name!r}, which is no folder here and cannot "
                "be had from the Hugging Face hub; give a folder that `save_pretrained` wrote or "
                f"an id such as 'owner/name' ({' '.join(str(error).split())})."
            ) from error
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model._freeze_trunks()
        align_in_memory(model)
        return loaded

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **kwargs: Any) -> None:
        """Saves the model; where its code goes along, under every auto class it serves."""
        if self._auto_class is not None:
            reference = f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"
            names = (
                "AutoModel",
                "AutoModelForInstanceSegmentation",
                "AutoModelForImageSegmentation",
                "AutoModelForUniversalSegmentation",
            )
            known = getattr(self.config, "auto_map", None) or {}
            self.config.auto_map = {**known, **dict.fromkeys(names, reference)}
        super().save_pretrained(save_directory, *args, **kwargs)

    def train(self, mode: bool = True) -> "ScoreForInstanceSegmentation":
        """Switches to training or evaluation; frozen trunks always stay in evaluation."""
        super().train(mode)
        if self.config.frozen_trunks:
            for trunk in self._trunks():
                trunk.eval()
        return self

    def lower_trunk_precision(self) -> None:
        """Computes the matrix products of the image trunks in bfloat16, all else in float32.

        For inference: the trunks' weights are rounded for good.
        """
        for name in ("general_trunk", "context_trunk"):
            if hasattr(self, name):
                lower_products(getattr(self, name))

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        pixel_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        class_ids: Tensor | None = None,
        seen_classes: Tensor | None = None,
        classifier: Tensor | ScoreClassifier | None = None,
        mask_labels: list[Tensor] | None = None,
        class_labels: list[Tensor] | None = None,
        output_auxiliary_logits: bool = False,
        step: ScoreTrainingStep | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> ScoreForInstanceSegmentationOutput:
        """Segments a batch for a vocabulary.

        The vocabulary is `input_ids` (class names tokenised by the processor), `classifier`
        (encoded before), or neither: then the stored one.

        Args:
            pixel_values: (batch, 3, height, width), normalised and zero-padded right and below.
            pixel_mask: (batch, height, width), 1 on the image and 0 on its padding.
            input_ids: (synonyms x templates, tokens); see `build_classifier`.
            attention_mask: The same shape.
            class_ids: (synonyms,), the class of each name.
            seen_classes: (classes,) bool.
            classifier: An encoded vocabulary, or a tensor (classes, width).
            mask_labels: One (objects, height, width) tensor an image, of `pixel_values`' size.
            class_labels: One (objects,) int64 tensor an image.
            output_auxiliary_logits: Whether to return every prediction, not only the last.
            step: The optimisation step of which the batch is a part, where a training spreads it
                over processes or accumulated passes and wants the same as in one pass.
            **kwargs: `output_hidden_states`, `output_attentions`, `return_dict`.

        Returns:
            Logits, and losses where labels are given.

        Raises:
            ValueError: If the vocabulary is given twice or not at all, or pixels, mask and labels
                do not fit together.
        """
        vocabulary = self._read_vocabulary(
            input_ids, attention_mask, class_ids, seen_classes, classifier
        )
        image_sizes = image_sizes_of(pixel_values, pixel_mask)
        if self.training and self.config.region_context != "none":
            self.region_integration.begin_pass(step)
        every_prediction = mask_labels is not None or output_auxiliary_logits
        factors = None
        if pixel_mask is None or self.training or self.config.batch_padding == "together":
            pixels = pad_to_multiple(pixel_values)
            output, factors = self._segment(pixels, vocabulary, every_prediction, **kwargs)
        else:
            groups = group_by_size(pixel_values, image_sizes)
            outputs = [
                self._segment(pixels, vocabulary, every_prediction, **kwargs)[0]
                for _, pixels in groups
            ]
            output = merge_groups(outputs, [indices for indices, _ in groups], pixel_values)
        loss, losses = self._measure_losses(
            output, factors, pixel_values, mask_labels, class_labels, step
        )
        if not output_auxiliary_logits:
            # All masks are much memory, which the backward pass could use.
            output = replace(output, auxiliary_class_logits=None, auxiliary_mask_logits=None)
        return replace(
            output,
            loss=loss,
            losses=losses,
            image_sizes=image_sizes,
            seen_classes=vocabulary.seen_classes.long().expand(pixel_values.shape[0], -1),
        )

    def _segment(
        self,
        pixel_values: Tensor,
        vocabulary: ScoreClassifier,
        every_prediction: bool,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[ScoreForInstanceSegmentationOutput, MaskFactors]:
        """Computes a batch of one padded size; also says what its masks are products of."""
        with self._frozen():
            stages = self.general_trunk(pixel_values)
            context = self._scene_context(pixel_values)
        adapted = self._adapt_to_scene(vocabulary.embeddings, context)
        mask_features, maps = self.pixel_decoder(stages)
        mask_features = mask_features.to(self.void_embedding.weight.dtype)
        maps = [level.to(mask_features.dtype) for level in maps]
        decoded = self.mask_decoder(mask_features, maps, **kwargs)

        # What earlier predictions say feeds nothing but the losses.
        wanted = slice(None) if every_prediction else slice(-1, None)
        factors = MaskFactors(decoded.mask_embeddings[wanted], mask_features)
        masks = tuple(form_masks(embeddings, mask_features) for embeddings in factors.embeddings)
        in_logits = self._classify(
            decoded.queries[wanted], masks, mask_features, context, adapted, vocabulary
        )
        scores, out_logits = in_logits[-1], None
        if not self.training:
            out_logits = self._score_out_of_vocabulary(masks[-1], stages[-1], context, vocabulary)
            scores = ensemble_vocabularies(
                scores, out_logits, vocabulary.seen_classes, self.config.alpha, self.config.beta
            )
        output = ScoreForInstanceSegmentationOutput(
            class_queries_logits=scores,
            masks_queries_logits=masks[-1],
            in_vocabulary_logits=in_logits[-1],
            out_of_vocabulary_logits=out_logits,
            auxiliary_class_logits=in_logits if every_prediction else None,
            auxiliary_mask_logits=masks if every_prediction else None,
            hidden_states=decoded.hidden_states,
            attentions=decoded.attentions,
            cross_attentions=decoded.cross_attentions,
        )
        return output, factors

    def _measure_losses(
        self,
        output: ScoreForInstanceSegmentationOutput,
        factors: MaskFactors | None,
        pixel_values: Tensor,
        mask_labels: list[Tensor] | None,
        class_labels: list[Tensor] | None,
        step: ScoreTrainingStep | None,
    ) -> tuple[Tensor | None, dict[str, Tensor] | None]:
        if mask_labels is None and class_labels is None:
            return None, None
        if mask_labels is None or class_labels is None:
            raise ValueError("`mask_labels` and `class_labels` must be given both or neither.")
        num_classes = output.class_queries_logits.shape[-1] - 1
        mask_labels = fit_mask_labels(mask_labels, class_labels, pixel_values, num_classes)
        with contextlib.nullcontext() if self.training else repeated_draws(pixel_values.device):
            return self.criterion(
                output.auxiliary_class_logits,
                output.auxiliary_mask_logits,
                mask_labels,
                class_labels,
                step,
                factors,
            )

    def _scene_context(self, pixel_values: Tensor) -> SceneContext | None:
        if not self.config.uses_context:
            return None
        wants_inner = self.config.region_context == "intermediate"
        return self.context_trunk(
            pixel_values, self.config.intermediate_layer if wants_inner else None
        )

    def _adapt_to_scene(self, embeddings: Tensor, context: SceneContext | None) -> Tensor:
        """Global Context Adaptation, and the void row: (batch or 1, synonyms + 1, width)."""
        if self.config.global_context == "none":
            adapted = embeddings.to(self.void_embedding.weight.dtype).unsqueeze(0)
        else:
            adapted = self.global_adaptation(embeddings, context)
        return self._append_void(adapted)

    def _append_void(self, rows: Tensor) -> Tensor:
        void = nn.functional.normalize(self.void_embedding.weight, dim=-1).to(rows.dtype)
        return torch.cat((rows, void.expand(*rows.shape[:-2], 1, -1)), dim=-2)

    def _classify(
        self,
        queries: tuple[Tensor, ...],
        mask_logits: tuple[Tensor, ...],
        mask_features: Tensor,
        context: SceneContext | None,
        adapted: Tensor,
        vocabulary: ScoreClassifier,
    ) -> tuple[Tensor, ...]:
        """In-vocabulary logits of each prediction: class embedding, its region, the classifier."""
        # Side by side: a few large products are faster than many small ones.
        embeddings = self.class_head(torch.cat(queries, dim=1), mask_logits, mask_features)
        if self.config.region_context != "none":
            embeddings = self.region_integration(embeddings, mask_logits, context)
        logits = class_logits(
            embeddings,
            adapted,
            vocabulary.class_ids,
            vocabulary.seen_classes.numel(),
            self.class_head.logit_scale,
        )
        return logits.split(queries[0].shape[1], dim=1)

    def _score_out_of_vocabulary(
        self,
        mask_logits: Tensor,
        last_stage: Tensor,
        context: SceneContext | None,
        vocabulary: ScoreClassifier,
    ) -> Tensor:
        """Out-of-vocabulary logits: the frozen CLIP's features inside the undilated masks."""
        if self.config.out_of_vocabulary == "general":
            pooled = pool_in_masks(last_stage, _shrink(mask_logits, last_stage) > 0)
            embeddings = self.general_trunk.head(pooled)
            rows = self._append_void(vocabulary.embeddings.to(embeddings.dtype))
            scale = self.general_trunk.logit_scale
        else:
            embeddings = pool_in_masks(context.patches, _shrink(mask_logits, context.patches) > 0)
            rows = vocabulary.context_embeddings.to(embeddings.dtype)
            # The learned void lives in the general CLIP's space; this column is never used.
            rows = torch.cat((rows, torch.zeros_like(rows[:1])))
            scale = self.context_logit_scale
        return class_logits(
            embeddings, rows, vocabulary.class_ids, vocabulary.seen_classes.numel(), scale
        )

    def _trunks(self) -> list[nn.Module]:
        names = ("general_trunk", "text_tower", "context_trunk", "context_text_tower")
        return [getattr(self, name) for name in names if hasattr(self, name)]

    def _freeze_trunks(self) -> None:
        if self.config.frozen_trunks:
            for trunk in self._trunks():
                trunk.requires_grad_(False)
            if hasattr(self, "context_logit_scale"):
                self.context_logit_scale.requires_grad_(False)
            self.train(self.training)


def _shrink(mask_logits: Tensor, features: Tensor) -> Tensor:
    return nn.functional.interpolate(
        mask_logits, size=features.shape[-2:], mode="bilinear", align_corners=False
    )


ScoreForInstanceSegmentation.register_for_auto_class("AutoModelForInstanceSegmentation")

__all__ = [
    "ScoreForInstanceSegmentation",
    "ScoreForInstanceSegmentationOutput",
    "ScorePreTrainedModel",
]
