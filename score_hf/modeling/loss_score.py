"""Losses of SCORE: those of Mask2Former, at every prediction (paper §4.2)."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .batch_padding import pad_to_multiple
from .configuration_score import ScoreConfig
from .mask_decoder import form_masks
from .matching import ScoreMatcher, ScoreMatches
from .point_sampling import ScorePoints, sample_at
from .training_step import ScoreTrainingStep, drawn_from


class MaskFactors(NamedTuple):
    """What mask logits are products of.

    Args:
        embeddings: (batch, queries, width) of each prediction.
        features: (batch, width, h, w).
    """

    embeddings: tuple[Tensor, ...]
    features: Tensor


class ScoreCriterion:
    """Matches every prediction with the objects and measures class, mask and dice losses.

    Args:
        config: Gives the weights and how points are sampled.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.config = config
        self.matcher = ScoreMatcher(config)
        self.weights = {
            "loss_class": config.class_weight,
            "loss_mask": config.mask_weight,
            "loss_dice": config.dice_weight,
        }

    def __call__(
        self,
        class_logits: Sequence[Tensor],
        mask_logits: Sequence[Tensor],
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
        step: ScoreTrainingStep | None = None,
        factors: MaskFactors | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Measures all losses.

        Args:
            class_logits: (batch, queries, classes + 1) of each prediction, the last one last.
            mask_logits: (batch, queries, h, w) of each prediction.
            mask_labels: One (objects, height, width) tensor an image, at the padded input's size.
            class_labels: One (objects,) int64 tensor an image.
            step: The optimisation step that the batch is a part of; without it the batch of all
                processes is taken for the whole step, and class losses for means of each process.
            factors: What the mask logits are products of. The gradient then goes there directly,
                through matched masks only: there are far fewer of them.

        Returns:
            The weighted sum over all predictions, and each unweighted loss under names such as
            `loss_mask_0` (prediction 0) or `loss_mask` (the last).

        Raises:
            ImportError: If SciPy is not installed.
            ValueError: If `step` has not a seed for each image.
        """
        device, batch = class_logits[-1].device, len(class_labels)
        seeds = weights = None
        if step is None:
            objects = count_objects(class_labels, device)
        else:
            # Without objects there is nothing to divide.
            objects = torch.tensor(step.num_objects or 1.0, device=device)
            weights = torch.tensor(step.class_weights, device=device)
            seeds = step.image_seeds
            if seeds is not None and len(seeds) != batch:
                raise ValueError(
                    f"`step` must have a seed for each of {batch} images in `image_seeds`, got "
                    f"{len(seeds)}."
                )
        points = self._points(device, seeds)
        mask_labels = [labels.float() for labels in mask_labels]
        with torch.autocast(device_type=device.type, enabled=False):
            matches = self.matcher(class_logits, mask_logits, mask_labels, class_labels, points)
            loss_class = self._class_losses(class_logits, class_labels, matches, weights)
            masks_and_dice = []
            for index, logits in enumerate(mask_logits):
                predicted = _matched_masks(index, logits, factors, matches)
                chosen = points.choose(predicted.detach(), points.for_losses(index, matches.counts))
                target = _matched_labels(index, mask_labels, matches, chosen)
                masks_and_dice.append(_mask_losses(predicted, target, chosen, objects))
        loss_mask, loss_dice = torch.stack(masks_and_dice).unbind(1)
        parts = {"loss_class": loss_class, "loss_mask": loss_mask, "loss_dice": loss_dice}
        total = torch.stack([self.weights[name] * parts[name].sum() for name in parts]).sum()
        last = len(class_logits) - 1
        losses = {
            name if index == last else f"{name}_{index}": value
            for name, values in parts.items()
            for index, value in enumerate(values.detach().unbind())
        }
        return total, losses

    def _points(self, device: torch.device, seeds: list[int] | None) -> ScorePoints:
        return ScorePoints(self.config, device, seeds)

    def _class_losses(
        self,
        class_logits: Sequence[Tensor],
        class_labels: list[Tensor],
        matches: ScoreMatches,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Weighted cross-entropies (predictions,), over the step's weights or else this batch's."""
        # (predictions, batch, queries, classes + 1)
        logits = torch.stack(tuple(class_logits)).float()
        no_object = logits.shape[-1] - 1
        target = torch.full(logits.shape[:-1], no_object, device=logits.device)
        for image, labels in enumerate(class_labels):
            queries, objects = matches.of(image)
            target[:, image].scatter_(1, queries, labels[objects])
        weight = logits.new_ones(no_object + 1)
        weight[-1] = self.config.no_object_weight
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 2), target.flatten(), weight, reduction="none"
        )
        if weights is None:
            weights = weight[target].sum(dim=(1, 2))
        return losses.view(len(logits), -1).sum(dim=1) / weights


