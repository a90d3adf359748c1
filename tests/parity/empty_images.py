"""Training on images without objects, of which the goldens hold losses but not their points."""

import itertools
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from score_hf import ScoreConfig, ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.modeling.loss_score import ScoreCriterion
from score_hf.modeling.matching import ScoreMatcher, ScoreMatches
from score_hf.modeling.point_sampling import ScorePoints

from .golden import Entries, GoldenSeed
from .inference import classifier_of
from .report import Report
from .tolerances import UNRECORDED_DEVIATIONS, value_tolerance
from .training import LOSS_NAMES, start_phase, training_inputs

# Draws of points by which the matches that the original may have made are found. Fewer points make
# rarer matches show up.
_DRAWS, _SHARES_OF_POINTS = 300, (1, 2, 4)
# Combinations of the images' matches that are tried, at most.
_COMBINATIONS = 20_000
# Draws for the mean and deviation of a loss.
_LOSS_DRAWS = 100


def check_empty_images(
    seed: GoldenSeed,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    report: Report,
) -> None:
    """Checks the losses of batches in which some or all images have no objects.

    Args:
        seed: The seed.
        model: Its network.
        processor: Its processor.
        report: Where the outcome goes.
    """
    train = seed.manifest.get("train", Entries({}))
    source = next((name for name in train if train[name].get("phase") == "hard"), None)
    golden = None if source is None else seed.tensors(f"train_{source}")
    if golden is None:
        return
    images = sum(name.startswith("input.image") for name in golden)
    names = seed.names[0]
    classifier = classifier_of(seed, names, golden["text.train_classifier"], model, processor)
    for name in [name for name in train if name.startswith("empty_")]:
        place = f"seed {seed.name} {name}"
        with report.guard("empty images", place):
            one = re.fullmatch(r"empty_image_(\d+)", name)
            without = range(images) if one is None else [int(one[1])]
            inputs = training_inputs(golden, train[source], processor, tuple(without))
            start_phase(model, "hard")
            with torch.no_grad():
                outputs = model.train()(
                    **inputs, classifier=classifier, output_auxiliary_logits=True
                )
            model.eval()
            start_phase(model, "soft")
            if len(without) == images:
                _check_exactly(place, train[name], outputs.losses, model, report)
            else:
                _check_by_search(place, train[name], outputs, inputs, model, report)


def _our_name(golden_name: str) -> tuple[str, str, str]:
    """The original's kind of loss, ours, and `_<prediction>`, which the last one lacks."""
    kind, number = re.fullmatch(r"(loss_[a-z]+)(_\d+)?", golden_name).groups(default="")
    return kind, LOSS_NAMES[kind], number


def _check_exactly(
    place: str,
    entries: Entries,
    losses: dict[str, Tensor],
    model: ScoreForInstanceSegmentation,
    report: Report,
) -> None:
    for name, value in entries.items():
        _, kind, number = _our_name(name)
        ours = model.criterion.weights[kind] * losses[kind + number]
        expected = torch.tensor(value)
        tolerance = value_tolerance(expected) if value else 0.0
        report.close("empty images: losses", f"{place} {name}", ours, expected, tolerance)


def _check_by_search(
    place: str,
    entries: Entries,
    outputs: object,
    inputs: dict[str, list[Tensor]],
    model: ScoreForInstanceSegmentation,
    report: Report,
) -> None:
    """Asks of the class loss that some match gives it, of the others that draws reach it."""
    criterion = ScoreCriterion(model.config)
    labels = (inputs["mask_labels"], inputs["class_labels"])
    class_logits = outputs.auxiliary_class_logits
    mask_logits = outputs.auxiliary_mask_logits
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [criterion(class_logits, mask_logits, *labels)[1] for _ in range(_LOSS_DRAWS)]
        for name, value in entries.items():
            kind, ours, number = _our_name(name)
            weight, at = criterion.weights[ours], f"{place} {name}"
            if kind != "loss_ce":
                losses = weight * torch.stack([losses[ours + number] for losses in drawn])
                distance = abs(float(losses.mean()) - value) / float(losses.std())
                group = "empty images: mask losses, deviations"
                report.number(group, at, distance, UNRECORDED_DEVIATIONS)
                continue
            prediction = int(number.removeprefix("_") or len(class_logits) - 1)
            logits = class_logits[prediction]
            matches = itertools.product(
                *_possible_matches(model.config, logits, mask_logits[prediction], *labels)
            )
            error = min(
                abs(weight * float(criterion._class_losses([logits], labels[1], pairs)) - value)
                for pairs in map(_joined, itertools.islice(matches, _COMBINATIONS))
            )
            tolerance = float(value_tolerance(torch.tensor(value)))
            report.number("empty images: class loss", at, error, tolerance)


def _possible_matches(
    config: ScoreConfig,
    class_logits: Tensor,
    mask_logits: Tensor,
    mask_labels: Sequence[Tensor],
    class_labels: Sequence[Tensor],
) -> list[list[ScoreMatches]]:
    """Matches each image with many draws of points: the different outcomes, image by image."""
    matcher = ScoreMatcher(config)
    found: list[list[ScoreMatches]] = []
    for image, labels in enumerate(class_labels):
        alone = slice(image, image + 1)
        outcomes = {}
        for share in _SHARES_OF_POINTS:
            points = ScorePoints(config, labels.device)
            points.num_points = config.num_points // share
            for _ in range(_DRAWS if len(labels) else 1):
                matches = matcher(
                    [class_logits[alone]],
                    [mask_logits[alone]],
                    [masks.float() for masks in mask_labels[alone]],
                    class_labels[alone],
                    points,
                )
                key = (*matches.queries[0].tolist(), *matches.objects[0].tolist())
                outcomes[key] = matches
        found.append(list(outcomes.values()))
    return found


def _joined(matches: tuple[ScoreMatches, ...]) -> ScoreMatches:
    """Matches of single images as those of a batch."""
    return ScoreMatches(
        [one.counts[0] for one in matches],
        torch.cat([one.queries for one in matches], dim=1),
        torch.cat([one.objects for one in matches], dim=1),
    )
