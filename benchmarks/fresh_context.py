"""Where compared methods start: one trained model, its context modules made random again."""

from pathlib import Path

import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.loading import load_model


def write_start(folder: Path, source: str | Path, seed: int, alpha: float | None = None) -> Path:
    """Writes the model that all methods of a seed start with, unless it is there.

    Args:
        folder: Where.
        source: The trained model. Its trunks are frozen from here on, as in the paper.
        seed: Of the random context modules.
        alpha: Weight of the out-of-vocabulary scores for classes trained on; None: the model's.
    """
    if not (folder / "config.json").is_file():
        model, processor = load_model(source, device="cpu")
        torch.manual_seed(seed)
        fresh = ScoreForInstanceSegmentation(model.config)
        for name in ("region_integration", "global_adaptation"):
            setattr(model, name, getattr(fresh, name))
        model.config.frozen_trunks = True
        if alpha is not None:
            model.config.alpha = alpha
        processor.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder
