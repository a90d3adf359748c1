"""One pass through the network, with everything that later questions about it need."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..modeling.layers import pool_in_masks
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.open_vocabulary import class_logits
from ..modeling.text_classifier import ScoreClassifier

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """What the network says about one picture, on the CPU and in NumPy: it travels as a pickle.

    Args:
        in_logits: (queries, classes + 1) in-vocabulary logits, void last.
        out_logits: The same out of the vocabulary, by the trunk that scores: "general", the
            CLIP that also feeds the network, and for some models "context", the remote-sensing
            CLIP.
        mask_logits: (queries, h, w) at stride 4 of the padded input.
        image_size: Height and width of the resized picture within the padded input.
        regions: (queries, rows, columns) bool, where on the grid of the padded input Region-Aware
            Integration looked for each query; None if the model does not.
    """

    in_logits: np.ndarray
    out_logits: Arrays
    mask_logits: np.ndarray
    image_size: tuple[int, int]
    regions: np.ndarray | None


@torch.inference_mode()
def encode_names(model: ScoreForInstanceSegmentation, tokens: Arrays) -> Arrays:
    """Encodes a vocabulary.

    Args:
        model: The model.
        tokens: Arguments of `build_classifier`.

    Returns:
        The fields of a `ScoreClassifier`.
    """
    given = {name: torch.from_numpy(array).to(model.device) for name, array in tokens.items()}
    classifier = model.build_classifier(**given)
    return {name: tensor.cpu().numpy() for name, tensor in classifier.items()}


@torch.inference_mode()
def run_network(
    model: ScoreForInstanceSegmentation,
    pixel_values: np.ndarray,
    pixel_mask: np.ndarray,
    classifier: Arrays | None,
) -> NetworkResult:
    """Runs the network on one picture.

    Args:
        model: The model.
        pixel_values: (1, 3, height, width), prepared by the processor.
        pixel_mask: (1, height, width), likewise.
        classifier: The fields of a `ScoreClassifier`; None: the vocabulary that the model stores.

    Returns:
        What it says.
    """
    pixels = torch.from_numpy(pixel_values).to(model.device, model.dtype)
    vocabulary = None
    if classifier is not None:
        tensors = {name: torch.from_numpy(array) for name, array in classifier.items()}
        vocabulary = ScoreClassifier(**tensors).to(model.device)
    output: Any = model(
        pixel_values=pixels,
        pixel_mask=torch.from_numpy(pixel_mask).to(model.device),
        classifier=vocabulary,
    )
    trunk = model.config.out_of_vocabulary
    out_logits = {trunk: output.out_of_vocabulary_logits}
    if trunk == "context" and vocabulary is not None:
        out_logits["general"] = _general_logits(
            model, pixels, output.masks_queries_logits, vocabulary
        )
    regions = _regions(model, output.masks_queries_logits)
    height, width = output.image_sizes[0].tolist()
    return NetworkResult(
        in_logits=_to_numpy(output.in_vocabulary_logits),
        out_logits={name: _to_numpy(logits) for name, logits in out_logits.items()},
        mask_logits=_to_numpy(output.masks_queries_logits),
        image_size=(height, width),
        regions=None if regions is None else regions[0].cpu().numpy(),
    )


def _to_numpy(batch: Tensor) -> np.ndarray:
    return batch[0].float().cpu().numpy()


def _general_logits(
    model: ScoreForInstanceSegmentation,
    pixels: Tensor,
    mask_logits: Tensor,
    vocabulary: ScoreClassifier,
) -> Tensor:
    """Scores by the general CLIP where the model itself scores by the remote-sensing one."""
    trunk: Any = model.general_trunk
    features = trunk(pixels)[-1]
    masks = nn.functional.interpolate(
        mask_logits, size=features.shape[-2:], mode="bilinear", align_corners=False
    )
    embeddings = trunk.head(pool_in_masks(features, masks > 0))
    names: Any = vocabulary.embeddings
    rows = names.to(embeddings.dtype)
    # The ensemble reads no void here.
    rows = torch.cat((rows, torch.zeros_like(rows[:1])))
    class_ids: Any = vocabulary.class_ids
    seen: Any = vocabulary.seen_classes
    return class_logits(embeddings, rows, class_ids, seen.numel(), trunk.logit_scale)


def _regions(model: ScoreForInstanceSegmentation, mask_logits: Tensor) -> Tensor | None:
    """Where Region-Aware Integration looks: (1, queries, rows, columns) bool."""
    config: Any = model.config
    if config.region_context in ("none", "cls"):
        return None
    side = config.context_config.image_size // config.context_config.patch_size
    formation: Any = model.region_integration.formation
    return formation(mask_logits, (side, side))
