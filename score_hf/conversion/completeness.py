"""Tells whether a folder holds everything that `from_pretrained` needs, without loading weights."""

import json
import warnings
from pathlib import Path

import torch
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from safetensors import SafetensorError, safe_open

from ..auto_classes import register_auto_classes
from ..modeling.configuration_score import ScoreConfig
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from .modelling_code import check_modelling_code

_NEEDED = {
    "config.json": "its configuration",
    "processor_config.json": "its processor",
    "tokenizer.json": "its tokenizer",
    "README.md": "its model card",
}
_INDEX = "model.safetensors.index.json"
# How many names an error lists.
_LISTED = 3


def check_complete(folder: Path) -> None:
    """Checks that a folder holds a whole model of SCORE: every weight, processor and card.

    Weights are compared by name and shape with what the configuration asks for; they are not read.

    Args:
        folder: The folder.

    Raises:
        ValueError: If something is missing, damaged or not of SCORE.
    """
    if not folder.is_dir():
        raise ValueError(
            f"`folder` must be a folder with a model, but there is no {str(folder)!r}."
        )
    for name, what in _NEEDED.items():
        if not (folder / name).is_file():
            raise ValueError(
                f"`folder` {str(folder)!r} has no {name} ({what}): give a folder as "
                "`score-hf convert` writes it."
            )
    try:
        config = _check_config(folder)
        _check_weights(folder, config)
        register_auto_classes()
        ScoreProcessor.from_pretrained(folder)
        _check_card(folder / "README.md")
    # Transformers raises whatever it stumbles over in a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"`folder` {str(folder)!r} is not complete: {reason}") from error


def _check_config(folder: Path) -> ScoreConfig:
    fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = fields.get("model_type") if isinstance(fields, dict) else None
    if kind != "score":
        raise ValueError(f"its config.json says `model_type` {kind!r} instead of 'score'")
    if not check_modelling_code(folder):
        warnings.warn(
            f"{str(folder)!r} holds no modelling code, so only those who have score_hf installed "
            "can load it; load it and save it again to add the code.",
            stacklevel=4,
        )
    config: ScoreConfig = ScoreConfig.from_pretrained(folder)
    return config


def _check_card(path: Path) -> None:
    if not metadata_load(path):
        raise ValueError(
            "its README.md does not begin with metadata between lines of ---, by which the Hub "
            "knows what it is"
        )
    ModelCard.load(path)


def _check_weights(folder: Path, config: ScoreConfig) -> None:
    with torch.device("meta"):
        model = ScoreForInstanceSegmentation(config)
    stored = _stored_shapes(folder)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise ValueError(f"{len(missing)} of its weights are missing, such as {_some(missing)}")
    other = [name for name, shape in wanted.items() if stored[name] != shape]
    if other:
        raise ValueError(
            f"{len(other)} of its weights have another shape than its config.json asks for, such "
            f"as {other[0]} ({stored[other[0]]} instead of {wanted[other[0]]})"
        )


def weight_files(folder: Path) -> list[Path]:
    """Lists the files that hold a model's weights, as Transformers looks for them.

    Args:
        folder: The model's folder.

    Returns:
        The one file, which goes before an index, or those that the index lists.

    Raises:
        ValueError: If one of them is missing.
    """
    files = ["model.safetensors"]
    if not (folder / files[0]).is_file():
        if not (folder / _INDEX).is_file():
            raise ValueError(f"it has neither {files[0]} nor {_INDEX}")
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        files = sorted(set(index["weight_map"].values()))
    for name in files:
        if Path(name).name != name:
            raise ValueError(f"{_INDEX} lists {name!r}, which is no file beside it")
        if not (folder / name).is_file():
            raise ValueError(f"{name} is missing, which {_INDEX} lists")
    return [folder / name for name in files]


def _stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                for key in file.keys():  # noqa: SIM118, it is no dictionary
                    shapes[key] = tuple(file.get_slice(key).get_shape())
        except SafetensorError as error:
            raise ValueError(f"{path.name} is damaged ({error})") from error
    return shapes


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED])
