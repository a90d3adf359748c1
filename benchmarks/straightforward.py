"""The training step the straightforward way, as Mask2Former and SCORE write it.

For comparison in time, memory and numbers only: the package has one form of everything, and must
equal this one. Each prediction makes full masks, dilates and pools them and passes its class
embeddings through the network by itself; each image of each prediction is matched by itself; and
gradients pass through all masks.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling import pixel_decoder
from score_hf.modeling.batch_padding import pad_to_multiple
from score_hf.modeling.context_trunk import SceneContext
from score_hf.modeling.layers import ScoreAttention
from score_hf.modeling.loss_score import count_objects
from score_hf.modeling.open_vocabulary import class_logits
from score_hf.modeling.point_sampling import ScorePoints
from score_hf.modeling.scene_context import ScoreRegionAwareIntegration
from score_hf.modeling.text_classifier import ScoreClassifier

Pairs = list[tuple[Tensor, Tensor]]


def straightforward_losses(
    model: ScoreForInstanceSegmentation,
    pixel_values: Tensor,
    classifier: ScoreClassifier,
    mask_labels: list[Tensor],
    class_labels: list[Tensor],
    seeds: list[int] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Computes what the model's forward pass with labels computes in training.

    Args:
        model: In training, with region context of a region and attention to the scene.
        pixel_values: (batch, 3, height, width).
        classifier: The encoded vocabulary.
        mask_labels: One (objects, height, width) tensor an image.
        class_labels: One (objects,) tensor an image.
        seeds: A seed for each image, from which its points are drawn; None: drawn freely.

    Returns:
        The weighted sum of all losses, and each unweighted loss by name.
    """
    model.region_integration.begin_pass(None)
    mask_labels = [pad_to_multiple(labels).float() for labels in mask_labels]
    pixel_values = pad_to_multiple(pixel_values)
    with torch.no_grad():
        stages = model.general_trunk(pixel_values)
        context = model.context_trunk(pixel_values)
    adapted = adapt_to_scene(model, classifier, context)
    mask_features, maps = decode_pixels(model.pixel_decoder, stages)
    predictions = decode_masks(model, mask_features, maps)
    points = ScorePoints(model.config, pixel_values.device, seeds)
    objects = count_objects(class_labels, pixel_values.device)
    total, losses = mask_features.new_zeros(()), {}
    last = len(predictions) - 1
    for index, (queries, masks) in enumerate(predictions):
        logits = classify(model, queries, masks, mask_features, context, adapted, classifier)
        logits, masks = logits.float(), masks.float()
        pairs = match(model, index, logits, masks, mask_labels, class_labels, points)
        loss_class = measure_classes(logits, class_labels, pairs, model.config.no_object_weight)
        loss_mask, loss_dice = measure_masks(index, masks, mask_labels, pairs, points, objects)
        parts = {"loss_class": loss_class, "loss_mask": loss_mask, "loss_dice": loss_dice}
        for name, value in parts.items():
            losses[name if index == last else f"{name}_{index}"] = value.detach()
            total = total + model.criterion.weights[name] * value
    return total, losses


# --- The network ---------------------------------------------------------------------------------


