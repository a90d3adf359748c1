"""Models that are spread over processes, by FSDP or DeepSpeed."""

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

from ..modeling.modeling_score import ScoreForInstanceSegmentation
from .recipe import Recipe


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether no process holds the whole model."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def prepare_sharding(
    accelerator: Accelerator, model: ScoreForInstanceSegmentation, recipe: Recipe
) -> None:
    """Prepares the model for being sharded, if it will be; before the optimiser knows it.

    FSDP cuts parameters along their first axis and refuses those that have none: the scales of
    the logits are given one. What is computed with them stays the same.

    Args:
        accelerator: Says whether it will be; settings of FSDP that cannot be otherwise are made.
        model: The model, which is changed.
        recipe: What it is to learn.

    Raises:
        ValueError: If the recipe asks for what needs the whole model in each process, or FSDP is
            to cut it layer by layer.
    """
    if not is_sharded(accelerator):
        return
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.auto_wrap_policy is not None:
        # The context trunk reaches into the last of its layers, which must not be cut by itself.
        raise ValueError(
            "`fsdp_auto_wrap_policy` must be NO_WRAP, so that FSDP gathers the model as a whole: "
            "choose it in `accelerate config`."
        )
    if plugin is not None and plugin.fsdp_version == 1:
        # Frozen parameters and those that learn lie side by side, which it refuses otherwise.
        plugin.use_orig_params = True
    needs_whole = {
        "recipe.evaluation": recipe.evaluation.dataset is not None,
        "recipe.ema_decay": recipe.ema_decay is not None,
        "recipe.model.config.frozen_trunks: false": not model.config.frozen_trunks,
    }
    for name, asked in needs_whole.items():
        if asked:
            raise ValueError(
                f"`{name}` needs the whole model in each process, but FSDP and DeepSpeed spread "
                "it: leave it out (`score-hf evaluate` measures the saved model), or train "
                "without them."
            )
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.ndim == 0:
                widened = nn.Parameter(parameter.detach().reshape(1), parameter.requires_grad)
                setattr(module, name, widened)


def whole_model(accelerator: Accelerator, model: nn.Module) -> ScoreForInstanceSegmentation | None:
    """Gives the whole model, gathered if it is sharded; every process calls it.

    Args:
        accelerator: What has prepared it.
        model: The prepared model.

    Returns:
        The model; in other processes than the main one perhaps None.
    """
    unwrapped = accelerator.unwrap_model(model, keep_torch_compile=False)
    if not is_sharded(accelerator):
        return unwrapped
    state = accelerator.get_state_dict(model)
    if not accelerator.is_main_process:
        return None
    whole = ScoreForInstanceSegmentation(unwrapped.config)
    shapes = {name: value.shape for name, value in whole.state_dict().items()}
    whole.load_state_dict({name: value.reshape(shapes[name]) for name, value in state.items()})
    return whole
