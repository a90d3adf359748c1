"""Training: forward and backward passes with the recorded draws, phase by phase."""

import re
from dataclasses import dataclass, field
from unittest.mock import patch

import torch
from torch import Tensor

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.conversion.original_keys import to_original
from score_hf.modeling.modeling_score import ScoreForInstanceSegmentationOutput

from .draws import RecordedCriterion, recorded_gumbel
from .golden import Entries, GoldenSeed, Tensors, input_images, unpack_masks
from .inference import Case, check_forms, classifier_of, compare_values
from .recorder import Recorder
from .report import Report
from .tolerances import (
    GRADIENT_RELATIVE,
    SWAPPED_POINTS_SHARE,
    gradient_error,
    value_tolerance,
)

# The original's names of the losses, and ours.
LOSS_NAMES = {"loss_ce": "loss_class", "loss_mask": "loss_mask", "loss_dice": "loss_dice"}


@dataclass
class Step:
    """A forward and backward pass.

    Args:
        values: What the network computed, under the goldens' names.
        loss: The whole loss.
        losses: Each unweighted loss, under our names.
        gradients: Of every parameter that learns, under our names; None where there is none.
        calls: How often the kernel was drawn since the start of training.
        kernel: The kernel size that was kept, None while it is still learned.
        criterion: What matched and drew.
    """

    values: dict[str, Tensor]
    loss: Tensor
    losses: dict[str, Tensor]
    gradients: dict[str, Tensor | None]
    calls: int
    kernel: int | None
    criterion: RecordedCriterion
    original_gradients: dict[str, Tensor | None] = field(init=False)

    def __post_init__(self) -> None:
        self.original_gradients = _under_original_names(self.gradients)


def check_training(
    seed: GoldenSeed,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    report: Report,
) -> dict[str, Step]:
    """Checks losses, matches and gradients of both phases.

    Args:
        seed: The seed.
        model: Its network; the state of its kernel is left as it was found.
        processor: Its processor.
        report: Where the outcome goes.

    Returns:
        What was computed in each phase.
    """
    steps = {}
    for name, entries in seed.manifest.get("train", Entries({})).items():
        # Entries without a phase are those of images without objects: checked elsewhere.
        golden = seed.tensors(f"train_{name}") if "phase" in entries else None
        if golden is None:
            continue
        place = f"seed {seed.name} {name}"
        check_forms(place, golden, entries, seed, report)
        with report.guard("training runs", place):
            step = run_step(seed, golden, entries, model, processor)
            case = Case(place, golden, step.values)
            compare_values(case, None, report, prefix="training: ")
            _check_draws(place, golden, entries, step, report)
            _check_losses(place, entries, step, report)
            _check_gradients(place, golden, entries, step, report)
            steps[name] = step
    return steps


def training_inputs(
    golden: Tensors, entries: Entries, processor: ScoreProcessor, without: tuple[int, ...] = ()
) -> dict[str, Tensor | list[Tensor]]:
    """Prepares the pictures and objects of a training golden.

    Args:
        golden: Its tensors.
        entries: Its entry of the manifest, with the shapes of the masks.
        processor: The processor.
        without: Images whose objects are left out.

    Returns:
        Arguments of the model's forward.
    """
    images = input_images(golden)
    annotations = []
    for index in range(len(images)):
        _, height, width = entries[f"gt.{index}.mask_shape"]
        masks = unpack_masks(golden[f"gt.{index}.masks_packed"], height, width)
        labels = golden[f"gt.{index}.labels"].long()
        if index in without:
            masks, labels = masks[:0], labels[:0]
        annotations.append({"masks": masks, "class_labels": labels})
    return dict(processor(images=images, annotations=annotations, return_tensors="pt"))


def run_step(
    seed: GoldenSeed,
    golden: Tensors,
    entries: Entries,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
) -> Step:
    """Runs the network forward and backward with everything random fed in.

    Args:
        seed: The seed.
        golden: A training golden of it.
        entries: Its entry of the manifest.
        model: The network.
        processor: The processor.

    Returns:
        What it computed.
    """
    names = seed.names[0]
    classifier = classifier_of(seed, names, golden["text.train_classifier"], model, processor)
    inputs = training_inputs(golden, entries, processor)
    criterion = RecordedCriterion(model.config, golden)
    formation = model.region_integration.formation
    start_phase(model, entries["phase"])
    noise = recorded_gumbel(golden, formation.kernel_logits.detach(), formation.temperature)
    model.zero_grad()
    with (
        patch.object(formation, "draw_gumbel", noise),
        patch.object(model, "criterion", criterion),
        Recorder(model) as recorder,
    ):
        outputs = model.train()(**inputs, classifier=classifier, output_auxiliary_logits=True)
    outputs.loss.backward()
    model.eval()

    values = _training_values(recorder, outputs)
    if model.config.text_tower:
        values["text.train_classifier"] = classifier.embeddings
    chosen = int(formation.chosen)
    step = Step(
        values=values,
        loss=outputs.loss.detach(),
        losses=outputs.losses,
        gradients={
            name: None if parameter.grad is None else parameter.grad.clone()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        },
        calls=int(formation.calls),
        kernel=None if chosen < 0 else formation.sizes[chosen],
        criterion=criterion,
    )
    model.zero_grad()
    start_phase(model, "soft")
    return step


