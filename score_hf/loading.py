"""Finds and loads a model with its processor, by folder, bundled name or hub id."""

import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedConfig

from .auto_classes import register_auto_classes
from .bundled import DEFAULT_MODEL, bundled_model, bundled_models
from .modeling.modeling_score import ScoreForInstanceSegmentation
from .processing.processing_score import ScoreProcessor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
) -> tuple[ScoreForInstanceSegmentation, ScoreProcessor]:
    """Loads a model and its processor, ready for inference.

    Args:
        model: A folder that `save_pretrained` wrote, the name of a bundled model, or an id on the
            Hugging Face hub (`HF_HUB_OFFLINE=1` keeps to what is downloaded already). What names
            two of them is taken in this order.
        device: Such as "cpu" or "cuda:1"; None takes a GPU if there is one.
        dtype: Of the weights: "float32", "bfloat16" or "float16"; the pixel decoder stays in
            float32.

    Returns:
        The model in evaluation mode, and its processor.

    Raises:
        ValueError: If there is no such model, it is incomplete or not of SCORE, or device or
            dtype are not available.
    """
    location, device, dtype = _locate(model), check_device(device), check_dtype(dtype)
    # The processor finds its parts through the auto classes, and would ask to run the code that a
    # saved model carries along.
    register_auto_classes()
    try:
        kind = PreTrainedConfig.get_config_dict(location)[0].get("model_type")
        if kind != "score":
            raise ValueError(f"its config.json says `model_type` {kind!r} instead of 'score'")
        loaded, report = ScoreForInstanceSegmentation.from_pretrained(
            location, dtype=dtype, output_loading_info=True
        )
        # Transformers would only warn, and leave these weights random.
        missing = sorted(report["missing_keys"])
        if missing:
            raise ValueError(f"{len(missing)} of its weights are missing, such as {missing[0]!r}")
        processor = ScoreProcessor.from_pretrained(location)
    except (OSError, ValueError, SafetensorError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"`model` {str(model)!r} cannot be loaded: {reason}") from error
    return loaded.to(device), processor


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
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"`device` must be one that PyTorch can use here, such as 'cpu', got {str(device)!r}."
        ) from error
    return checked


def check_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Reads a floating-point type.

    Args:
        dtype: Its name or itself.

    Returns:
        The type.

    Raises:
        ValueError: If it is not one of `DTYPES`.
    """
    checked: Any = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if checked not in DTYPES.values():
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {str(dtype)!r}.")
    return checked


def _locate(model: str | os.PathLike[str]) -> str:
    """Gives the folder or hub id that Transformers can load."""
    name = os.fspath(model)
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return str(folder)
    if name in bundled_models():
        return str(bundled_model(name))
    if name and folder.is_dir():
        raise ValueError(
            f"`model` is the folder {name!r}, which has no config.json: give a folder that "
            "`save_pretrained` wrote."
        )
    owner, _, repository = name.partition("/")
    if not isinstance(model, str) or not (owner and repository) or "/" in repository:
        bundled = ", ".join(bundled_models()) or "none"
        raise ValueError(
            f"`model` must be a folder, a bundled model ({bundled}) or a hub id such as "
            f"'owner/name', but there is no {name!r}."
        )
    return name