def _matched_masks(
    index: int, mask_logits: Tensor, factors: MaskFactors | None, matches: ScoreMatches
) -> Tensor:
    """Logits (pairs, h, w) of one prediction's matched masks, in float32."""
    masks = []
    for image, logits in enumerate(mask_logits):
        queries = matches.of(image)[0][index]
        if factors is None:
            masks.append(logits[queries])
        else:
            features = factors.features[image]
            embeddings = factors.embeddings[index][image, queries]
            masks.append(form_masks(embeddings.to(features.dtype), features))
    return torch.cat(masks).float()


@torch.no_grad()
def _matched_labels(
    index: int, mask_labels: list[Tensor], matches: ScoreMatches, points: Tensor
) -> Tensor:
    """Labels (pairs, points) of one prediction's matched objects."""
    labels = []
    for image, chosen in enumerate(points.split(matches.counts)):
        objects = matches.of(image)[1][index]
        labels.append(_sample_each(mask_labels[image][objects], chosen))
    return torch.cat(labels)


def _sample_each(masks: Tensor, points: Tensor) -> Tensor:
    """Reads masks (masks, h, w) at points (masks, points, 2) of their own: (masks, points)."""
    if masks.shape[0] == 0:
        return masks.new_zeros(points.shape[:2])
    return sample_at(masks.unsqueeze(1), points)[:, 0]


def _mask_losses(predicted: Tensor, target: Tensor, points: Tensor, objects: Tensor) -> Tensor:
    """Mask and dice loss (2,) of matched masks (n, h, w) at points (n, points, 2)."""
    if predicted.shape[0] == 0:
        # Of nothing, but with a gradient: so distributed processes stay in step.
        return predicted.sum().expand(2)
    logits = sample_at(predicted.unsqueeze(1), points)[:, 0]
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    overlap = 2 * (probability * target).sum(dim=1)
    dice = 1 - (overlap + 1) / (probability.sum(dim=1) + target.sum(dim=1) + 1)
    return torch.stack((entropy.mean(dim=1).sum(), dice.sum())) / objects


def fit_mask_labels(
    mask_labels: list[Tensor], class_labels: list[Tensor], pixel_values: Tensor, num_classes: int
) -> list[Tensor]:
    """Checks labels, and pads masks as the network pads its input.

    Args:
        mask_labels: One (objects, height, width) tensor an image.
        class_labels: One (objects,) tensor an image.
        pixel_values: (batch, 3, height, width).
        num_classes: How many classes the vocabulary has.

    Returns:
        The mask labels at the padded size.

    Raises:
        ValueError: If there are not as many labels as images, or masks as classes, a mask is not
            of the images' size, or a class is not of the vocabulary.
    """
    batch, _, height, width = pixel_values.shape
    if not len(mask_labels) == len(class_labels) == batch:
        raise ValueError(
            f"`mask_labels` and `class_labels` must hold one tensor for each of {batch} images, "
            f"got {len(mask_labels)} and {len(class_labels)}."
        )
    for index, (masks, classes) in enumerate(zip(mask_labels, class_labels, strict=True)):
        if masks.shape != (classes.numel(), height, width):
            raise ValueError(
                f"`mask_labels[{index}]` must be of shape {(classes.numel(), height, width)}, to "
                f"fit `class_labels` and `pixel_values`, got {tuple(masks.shape)}."
            )
        # An index beyond the classes would stop a GPU for good.
        if classes.dtype != torch.int64 or ((classes < 0) | (classes >= num_classes)).any():
            raise ValueError(
                f"`class_labels[{index}]` must be int64 indices of the vocabulary's classes, 0 to "
                f"{num_classes - 1}, got {classes.tolist()!r:.200} of {classes.dtype}."
            )
    return [pad_to_multiple(masks) for masks in mask_labels]


@contextlib.contextmanager
def repeated_draws(device: torch.device) -> Iterator[None]:
    """Lets every evaluation draw the same points, so that losses of two of them compare.

    Args:
        device: Where the points are drawn; its random state is as before afterwards.
    """
    with drawn_from(0, device):
        yield


def sum_class_weights(objects: int, queries: int, no_object_weight: float) -> float:
    """Sums the class loss's weights over one image's queries; every object finds a query.

    Args:
        objects: Objects of the image; beyond the number of queries they find none.
        queries: Number of queries.
        no_object_weight: Weight of a query without object.

    Returns:
        The sum.
    """
    matched = min(objects, queries)
    return matched + no_object_weight * (queries - matched)


def count_objects(class_labels: list[Tensor], device: torch.device) -> Tensor:
    """Counts the objects of the whole batch, as a mean over processes and at least 1.

    Gradients are averaged over processes, so a sum of losses divided by this mean is the global
    batch's sum divided by its number of objects.

    Args:
        class_labels: One (objects,) tensor an image of this process.
        device: Where the result lies.

    Returns:
        A float32 scalar.
    """
    count = torch.tensor(
        float(sum(labels.numel() for labels in class_labels)), dtype=torch.float32, device=device
    )
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return count.clamp(min=1)
