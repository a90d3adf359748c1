"""Writes everything of a model into one folder that `from_pretrained` loads."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError

from ..loading import check_dtype
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from .model_card import ModelCardFacts, build_model_card
from .staging import staged

# Writing may hold a copy of one shard.
MAX_SHARD_SIZE = "1GB"


def write_model_folder(
    output: str | os.PathLike[str],
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    card: ModelCardFacts,
    *,
    dtype: str | torch.dtype | None = None,
    max_shard_size: int | str = MAX_SHARD_SIZE,
    overwrite: bool = False,
) -> Path:
    """Writes weights, configuration, processor, tokenizer, modelling code and model card.

    It is written beside the output and renamed at the end: after an error nothing is left.

    Args:
        output: The folder to write.
        model: The model. A `dtype` converts it in place, so that no second copy is in memory.
        processor: The processor that belongs to it.
        card: What its README tells of where the weights come from.
        dtype: Type of the weights, "float32", "bfloat16" or "float16"; None keeps the model's. The
            pixel decoder stays in float32.
        max_shard_size: Largest file of weights, in bytes or such as "1GB".
        overwrite: Whether a folder that holds a model may be replaced.

    Returns:
        The folder's absolute path.

    Raises:
        OSError: If it cannot be written.
        ValueError: If there is something in the folder already, or the type is unknown or too
            small for the weights.
    """
    checked = None if dtype is None else check_dtype(dtype)
    with staged(output, overwrite) as folder:
        if checked is not None:
            _convert_in_place(model, checked)
        try:
            model.save_pretrained(folder, max_shard_size=max_shard_size)
        except SafetensorError as error:
            raise OSError(f"The weights cannot be written to {str(output)!r}: {error}") from error
        processor.save_pretrained(folder)
        build_model_card(card, model, processor).save(folder / "README.md")
    return Path(output).expanduser().absolute()


def store_classes(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    classes: list[str],
    keep_text_tower: bool = True,
) -> None:
    """Makes a vocabulary the model's own, so that it is used where no class names are given.

    Args:
        model: The model, which is changed.
        processor: Its processor.
        classes: One item a class, a comma inside an item separates synonyms.
        keep_text_tower: Whether other vocabularies can still be encoded afterwards; without, the
            folder is smaller by the text tower.

    Raises:
        ValueError: If a name is empty or given twice.
    """
    tokens = processor.tokenize_classes(classes, return_tensors="pt").to(model.device)
    with torch.no_grad():
        classifier = model.build_classifier(**tokens)
    names = [item.split(",")[0].strip() for item in classes]
    model.store_vocabulary(classifier, names, keep_text_tower=keep_text_tower)


def _convert_in_place(model: ScoreForInstanceSegmentation, dtype: torch.dtype) -> None:
    kept = tuple(f"{name}." for name in model._keep_in_fp32_modules_strict or ())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point():
            wanted = torch.float32 if name.startswith(kept) else dtype
            converted = tensor.data.to(wanted)
            # float16 ends at 65504.
            if wanted == torch.float16 and not converted.isfinite().all():
                raise ValueError(
                    f"`dtype` float16 is too small for {name}, whose largest value is "
                    f"{float(tensor.data.abs().max()):.3g}: take bfloat16 or float32."
                )
            tensor.data = converted