def start_phase(model: ScoreForInstanceSegmentation, phase: str) -> None:
    """Puts the kernel at the start of training ("soft") or where its learning has ended."""
    formation = model.region_integration.formation
    formation.calls.fill_(0 if phase == "soft" else formation.learning_calls)
    formation.chosen.fill_(-1)


def _training_values(
    recorder: Recorder, outputs: ScoreForInstanceSegmentationOutput
) -> dict[str, Tensor]:
    values = recorder.values()
    for index, (logits, masks) in enumerate(
        zip(outputs.auxiliary_class_logits, outputs.auxiliary_mask_logits, strict=True)
    ):
        values[f"dec.{index}.pred_logits"] = logits
        values[f"dec.{index}.pred_masks"] = masks
    return {name: value.detach() for name, value in values.items()}


def _under_original_names(gradients: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    """Packs gradients as the original does; a part without gradient counts as zero."""
    known = {name: grad for name, grad in gradients.items() if grad is not None}
    attention = re.compile(r"\.[qkv]_proj\.")
    for name in gradients:
        if attention.search(name) and name not in known:
            partner = attention.sub(".v_proj.", name)
            if partner in known:
                known[name] = torch.zeros_like(known[partner])
    missing = {name: torch.empty(0) for name in gradients if name not in known}
    return {**to_original(known), **dict.fromkeys(to_original(missing))}


def _check_draws(place: str, golden: Tensors, entries: Entries, step: Step, report: Report) -> None:
    criterion = step.criterion
    report.same("training: draws used", place, criterion.draws.left(), [])
    for image in range(len(criterion.matches.counts)):
        for index, pairs in enumerate(zip(*criterion.matches.of(image), strict=True)):
            name, ours = f"match.{index}.{image}", [one.tolist() for one in pairs]
            if name in golden:
                report.same("training: matches", f"{place} {name}", ours, golden[name].tolist())
    for index, points in enumerate(criterion.draws.chosen):
        if (name := f"points.{index}.final") in golden:
            swapped = sum(
                len(set(map(tuple, one)) - set(map(tuple, other)))
                for one, other in zip(points.tolist(), golden[name].tolist(), strict=True)
            )
            allowed = SWAPPED_POINTS_SHARE * points[..., 0].numel()
            report.number("training: points chosen", f"{place} {name}", swapped, allowed)
    # The hard phase's count is not a number: there the kernel is set, not learned.
    if isinstance(after := entries.get("training_steps_after"), int):
        report.same("training: kernel's calls", place, step.calls, after)
    if "fixed_kernel_size" in entries:
        report.same("training: kernel kept", place, step.kernel, entries["fixed_kernel_size"])


def _check_losses(place: str, entries: Entries, step: Step, report: Report) -> None:
    last = max(int(name.partition(".layer")[2]) for name in entries["losses_unweighted"])
    for name, weight in entries["weight_dict"].items():
        kind = LOSS_NAMES[re.sub(r"_\d+$", "", name)]
        report.same(
            "training: loss weights", f"{place} {name}", step.criterion.weights[kind], weight
        )
    for form, group in (("losses_unweighted", "losses"), ("losses_weighted", "weighted losses")):
        for name, value in entries[form].items():
            kind, _, layer = name.partition(".layer")
            suffix = "" if int(layer) == last else f"_{layer}"
            ours = step.losses[LOSS_NAMES[kind] + suffix].double()
            if form == "losses_weighted":
                ours = ours * step.criterion.weights[LOSS_NAMES[kind]]
            expected = torch.tensor(value)
            tolerance = value_tolerance(expected)
            report.close(f"training: {group}", f"{place} {name}", ours, expected, tolerance)
    expected = torch.tensor(entries["total_loss"])
    tolerance = value_tolerance(expected)
    report.close("training: total loss", place, step.loss, expected, tolerance)


def _check_gradients(
    place: str, golden: Tensors, entries: Entries, step: Step, report: Report
) -> None:
    gradients, whole = step.original_gradients, entries["grad_norm_total"]
    names = sorted(entries["grad_norm"])
    report.same("training: learning parameters", place, sorted(gradients), names)
    for name, norm in entries["grad_norm"].items():
        gradient, at = gradients.get(name), f"{place} {name}"
        if norm is None or gradient is None:
            ours = None if gradient is None else "a gradient"
            theirs = None if norm is None else "a gradient"
            report.same("training: no gradient", at, ours, theirs)
            continue
        error = gradient_error(abs(float(gradient.double().norm()) - norm), norm, whole)
        report.number("training: gradient norms", at, error, GRADIENT_RELATIVE)
    total = torch.stack([g.double().norm() for g in gradients.values() if g is not None]).norm()
    error = gradient_error(abs(float(total) - whole), whole, whole)
    report.number("training: total gradient norm", place, error, GRADIENT_RELATIVE)
    for name in [name for name in golden if name.startswith("grad.")]:
        theirs, ours = golden[name].double(), gradients.get(name.removeprefix("grad."))
        if ours is None or ours.shape != theirs.shape:
            report.complain("training: gradients", f"{place} {name}", "none of this shape")
            continue
        error = gradient_error(float((ours - theirs).norm()), float(theirs.norm()), whole)
        report.number("training: gradients", f"{place} {name}", error, GRADIENT_RELATIVE)
