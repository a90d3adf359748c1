"""The optimiser's first step, from the gradients of the hard phase."""

import torch
from torch import Tensor, nn

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.original_keys import to_original

from .golden import Entries, GoldenSeed
from .report import Report
from .tolerances import STEP_SHARE, step_tolerance
from .training import Step

# The original clips the norm of the whole gradient to this before it steps.
_LARGEST_NORM = 0.01
_NORMS = (nn.LayerNorm, nn.GroupNorm)


def check_optimizer(
    seed: GoldenSeed, model: ScoreForInstanceSegmentation, step: Step, report: Report
) -> None:
    """Checks which weights are decayed and what one step of AdamW makes of all of them.

    Args:
        seed: The seed.
        model: Its network; its weights are put back afterwards.
        step: The backward pass of the hard phase.
        report: Where the outcome goes.
    """
    place = f"seed {seed.name}"
    groups = {name: (rate, decay) for name, rate, decay in seed.manifest["optimizer_groups"]}
    exempt = _without_decay(model)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decays = {name: 0.0 if name in exempt else _decay(seed) for name in parameters}
    theirs = to_original({name: torch.tensor([decay]) for name, decay in decays.items()})
    for name, (_, decay) in groups.items():
        # Packed projections hold one entry a part.
        ours = sorted({round(float(value), 6) for value in theirs.get(name, [])})
        report.same("optimiser: weight decay", f"{place} {name}", ours, [decay])

    (rate,) = {rate for rate, _ in groups.values()}
    before = to_original({name: p.detach().clone() for name, p in parameters.items()})
    after = _one_step(parameters, step.gradients, decays, rate, seed.manifest["optimizer_defaults"])
    after = to_original(after)
    for name, norm in seed.manifest["one_step_param_delta_norm"].items():
        moved = float((after[name].double() - before[name].double()).norm())
        # As if every weight moved by the learning rate.
        whole = rate * before[name].numel() ** 0.5
        report.number(
            "optimiser: step norms", f"{place} {name}", abs(moved - norm) / whole, STEP_SHARE
        )
    golden = seed.tensors("optim_one_step")
    for key in golden or ():
        expected, name = golden[key], key.removeprefix("after_step.")
        tolerance = step_tolerance(expected, rate)
        report.close("optimiser: weights", f"{place} {name}", after[name], expected, tolerance)


def check_recipes(recipes: Entries, seeds: list[GoldenSeed], report: Report) -> None:
    """Checks that the step above is that of the original's recipes.

    Args:
        recipes: `preprocess_and_schedule.json`.
        seeds: The seeds, with the optimiser's groups.
        report: Where the outcome goes.
    """
    for name in [name for name in recipes if name.startswith("configs/")]:
        recipe = recipes[name]
        report.same("optimiser: recipe", name, ["full_model", _LARGEST_NORM], recipe["clip"])
        for seed in seeds:
            report.same("optimiser: recipe", name, _decay(seed), recipe["weight_decay"])
        for kind in ("weight_decay_norm", "weight_decay_embed"):
            report.same("optimiser: recipe", f"{name} {kind}", 0.0, recipe[kind])


def _decay(seed: GoldenSeed) -> float:
    return max(decay for _, _, decay in seed.manifest["optimizer_groups"])


def _without_decay(model: nn.Module) -> set[str]:
    """Weights and biases of norms and the weights of embeddings."""
    return {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, (*_NORMS, nn.Embedding))
        for name, _ in module.named_parameters(recurse=False)
    }


def _one_step(
    parameters: dict[str, nn.Parameter],
    gradients: dict[str, Tensor | None],
    decays: dict[str, float],
    rate: float,
    defaults: Entries,
) -> dict[str, Tensor]:
    copies = {name: nn.Parameter(p.detach().clone()) for name, p in parameters.items()}
    for name, copy in copies.items():
        gradient = gradients[name]
        copy.grad = None if gradient is None else gradient.clone()
    nn.utils.clip_grad_norm_(copies.values(), _LARGEST_NORM)
    optimizer = torch.optim.AdamW(
        [{"params": [copy], "weight_decay": decays[name]} for name, copy in copies.items()],
        lr=rate,
        betas=tuple(defaults["betas"]),
        eps=defaults["eps"],
    )
    optimizer.step()
    return {name: copy.detach() for name, copy in copies.items()}
