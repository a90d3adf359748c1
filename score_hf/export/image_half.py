"""The part of the network that runs for each image, with the vocabulary as an input."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..modeling.batch_padding import SIZE_DIVISOR
from ..modeling.configuration_score import ScoreConfig
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.text_classifier import ScoreClassifier

OUTPUTS = ("class_queries_logits", "masks_queries_logits")
# What is traced where the size stays free; any would do that is neither tiny nor square.
TRACED_SIZE = (96, 160)
# Sides below two cells of the coarsest map are traced as if they could not be broadcast.
SMALLEST_SIDE = 2 * SIZE_DIVISOR


class ScoreImageHalf(nn.Module):
    """Images and an encoded vocabulary in, what post-processing reads out: tensors only.

    Args:
        model: The model, in evaluation mode.
    """

    def __init__(self, model: ScoreForInstanceSegmentation) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(
        self,
        pixel_values: Tensor,
        embeddings: Tensor,
        class_ids: Tensor,
        seen_classes: Tensor,
        context_embeddings: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Segments images of one size, without a padding mask: nothing in the network reads one.

        Args:
            pixel_values: (batch, 3, height, width), normalised and zero-padded right and below.
            embeddings: (synonyms, width); this and what follows are `ScoreClassifier`'s fields.
            class_ids: (synonyms,) int64.
            seen_classes: (classes,) bool.
            context_embeddings: (synonyms, context width), where the config asks for them.

        Returns:
            Class logits (batch, queries, classes + 1), void last, and mask logits
            (batch, queries, height / 4, width / 4).
        """
        vocabulary = ScoreClassifier(
            embeddings,
            class_ids,
            seen_classes,
            context_embeddings,  # type: ignore[arg-type]
        )
        outputs = self.model(pixel_values=pixel_values, classifier=vocabulary)
        return outputs.class_queries_logits, outputs.masks_queries_logits


def input_names(config: ScoreConfig) -> list[str]:
    """Names what the exported graph takes, in its order."""
    names = ["pixel_values", "embeddings", "class_ids", "seen_classes"]
    return [*names, "context_embeddings"] if config.out_of_vocabulary == "context" else names


def random_inputs(
    config: Any, batch: int, size: tuple[int, int], classes: int, seed: int
) -> dict[str, Tensor]:
    """Draws inputs of the graph; the first class has two names, every other class was seen.

    Args:
        config: Configuration of the model.
        batch: Number of images.
        size: Their height and width.
        classes: Number of classes.
        seed: Of the numbers.

    Returns:
        Tensors by the names of `input_names`.
    """
    generator = torch.Generator().manual_seed(seed)

    def unit_rows(width: int) -> Tensor:
        return nn.functional.normalize(torch.randn(classes + 1, width, generator=generator), dim=-1)

    # Smooth pictures: masks of pure noise have far more pixels at their threshold than real ones.
    coarse = torch.randn(batch, 3, size[0] // 16, size[1] // 16, generator=generator)
    inputs = {
        "pixel_values": nn.functional.interpolate(coarse, size=size, mode="bilinear"),
        "embeddings": unit_rows(config.projection_dim),
        "class_ids": torch.tensor([0, *range(classes)]),
        "seen_classes": torch.arange(classes) % 2 == 0,
    }
    if config.out_of_vocabulary == "context":
        inputs["context_embeddings"] = unit_rows(config.context_config.projection_dim)
    return inputs


def trace_image_half(half: ScoreImageHalf, size: tuple[int, int] | None) -> ExportedProgram:
    """Traces the image half as one graph without Python.

    The number of images, names and classes is free.

    Args:
        half: The image half of a float32 model on the CPU.
        size: Height and width of the images; None: free, in multiples of 32 from 64 on.

    Returns:
        The graph.
    """
    config = half.model.config
    inputs = random_inputs(config, 2, size or TRACED_SIZE, classes=4, seed=0)
    images, names, classes = Dim("images"), Dim("names"), Dim("classes")
    shapes: dict[str, dict[int, Any]] = {name: {0: names} for name in inputs}
    shapes["pixel_values"], shapes["seen_classes"] = {0: images}, {0: classes}
    if size is None:
        smallest = SMALLEST_SIDE // SIZE_DIVISOR
        for axis, name in ((2, "rows"), (3, "columns")):
            shapes["pixel_values"][axis] = SIZE_DIVISOR * Dim(name, min=smallest, max=2**16)
    with torch.no_grad():
        return torch.export.export(half, (), inputs, dynamic_shapes=shapes)
