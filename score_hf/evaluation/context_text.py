"""The remote-sensing CLIP's text tower for a model that was trained without it (Table 6)."""

import torch

from ..modeling.modeling_score import ScoreForInstanceSegmentation


def borrow_context_text(
    model: ScoreForInstanceSegmentation, source: ScoreForInstanceSegmentation
) -> None:
    """Gives a model what it needs to score classes by its remote-sensing CLIP.

    The frozen trunk of a trained model is still the one it started with, so the text tower that
    belongs to it fits.

    Args:
        model: Gets the text tower and the scale, as `out_of_vocabulary="context"` needs them.
        source: A model made for that, such as `score-hf convert --out-of-vocabulary context`
            writes; it shares them afterwards.

    Raises:
        ValueError: If the source has no such tower, or its remote-sensing CLIP is another one.
    """
    if not hasattr(source, "context_text_tower"):
        raise ValueError(
            "`context_text_from` must be a model with the text tower of its remote-sensing CLIP: "
            "`score-hf convert --out-of-vocabulary context` writes one."
        )
    if not hasattr(model, "context_trunk"):
        raise ValueError(
            "`out_of_vocabulary` is 'context', but the model has no remote-sensing CLIP: it was "
            "trained without context."
        )
    theirs = source.context_trunk.state_dict()
    ours = model.context_trunk.state_dict()
    if ours.keys() != theirs.keys() or not all(
        torch.equal(ours[name], theirs[name].to(ours[name])) for name in ours
    ):
        raise ValueError(
            "`context_text_from` must have the remote-sensing CLIP that the model was trained "
            "with, but its image trunk is another one."
        )
    model.context_text_tower = source.context_text_tower
    model.context_logit_scale = source.context_logit_scale
    # As a plain module: Transformers types its own `to` otherwise.
    module: torch.nn.Module = model
    module.to(model.device)
