"""Finds and loads a model with its processor, by folder, bundled name or hub id."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedConfig

from .auto_classes import register_auto_classes
from .bundled import DEFAULT_MODEL, bundled_model, bundled_models
from .modeling.configuration_score import ScoreConfig
from .modeling.modeling_score import ScoreForInstanceSegmentation
from .processing.processing_score import ScoreProcessor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Files hold 16 bits a weight or more, and memory 32.
_LARGEST_EXCESS = 4
_HARMLESS_SIZE = 256_000_000
_MOST_LABELS = 100_000
# float32, but the trunks multiply in bfloat16: nearly as fast as bfloat16, with less error.
BFLOAT16_TRUNKS = "bfloat16-trunks"


def load_model(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
    argument: str = "model",
) -> tuple[ScoreForInstanceSegmentation, ScoreProcessor]:
    """Loads a model and its processor, ready for inference.

    Args:
        model: A folder that `save_pretrained` wrote, the name of a bundled model, or an id on the
            Hugging Face hub (`HF_HUB_OFFLINE=1` keeps to what is downloaded already). What names
            two of them is taken in this order.
        device: Such as "cpu" or "cuda:1"; None takes a GPU if there is one.
        dtype: Of the weights: "float32", "bfloat16" or "float16"; the pixel decoder stays in
            float32. "bfloat16-trunks": float32, but the matrix products of the image trunks are
            computed in bfloat16.
        argument: What the caller calls `model`; named in the errors.

    Returns:
        The model in evaluation mode, and its processor.

    Raises:
        TypeError: If `model` is no name.
        ValueError: If there is no such model, it is incomplete or not of SCORE, or device or
            dtype are not available.
    """
    lowers_trunks = dtype == BFLOAT16_TRUNKS
    location, device = _locate(model, argument), check_device(device)
    dtype = check_dtype("float32" if lowers_trunks else dtype, (BFLOAT16_TRUNKS,))
    # The processor finds its parts through the auto classes, and would ask to run the code that a
    # saved model carries along.
    register_auto_classes()
    try:
        fields = PreTrainedConfig.get_config_dict(location)[0]
        kind = fields.get("model_type")
        if kind != "score":
            raise ValueError(f"its config.json says `model_type` {kind!r} instead of 'score'")
        _check_size(location, fields.get("num_labels"))
        loaded, report = ScoreForInstanceSegmentation.from_pretrained(
            location, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
        _check_completeness(report)
        processor = ScoreProcessor.from_pretrained(location)
    # Transformers raises whatever it stumbles over in a damaged folder.
    except Exception as error:
        reason = " ".join(str(error).split())[:1000]
        raise ValueError(f"`{argument}` {str(model)!r} cannot be loaded: {reason}") from error
    if lowers_trunks:
        loaded.lower_trunk_precision()
    return loaded.to(device), processor


def _check_size(location: str, labels: Any) -> None:
    """Refuses a folder whose configuration describes far more weights than its files hold.

    Transformers would take memory for all of them, and fill it, before it says that they differ.
    """
    if isinstance(labels, int | float) and not labels <= _MOST_LABELS:
        raise ValueError(f"its config.json says `num_labels` {labels}")
    held = sum(file.stat().st_size for file in Path(location).glob("*.safetensors"))
    if held == 0:
        return
    with torch.device("meta"):
        model = ScoreForInstanceSegmentation(ScoreConfig.from_pretrained(location))
    described = sum(tensor.nbytes for tensor in model.state_dict().values())
    if described > _LARGEST_EXCESS * held + _HARMLESS_SIZE:
        raise ValueError(
            f"its config.json describes weights of {described / 1e9:.1f} GB, but its files hold "
            f"{held / 1e9:.1f} GB"
        )


def _check_completeness(report: dict[str, Any]) -> None:
    """Refuses what Transformers only warns of: weights left random, or left out."""
    shapes = [key for key, *_ in report["mismatched_keys"]]
    for keys, complaint in (
        (shapes, "have other shapes than its config.json says"),
        (report["missing_keys"], "are missing"),
        (report["unexpected_keys"], "have no place in what its config.json describes"),
    ):
        if keys:
            raise ValueError(f"{len(keys)} of its weights {complaint}, such as {min(keys)!r}")


def check_device(device: str | torch.device | None) -> torch.device:
    """Reads a device and checks that it is there.

    Args:
        device: Such as "cpu" or "cuda:1"; None takes a GPU if there is one.

    Returns:
        The device.

    Raises:
        ValueError: If it is unknown or not available.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        checked = torch.device(device)
        # Not all devices that can be named hold numbers: "meta" does not.
        torch.zeros(1, device=checked).tolist()
    # torch raises AssertionError without CUDA, RuntimeError or NotImplementedError otherwise.
    except (AssertionError, RuntimeError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"`device` must be one that PyTorch can use here, such as 'cpu', got {str(device)!r}."
        ) from error
    return checked


def check_dtype(dtype: str | torch.dtype, further: Sequence[str] = ()) -> torch.dtype:
    """Reads a floating-point type.

    Args:
        dtype: Its name or itself.
        further: What else could have been given, for the sentence.

    Returns:
        The type.

    Raises:
        ValueError: If it is not one of `DTYPES`.
    """
    checked: Any = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if checked not in DTYPES.values():
        names = ", ".join([*DTYPES, *further])
        raise ValueError(f"`dtype` must be one of {names}, got {str(dtype)!r}.")
    return checked


def _locate(model: str | os.PathLike[str], argument: str) -> str:
    """Gives the folder or hub id that Transformers can load."""
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            f"`{argument}` must be a folder, a bundled model or a hub id, but got "
            f"{type(model).__name__}."
        )
    name = os.fspath(model)
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return str(folder)
    if name in bundled_models():
        return str(bundled_model(name))
    if name and folder.is_dir():
        raise ValueError(
            f"`{argument}` is the folder {name!r}, which has no config.json: give a folder that "
            "`save_pretrained` wrote."
        )
    if not isinstance(model, str) or "/" not in name or not _is_hub_id(name):
        bundled = ", ".join(bundled_models()) or "none"
        found = f"{name!r} is a file" if folder.is_file() else f"there is no {name!r}"
        raise ValueError(
            f"`{argument}` must be a folder, a bundled model ({bundled}) or a hub id such as "
            f"'owner/name', but {found}."
        )
    return name


def _is_hub_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
