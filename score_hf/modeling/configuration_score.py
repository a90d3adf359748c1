"""Configuration of SCORE: three CLIP towers and what is built on them."""

import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CLIPTextConfig, CLIPVisionConfig, ConvNextConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

# OpenCLIP `convnext_large_d_320`: its text tower and its image trunk.
_GENERAL_TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "gelu",
}
_GENERAL_TRUNK: dict[str, Any] = {
    "depths": [3, 3, 27, 3],
    "hidden_sizes": [192, 384, 768, 1536],
    "layer_norm_eps": 1e-6,
}
# RemoteCLIP ViT-L/14.
_CONTEXT_TRUNK: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 768,
}
_CONTEXT_TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_MOST_LAYERS = 1000
# What cannot be left out by setting it to 0.
_COUNTS = (
    "context_num_heads",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "num_points",
    "num_queries",
    "pixel_decoder_intermediate_size",
    "pixel_decoder_points",
    "projection_dim",
    "region_intermediate_size",
)


@strict
class ScoreConfig(PreTrainedConfig):
    """Configuration of [`ScoreForInstanceSegmentation`].

    The defaults are the paper's model trained by the original code. A Mask2Former-like baseline
    (first row of Table 2) is `ScoreConfig(region_context="none", global_context="none")`.

    Args:
        text_config: Text tower of the general CLIP.
        text_tower: Whether the model has its text tower; without it, it only knows its stored
            vocabulary and the classifiers it is given.
        general_config: Image trunk of the general CLIP (paper §4.2).
        context_config: Vision transformer of the remote-sensing CLIP (paper §3.3).
        context_text_config: Text tower of the remote-sensing CLIP; needed, and built, only with
            `out_of_vocabulary="context"` (Table 6).
        projection_dim: Width of the general CLIP's embedding space, in which classes are compared.
        visual_head: How the general CLIP maps pooled trunk features there, after a norm. "mlp": two
            layers (OpenCLIP's `convnext_large_d` and `_d_320`, the paper's). "linear": one (its
            other ConvNeXts).
        visual_head_bias: Whether the last layer of that head has a bias.
        frozen_trunks: Whether the CLIP towers take no gradient and stay in evaluation mode.
        hidden_size: Width of pixel decoder and mask decoder.
        num_queries: Object queries (paper §4.2).
        num_hidden_layers: Layers of the mask decoder; there is one prediction more.
        num_attention_heads: Attention heads of pixel decoder and mask decoder.
        intermediate_size: Width of the mask decoder's feed-forward networks.
        pixel_decoder_layers: Layers of the deformable encoder.
        pixel_decoder_intermediate_size: Width of its feed-forward networks.
        pixel_decoder_points: Sampling points a head and level.
        global_context: How Global Context Adaptation moves the text classifier (Table 5).
            "none": not at all. "add": adds the scene's [CLS]. "concat": concatenates it and
            projects back to the width (how the original kept the width is not known).
            "attention": the original's code, queries = classes, key = value = [CLS]. "equation":
            Eq. 7 as printed, query = [CLS], keys = values = classes; its one vector is added to
            every class. "tokens": ours, each class attends to the [CLS] and all patch tokens; the
            only kind by which a scene moves classes against one another.
        region_context: What Region-Aware Integration adds to each class embedding (Table 4).
            "none": the baseline. "region": patch tokens of the remote-sensing CLIP inside the
            dilated mask. "cls": its [CLS] token for every query. "intermediate": as "region", of
            an inner block's patch tokens. "joint": ours, as "region", but queries attend to one
            another's embeddings and regions, and know where these lie.
        intermediate_layer: The block of the context trunk whose patch tokens "intermediate"
            takes, counted from 1.
        region_kernel: How far masks are dilated. "learned": the original's code, one of
            `region_kernel_sizes` chosen by Gumbel-softmax. "fixed": `region_kernel_size`.
            "clamp": Eq. 4, k = 3 + clamp(delta, 0, 10) with a learned delta.
        region_kernel_sizes: Odd kernel sizes to choose from, in pixels of the mask grid.
        region_kernel_size: Odd kernel size of "fixed".
        kernel_learning_calls: Calls of the prediction head during training after which "learned"
            keeps its best kernel: 2500 are 250 iterations of 10 predictions.
        kernel_temperature: Temperature of the Gumbel-softmax.
        region_layers: Transformer layers of Region-Aware Integration (paper §4.2).
        region_intermediate_size: Width of their feed-forward networks.
        region_dropout: Dropout of these layers in training.
        region_weight: Initial value of the learned weight lambda of the region (Eq. 6).
        context_num_heads: Attention heads of both context modules.
        out_of_vocabulary: Which trunk scores classes out of vocabulary (Table 6).
        alpha: Weight of the out-of-vocabulary scores for classes seen in training.
        beta: The same for other classes.
        class_weight: Weight of the classification loss, and of its matching cost.
        mask_weight: Weight of the mask's binary cross-entropy.
        dice_weight: Weight of the dice loss.
        no_object_weight: Weight of "no object" within the classification loss.
        num_points: Points at which mask losses and matching costs are sampled.
        oversample_ratio: Candidates drawn a point that is kept.
        importance_sample_ratio: Share of the points that is chosen by uncertainty.
        batch_padding: "alone": each image of a batch is computed as if it stood alone, so that a
            result never depends on its neighbours; images of one padded size still run together,
            and training is not affected. "together": the whole batch at its common size, as it
            comes; nothing in the model masks padding, so results depend on the batch.
        stored_synonyms: Rows of the stored vocabulary; 0 if none is stored. Its classes are named
            by `id2label`.
        untrained_parts: Modules that still hold random numbers, such as "mask_decoder", which a
            model made of CLIP's weights alone has; whoever trains them empties it.
    """

    model_type = "score"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(CLIPTextConfig, init_kwargs=_GENERAL_TEXT),
        "general_config": SubConfigSpec(ConvNextConfig, init_kwargs=_GENERAL_TRUNK),
        "context_config": SubConfigSpec(CLIPVisionConfig, init_kwargs=_CONTEXT_TRUNK),
        "context_text_config": SubConfigSpec(CLIPTextConfig, optional=True),
    }

    text_config: dict | CLIPTextConfig | None = None
    general_config: dict | ConvNextConfig | None = None
    context_config: dict | CLIPVisionConfig | None = None
    context_text_config: dict | CLIPTextConfig | None = None
    text_tower: bool = True
    projection_dim: int = 768
    visual_head: Literal["mlp", "linear"] = "mlp"
    visual_head_bias: bool = False
    frozen_trunks: bool = True

    hidden_size: int = 256
    num_queries: int = 300
    num_hidden_layers: int = 9
    num_attention_heads: int = 8
    intermediate_size: int = 2048
    pixel_decoder_layers: int = 6
    pixel_decoder_intermediate_size: int = 1024
    pixel_decoder_points: int = 4

    global_context: Literal["none", "add", "concat", "attention", "equation", "tokens"] = (
        "attention"
    )
    region_context: Literal["none", "region", "cls", "intermediate", "joint"] = "region"
    intermediate_layer: int = 12
    region_kernel: Literal["learned", "fixed", "clamp"] = "learned"
    region_kernel_sizes: list[int] | tuple[int, ...] = (3, 5, 7, 9, 11, 13)
    region_kernel_size: int = 3
    kernel_learning_calls: int = 2500
    kernel_temperature: float | int = 2.0
    region_layers: int = 5
    region_intermediate_size: int = 2048
    region_dropout: float | int = 0.1
    region_weight: float | int = 0.1
    context_num_heads: int = 8

    out_of_vocabulary: Literal["general", "context"] = "general"
    alpha: float | int = 0.4
    beta: float | int = 0.8

    class_weight: float | int = 2.0
    mask_weight: float | int = 5.0
    dice_weight: float | int = 5.0
    no_object_weight: float | int = 0.1
    num_points: int = 12544
    oversample_ratio: float | int = 3.0
    importance_sample_ratio: float | int = 0.75

    batch_padding: Literal["alone", "together"] = "alone"
    stored_synonyms: int = 0
    untrained_parts: list[str] | tuple[str, ...] = ()

    def __post_init__(self, **kwargs: Any) -> None:
        # A saved configuration names the version of Transformers that wrote it. It may come from a
        # newer version of this class and have fields that are not known here.
        self._refuse_misspelt(kwargs, only_warn=self.transformers_version is not None)
        if self.out_of_vocabulary == "context" and self.context_text_config is None:
            self.context_text_config = CLIPTextConfig(**_CONTEXT_TEXT)
        super().__post_init__(**kwargs)
        if self.id2label is not None:
            self.label2id = {name: int(index) for index, name in self.id2label.items()}

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Builds a configuration from a saved one; see Transformers.

        Fields changed while loading are there from the start. Transformers would set them on the
        finished configuration, unchecked, and `label2id` would go on naming the old labels.
        """
        early = {*ScoreConfig.__annotations__, "id2label"} - set(cls.sub_configs)
        changes = {name: kwargs.pop(name) for name in list(kwargs) if name in early}
        if not kwargs.get("return_unused_kwargs"):
            cls._refuse_misspelt(set(kwargs) - set(cls.__dataclass_fields__))
        return super().from_dict({**config_dict, **changes}, **kwargs)

    @classmethod
    def _refuse_misspelt(cls, names: Iterable[str], only_warn: bool = False) -> None:
        """Looks for fields with a slip of the pen among arguments that are no fields.

        Other unknown arguments become attributes, as in all of Transformers, which passes some of
        its own.

        Args:
            names: Arguments that are no fields.
            only_warn: Whether to go on with a warning.

        Raises:
            TypeError: If a name is close to that of a field.
        """
        for name in names:
            for field in get_close_matches(name, ScoreConfig.__annotations__, n=1, cutoff=0.8):
                message = f"ScoreConfig has no field `{name}`; did you mean `{field}`?"
                if not only_warn:
                    raise TypeError(message)
                warnings.warn(f"{message} It is ignored.", stacklevel=2)

    @property
    def uses_context(self) -> bool:
        """Whether anything of this variant looks at the context trunk."""
        return (
            self.global_context != "none"
            or self.region_context != "none"
            or self.out_of_vocabulary == "context"
        )

    def validate_context(self) -> None:
        """Checks what the context modules need of one another.

        Raises:
            ValueError: If a kernel size is even or too small, the intermediate layer does not
                exist, or positions do not fit into the width.
        """
        sizes = (*self.region_kernel_sizes, self.region_kernel_size)
        if not self.region_kernel_sizes or any(size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(
                "`region_kernel_sizes` and `region_kernel_size` must be odd and positive, "
                f"got {tuple(self.region_kernel_sizes)} and {self.region_kernel_size}."
            )
        layers = self.context_config.num_hidden_layers
        if self.region_context == "intermediate" and not 1 <= self.intermediate_layer <= layers:
            raise ValueError(
                f"`intermediate_layer` must be between 1 and the context trunk's {layers} "
                f"layers, got {self.intermediate_layer}."
            )
        if self.region_context == "joint" and self.projection_dim % 4:
            raise ValueError(
                "`projection_dim` must be a multiple of 4 with `region_context='joint'` (sine and "
                f"cosine of rows and columns), got {self.projection_dim}."
            )

    def validate_counts(self) -> None:
        """Checks that there is something of everything.

        Raises:
            ValueError: If a number of things or a width is not positive, or there are far too many
                layers.
        """
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}.")
        general, context, text = self.general_config, self.context_config, self.text_config
        for name, layers in (
            ("num_hidden_layers", self.num_hidden_layers),
            ("pixel_decoder_layers", self.pixel_decoder_layers),
            ("region_layers", self.region_layers),
            ("general_config.depths", sum(general.depths)),
            ("context_config.num_hidden_layers", context.num_hidden_layers),
            ("text_config.num_hidden_layers", text.num_hidden_layers),
        ):
            # Of a damaged file: to build them would never end.
            if layers > _MOST_LAYERS:
                raise ValueError(f"`{name}` must be at most {_MOST_LAYERS}, got {layers}.")
        if self.stored_synonyms < 0:
            raise ValueError(f"`stored_synonyms` must be 0 or more, got {self.stored_synonyms}.")

    def validate_widths(self) -> None:
        """Checks that widths fit together.

        Raises:
            ValueError: If a width is no multiple of its heads or groups, texts and images of one
                CLIP differ in width, or the general trunk does not have four stages.
        """
        for name, divisor, reason in (
            ("hidden_size", 32, "the groups of its norms"),
            ("hidden_size", self.num_attention_heads, "`num_attention_heads`"),
            ("projection_dim", self.context_num_heads, "`context_num_heads`"),
        ):
            if getattr(self, name) % divisor:
                raise ValueError(
                    f"`{name}` must be a multiple of {divisor} ({reason}), got "
                    f"{getattr(self, name)}."
                )
        pairs = [("text_config", self.text_config.projection_dim, self.projection_dim)]
        if self.out_of_vocabulary == "context":
            width = self.context_config.projection_dim
            pairs.append(("context_text_config", self.context_text_config.projection_dim, width))
        for name, text_width, image_width in pairs:
            if text_width != image_width:
                raise ValueError(
                    f"`{name}.projection_dim` must be {image_width}, the width of its CLIP's image "
                    f"side, got {text_width}: images and texts are compared."
                )
        stages = len(self.general_config.hidden_sizes)
        if stages != 4:
            raise ValueError(
                f"`general_config.hidden_sizes` must have four stages (strides 4 to 32), got "
                f"{stages}."
            )

    def validate_ensemble(self) -> None:
        """Checks the ensemble's weights.

        Raises:
            ValueError: If alpha or beta is outside [0, 1].
        """
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be between 0 and 1, got {getattr(self, name)}: it is the "
                    "weight of the out-of-vocabulary scores."
                )


ScoreConfig.register_for_auto_class()

__all__ = ["ScoreConfig"]
