"""Which parameters learn, how fast, and how their gradients meet."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..modeling.modeling_score import ScoreForInstanceSegmentation
from .recipe import OptimizerRecipe, ScheduleRecipe

_NORMS = (nn.LayerNorm, nn.GroupNorm)
# Takes part in some steps only.
_KERNEL = "region_integration.formation.kernel_logits"


def parameter_groups(model: nn.Module, recipe: OptimizerRecipe) -> list[dict]:
    """Splits the parameters that learn into those that decay and the rest.

    As in the original, parameters of norms and of `nn.Embedding` do not decay; biases and bare
    parameters do, unless the recipe says that vectors do not.

    Args:
        model: The model.
        recipe: The settings.

    Returns:
        Groups for `torch.optim.AdamW`.
    """
    decayed: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in model.modules():
        exempt = isinstance(module, (*_NORMS, nn.Embedding))
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad:
                vector = parameter.ndim <= 1 and not recipe.decay_vectors
                (rest if exempt or vector else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]


def learning_rate_factor(step: int, steps: int, recipe: ScheduleRecipe) -> float:
    """What the learning rate is multiplied by.

    Args:
        step: The optimiser step, counted from 0.
        steps: How many there will be.
        recipe: The settings.

    Returns:
        The factor; 1 at the highest rate.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.kind == "cosine":
        share = (step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * share))
    # Shares such as 0.95 are no exact numbers; steps are.
    passed = sum(step >= int(round(share * steps, 6)) for share in recipe.milestones)
    return recipe.factor**passed


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of all groups: a function of the step needs no state of its own."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def freeze_unreached(model: ScoreForInstanceSegmentation) -> None:
    """Freezes what takes no part in a training, so that no process waits for its gradient.

    Args:
        model: The model; with frozen trunks nothing is left to do.
    """
    if model.config.frozen_trunks or not model.config.uses_context:
        return
    # The context trunk's last block runs without attention.
    attention = model.context_trunk.vision_model.encoder.layers[-1].self_attn
    for projection in (attention.q_proj, attention.k_proj):
        projection.requires_grad_(False)
    if model.config.out_of_vocabulary == "context":
        model.context_text_tower.requires_grad_(False)
        model.context_logit_scale.requires_grad_(False)


def freeze_visual_head(model: ScoreForInstanceSegmentation) -> None:
    """Freezes the general CLIP's head and scale, which only the region-text loss reaches."""
    model.general_trunk.head.requires_grad_(False)
    model.general_trunk.logit_scale.requires_grad_(False)


def set_kernel_apart(model: ScoreForInstanceSegmentation) -> None:
    """Keeps the kernel's logits out of `DistributedDataParallel`.

    Once the kernel is chosen they have no gradient, for which it would wait in vain. A gradient of
    zero in their place would satisfy it, but AdamW would then go on to move and decay them, which
    the original's does not; a search for unused parameters would walk through the graph in every
    step. So their gradient, six numbers, is averaged by [`average_kernel_gradient`].

    Args:
        model: Not wrapped yet.
    """
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, [_KERNEL])


def average_kernel_gradient(model: nn.Module, unwrapped: ScoreForInstanceSegmentation) -> None:
    """Averages the kernel's gradient over processes, where `DistributedDataParallel` does not.

    Args:
        model: The prepared model.
        unwrapped: The model inside.
    """
    if not isinstance(model, DistributedDataParallel):
        return
    gradient = dict(unwrapped.named_parameters()).get(_KERNEL, torch.empty(0)).grad
    if gradient is not None:
        distributed.all_reduce(gradient)
        gradient /= distributed.get_world_size()


def learning(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Returns the parameters that learn."""
    return [parameter for parameter in parameters if parameter.requires_grad]


class WeightAverage:
    """An exponential running mean of the weights that learn.

    Args:
        model: The model, unwrapped.
        decay: Share of the mean that a step keeps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.means = {
            name: parameter.detach().clone()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the weights after a step in."""
        for name, parameter in model.named_parameters():
            if name in self.means:
                self.means[name].lerp_(parameter, 1 - self.decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchanges the model's weights and the means; a second call puts them back."""
        for name, parameter in model.named_parameters():
            if name in self.means:
                held = parameter.clone()
                parameter.copy_(self.means[name])
                self.means[name].copy_(held)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the means, for a checkpoint."""
        return self.means

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes the means of a checkpoint."""
        for name, mean in self.means.items():
            mean.copy_(state[name])
