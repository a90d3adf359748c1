"""A loss that teaches free trunks what CLIP's pretraining taught the frozen ones."""

import torch
from torch import Tensor, nn

from ..modeling.layers import pool_in_masks
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..modeling.text_classifier import ScoreClassifier


def region_text_loss(
    model: ScoreForInstanceSegmentation,
    last_stage: Tensor,
    classifier: ScoreClassifier,
    mask_labels: list[Tensor],
    class_labels: list[Tensor],
    num_objects: float,
) -> Tensor:
    """Compares each object's trunk features, averaged over its true mask, with all names.

    The out-of-vocabulary scores come from here; SCORE's own losses never see them.

    Args:
        model: The model in training.
        last_stage: (batch, channels, h, w), what its general trunk made of the batch.
        classifier: The vocabulary, with a gradient to the text tower.
        mask_labels: One (objects, height, width) tensor an image.
        class_labels: One (objects,) tensor an image.
        num_objects: What the sum over objects is divided by.

    Returns:
        The cross-entropy over names.
    """
    embeddings = []
    for features, masks in zip(last_stage, mask_labels, strict=True):
        # Shares of each cell, so that objects smaller than one count as well.
        shares = nn.functional.adaptive_avg_pool2d(masks.float(), features.shape[-2:])
        embeddings.append(pool_in_masks(features[None], shares[None])[0])
    embedded = nn.functional.normalize(model.general_trunk.head(torch.cat(embeddings)), dim=-1)
    scale = model.general_trunk.logit_scale.exp().clamp(max=100)
    # Fields of a ModelOutput are declared as perhaps absent.
    names, class_ids, seen = classifier.to_tuple()[:3]
    rows = scale * torch.einsum("oc,nc->on", embedded, names)
    # A class is as near as the nearest of its names.
    logits = rows.new_full((rows.shape[0], seen.numel()), float("-inf"))
    logits = logits.scatter_reduce(1, class_ids.expand_as(rows), rows, "amax")
    targets = torch.cat(class_labels)
    return nn.functional.cross_entropy(logits, targets, reduction="sum") / (num_objects or 1.0)