def sample_deformable(
    values: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sums values at free locations of several maps, a `grid_sample` a level.

    Arguments and result as in `score_hf.modeling.deformable_sampling.gather_deformable`.
    """
    batch, queries, heads = locations.shape[:3]
    # (batch, queries, heads, levels, points, 2) -> levels of (batch x heads, queries, points, 2)
    grids = (2 * locations - 1).transpose(1, 2).flatten(0, 1).unbind(2)
    # -> levels of (batch x heads, 1, queries, points)
    shares = weights.transpose(1, 2).flatten(0, 1).unsqueeze(1).unbind(3)
    levels = values.split([height * width for height, width in shapes], dim=1)
    total = values.new_zeros(batch * heads, values.shape[-1], queries)
    for level, shape, grid, share in zip(levels, shapes, grids, shares, strict=True):
        # (batch, h x w, heads, head width) -> (batch x heads, head width, h, w)
        level = level.permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, shape)
        sampled = nn.functional.grid_sample(
            level, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        total = total + (sampled * share).sum(dim=-1)
    # (batch x heads, head width, queries) -> (batch, queries, heads x head width)
    return total.view(batch, -1, queries).transpose(1, 2)


def decode_pixels(
    decoder: pixel_decoder.ScorePixelDecoder, stages: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Runs the pixel decoder with `sample_deformable`."""
    fast = pixel_decoder.gather_deformable
    pixel_decoder.gather_deformable = sample_deformable
    try:
        return decoder(stages)
    finally:
        pixel_decoder.gather_deformable = fast


def attend(
    attention: ScoreAttention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Runs an attention written out, over a single key as well."""
    heads = query.shape[-1] // attention.head_width
    parts = []
    for projection, given in (
        (attention.q_proj, query),
        (attention.k_proj, key),
        (attention.v_proj, value),
    ):
        parts.append(projection(given).unflatten(-1, (heads, -1)).transpose(1, 2))
    queries, keys, values = parts
    scores = queries @ keys.transpose(-2, -1) * attention.head_width**-0.5
    if mask is not None:
        scores = scores.masked_fill(~mask.expand(-1, heads, -1, -1), float("-inf"))
    weights = nn.functional.dropout(scores.softmax(dim=-1), attention.dropout, attention.training)
    return attention.out_proj((weights @ values).transpose(1, 2).flatten(2))


def adapt_to_scene(
    model: ScoreForInstanceSegmentation, classifier: ScoreClassifier, context: SceneContext
) -> Tensor:
    """Global Context Adaptation, and the void row: (batch, synonyms + 1, width)."""
    adaptation = model.global_adaptation
    scene = adaptation.projection(nn.functional.normalize(context.cls, dim=-1)).unsqueeze(1)
    rows = classifier.embeddings.to(scene.dtype).expand(len(scene), -1, -1)
    rows = rows + attend(adaptation.attention, rows, scene, scene)
    void = nn.functional.normalize(model.void_embedding.weight, dim=-1)
    return torch.cat((rows, void.expand(len(rows), 1, -1)), dim=1)


def decode_masks(
    model: ScoreForInstanceSegmentation, mask_features: Tensor, maps: list[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Normed queries and full masks of each prediction; attention inside the full masks resized."""
    decoder = model.mask_decoder
    sources = decoder._sources(maps)
    positions = decoder.query_positions.weight
    hidden = decoder.query_features.weight.expand(len(mask_features), -1, -1)
    predictions = []
    for number in range(len(decoder.layers) + 1):
        normed = decoder.norm(hidden)
        masks = torch.einsum("bqc,bchw->bqhw", decoder.mask_mlp(normed), mask_features)
        predictions.append((normed, masks))
        if number == len(decoder.layers):
            return predictions
        layer, level = decoder.layers[number], number % len(maps)
        resized = nn.functional.interpolate(
            masks.detach(), size=maps[level].shape[-2:], mode="bilinear", align_corners=False
        )
        inside = resized.flatten(2).sigmoid() >= 0.5
        inside = (inside | ~inside.any(dim=-1, keepdim=True)).unsqueeze(1)
        keys, values = sources[level]
        hidden = layer.cross_attn_norm(
            hidden + attend(layer.cross_attn, hidden + positions, keys, values, inside)
        )
        placed = hidden + positions
        hidden = layer.self_attn_norm(hidden + attend(layer.self_attn, placed, placed, hidden))
        hidden = layer.final_norm(hidden + layer.fc2(layer.fc1(hidden).relu()))
    raise AssertionError("unreachable")


def classify(
    model: ScoreForInstanceSegmentation,
    queries: Tensor,
    masks: Tensor,
    mask_features: Tensor,
    context: SceneContext,
    adapted: Tensor,
    classifier: ScoreClassifier,
) -> Tensor:
    """In-vocabulary logits (batch, queries, classes + 1) of one prediction."""
    head = model.class_head
    pooled = pool(mask_features, (masks.detach() > 0).to(mask_features))
    embeddings = head.class_mlp(head.pool_projection(head.pool_norm(pooled)) + queries)
    embeddings = integrate_region(model.region_integration, embeddings, masks, context)
    return class_logits(
        embeddings,
        adapted,
        classifier.class_ids,
        classifier.seen_classes.numel(),
        head.logit_scale,
    )


def pool(features: Tensor, weights: Tensor) -> Tensor:
    """Averages features (batch, channels, h, w) by weights (batch, queries, h, w)."""
    shares = weights / (weights.sum(dim=(-2, -1), keepdim=True) + 1e-8)
    return torch.einsum("bchw,bqhw->bqc", features, shares)


def integrate_region(
    integration: ScoreRegionAwareIntegration,
    embeddings: Tensor,
    masks: Tensor,
    context: SceneContext,
) -> Tensor:
    """Region-Aware Integration, masks dilated everywhere and each query a sequence of its own."""
    region = pool(context.patches, form_regions(integration, masks, context.patches.shape[-2:]))
    hidden = embeddings + integration.weight * integration.projection(region)
    hidden = hidden.flatten(0, 1).unsqueeze(1)
    for layer in integration.layers:
        update = attend(layer.self_attn, hidden, hidden, hidden)
        hidden = layer.self_attn_norm(hidden + layer.dropout(update))
        update = layer.fc2(layer.dropout(layer.fc1(hidden).relu()))
        hidden = layer.final_norm(hidden + layer.dropout(update))
    return hidden.view_as(embeddings)


def form_regions(
    integration: ScoreRegionAwareIntegration, masks: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Regions (batch, queries, *grid) of dilated masks, soft while the kernel is learned."""
    formation = integration.formation
    soft = formation._still_learning()
    if soft:
        formation.calls.add_(1)
        kernels = list(zip(formation.sizes, formation._gumbel_shares(), strict=True))
    else:
        kernels = [(int(formation._chosen_size()), 1.0)]
    mixed = sum(
        share * nn.functional.max_pool2d(masks, size, stride=1, padding=size // 2)
        for size, share in kernels
    )
    resized = nn.functional.interpolate(mixed, grid, mode="bilinear", align_corners=False)
    return (10 * (resized - 0.5)).sigmoid() if soft else (resized.detach() > 0).to(masks)


# --- The losses ----------------------------------------------------------------------------------


def sample_points(masks: Tensor, points: Tensor) -> Tensor:
    """Reads masks (n, h, w) at points (n, points, 2) of their own: (n, points)."""
    if len(masks) == 0:
        return masks.new_zeros(points.shape[:2])
    grid = (2 * points - 1).unsqueeze(2)
    return nn.functional.grid_sample(masks.unsqueeze(1), grid, align_corners=False)[:, 0, :, 0]


@torch.no_grad()
def match(
    model: ScoreForInstanceSegmentation,
    index: int,
    logits: Tensor,
    masks: Tensor,
    mask_labels: list[Tensor],
    class_labels: list[Tensor],
    points: ScorePoints,
) -> Pairs:
    """Assigns queries and objects of each image of one prediction."""
    pairs = []
    everywhere = points.for_matching(index, len(masks))
    for image, (labels, classes) in enumerate(zip(mask_labels, class_labels, strict=True)):
        place = everywhere[image : image + 1]
        predicted = sample_points(masks[image], place.expand(masks.shape[1], -1, -1))
        target = sample_points(labels, place.expand(len(labels), -1, -1))
        count = predicted.shape[1]
        ones = nn.functional.binary_cross_entropy_with_logits(
            predicted, torch.ones_like(predicted), reduction="none"
        )
        zeros = nn.functional.binary_cross_entropy_with_logits(
            predicted, torch.zeros_like(predicted), reduction="none"
        )
        entropy = (ones @ target.T + zeros @ (1 - target).T) / count
        probability = predicted.sigmoid()
        overlap = 2 * probability @ target.T
        size = probability.sum(dim=1)[:, None] + target.sum(dim=1)[None]
        cost = (
            model.config.mask_weight * entropy
            + model.config.class_weight * -logits[image].softmax(dim=-1)[:, classes]
            + model.config.dice_weight * (1 - (overlap + 1) / (size + 1))
        )
        queries, objects = linear_sum_assignment(cost.cpu().numpy())
        pairs.append((torch.as_tensor(queries), torch.as_tensor(objects)))
    return pairs


def measure_classes(
    logits: Tensor, class_labels: list[Tensor], pairs: Pairs, no_object_weight: float
) -> Tensor:
    """Weighted cross-entropy of one prediction."""
    no_object = logits.shape[-1] - 1
    target = torch.full(logits.shape[:2], no_object)
    for image, (queries, objects) in enumerate(pairs):
        target[image, queries] = class_labels[image][objects]
    weight = torch.ones(no_object + 1)
    weight[-1] = no_object_weight
    return nn.functional.cross_entropy(logits.float().transpose(1, 2), target, weight)


def measure_masks(
    index: int,
    masks: Tensor,
    mask_labels: list[Tensor],
    pairs: Pairs,
    points: ScorePoints,
    objects: Tensor,
) -> tuple[Tensor, Tensor]:
    """Mask and dice loss of one prediction."""
    images = torch.cat([torch.full_like(queries, i) for i, (queries, _) in enumerate(pairs)])
    predicted = masks[images, torch.cat([queries for queries, _ in pairs])].float()
    target = torch.cat(
        [labels[found] for labels, (_, found) in zip(mask_labels, pairs, strict=True)]
    )
    drawn = points.for_losses(index, [len(queries) for queries, _ in pairs])
    with torch.no_grad():
        chosen = points.choose(predicted, drawn)
        labels = sample_points(target, chosen)
    logits = sample_points(predicted, chosen) if len(predicted) else predicted.flatten(1)[:, :0]
    if len(predicted) == 0:
        return predicted.sum(), predicted.sum()
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    probability = logits.sigmoid()
    overlap = 2 * (probability * labels).sum(dim=1)
    dice = 1 - (overlap + 1) / (probability.sum(dim=1) + labels.sum(dim=1) + 1)
    return entropy.mean(dim=1).sum() / objects, dice.sum() / objects
