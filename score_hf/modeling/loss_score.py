"""Losses of SCORE: those of Mask2Former, at every prediction (paper §4.2)."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .batch_padding import pad_to_multiple
from .configuration_score import ScoreConfig
from .matching import ScoreMatcher, sample_at
from .training_step import ScoreTrainingStep, drawn_from


class ScoreCriterion:
    """Matches every prediction with the objects and measures class, mask and dice losses.

    Args:
        config: Gives the weights and how points are sampled.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.matcher = ScoreMatcher(config)
        self.weights = {
            "loss_class": config.class_weight,
            "loss_mask": config.mask_weight,
            "loss_dice": config.dice_weight,
        }
        self.no_object_weight = config.no_object_weight
        self.num_points = config.num_points
        self.num_candidates = int(config.num_points * config.oversample_ratio)
        self.num_uncertain = int(config.num_points * config.importance_sample_ratio)

    def draw_candidates(self, objects: int, device: torch.device) -> Tensor:
        """Draws points (objects, candidates, 2) of which the most uncertain are kept."""
        return torch.rand(objects, self.num_candidates, 2, device=device)

    def draw_random(self, objects: int, device: torch.device) -> Tensor:
        """Draws the points (objects, rest, 2) that are kept whatever their uncertainty."""
        rest = self.num_points - self.num_uncertain
        return torch.rand(objects, rest, 2, device=device)

    def __call__(
        self,
        class_logits: tuple[Tensor, ...],
        mask_logits: tuple[Tensor, ...],
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
        step: ScoreTrainingStep | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Measures all losses.

        Args:
            class_logits: (batch, queries, classes + 1) of each prediction, the last one last.
            mask_logits: (batch, queries, h, w) of each prediction.
            mask_labels: One (objects, height, width) tensor an image, at the padded input's size.
            class_labels: One (objects,) int64 tensor an image.
            step: The optimisation step that the batch is a part of; without it the batch of all
                processes is taken for the whole step, and class losses for means of each process.

        Returns:
            The weighted sum over all predictions, and each unweighted loss under names such as
            `loss_mask_0` (prediction 0) or `loss_mask` (the last).

        Raises:
            ValueError: If `step` has not a seed for each image.
        """
        device, batch = class_logits[-1].device, len(class_labels)
        if step is None:
            objects, weights = count_objects(class_labels, device), None
        else:
            # Without objects there is nothing to divide.
            objects = torch.tensor(step.num_objects or 1.0, device=device)
            weights = torch.tensor(step.class_weights, device=device)
            if step.image_seeds is not None and len(step.image_seeds) != batch:
                raise ValueError(
                    f"`step` must have a seed for each of {batch} images in `image_seeds`, got "
                    f"{len(step.image_seeds)}."
                )
        total = class_logits[-1].new_zeros((), dtype=torch.float32)
        losses = {}
        last = len(class_logits) - 1
        # The last prediction first, as the original draws its points.
        with torch.autocast(device_type=device.type, enabled=False):
            for index in (last, *range(last)):
                logits = class_logits[index].float()
                arguments = (logits, mask_logits[index], mask_labels, class_labels, objects)
                if step is None or step.image_seeds is None:
                    loss_mask, loss_dice, pairs = self._compare(*arguments)
                else:
                    seeds = [seed + index for seed in step.image_seeds]
                    loss_mask, loss_dice, pairs = self._compare_each(*arguments, seeds)
                loss_class = self._class_loss(logits, class_labels, pairs, weights)
                parts = {"loss_class": loss_class, "loss_mask": loss_mask, "loss_dice": loss_dice}
                for name, value in parts.items():
                    losses[name if index == last else f"{name}_{index}"] = value.detach()
                    total = total + self.weights[name] * value
        return total, losses

    def _compare_each(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
        objects: Tensor,
        seeds: list[int],
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Mask and dice loss of one prediction and its pairs, the points of each image its own."""
        loss_mask = loss_dice = objects.new_zeros(())
        pairs = []
        for image, seed in enumerate(seeds):
            alone = slice(image, image + 1)
            with drawn_from(seed, mask_logits.device):
                mask, dice, found = self._compare(
                    class_logits[alone],
                    mask_logits[alone],
                    mask_labels[alone],
                    class_labels[alone],
                    objects,
                )
            loss_mask, loss_dice = loss_mask + mask, loss_dice + dice
            pairs += found
        return loss_mask, loss_dice, pairs

    def _compare(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        mask_labels: list[Tensor],
        class_labels: list[Tensor],
        objects: Tensor,
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Mask and dice loss of one prediction, and which queries and objects belong together."""
        pairs = self.matcher(class_logits, mask_logits, mask_labels, class_labels)
        predicted = torch.cat([mask_logits[i, q] for i, (q, _) in enumerate(pairs)]).float()
        target = torch.cat(
            [labels[o].to(predicted) for labels, (_, o) in zip(mask_labels, pairs, strict=True)]
        )
        loss_mask, loss_dice = self._mask_losses(predicted, target, objects)
        return loss_mask, loss_dice, pairs

    def _class_loss(
        self,
        class_logits: Tensor,
        class_labels: list[Tensor],
        pairs: list[tuple[Tensor, Tensor]],
        weights: Tensor | None = None,
    ) -> Tensor:
        """Weighted cross-entropy, over the weights of the whole step or else of this batch."""
        no_object = class_logits.shape[-1] - 1
        target = torch.full(
            class_logits.shape[:2], no_object, dtype=torch.int64, device=class_logits.device
        )
        for i, (queries, objects) in enumerate(pairs):
            target[i, queries] = class_labels[i][objects]
        weight = class_logits.new_ones(no_object + 1)
        weight[-1] = self.no_object_weight
        class_logits = class_logits.transpose(1, 2)
        if weights is None:
            return nn.functional.cross_entropy(class_logits, target, weight)
        summed = nn.functional.cross_entropy(class_logits, target, weight, reduction="sum")
        return summed / weights

    def _mask_losses(
        self, predicted: Tensor, target: Tensor, objects: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Losses of matched masks (n, h, w) and (n, height, width) at sampled points."""
        if predicted.shape[0] == 0:
            nothing = predicted.sum()
            return nothing, nothing
        points = self._choose_points(predicted)
        logits = sample_at(predicted, points)
        with torch.no_grad():
            labels = sample_at(target, points)
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        probability = logits.sigmoid()
        overlap = 2 * (probability * labels).sum(dim=1)
        dice = 1 - (overlap + 1) / (probability.sum(dim=1) + labels.sum(dim=1) + 1)
        return entropy.mean(dim=1).sum() / objects, dice.sum() / objects

    @torch.no_grad()
    def _choose_points(self, predicted: Tensor) -> Tensor:
        """Keeps the candidates whose logits are nearest 0 and adds random ones: (n, points, 2)."""
        count, device = predicted.shape[0], predicted.device
        candidates = self.draw_candidates(count, device)
        uncertainty = -sample_at(predicted, candidates).abs()
        best = uncertainty.topk(self.num_uncertain, dim=1).indices
        uncertain = candidates.gather(1, best.unsqueeze(-1).expand(-1, -1, 2))
        return torch.cat((uncertain, self.draw_random(count, device)), dim=1)


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
