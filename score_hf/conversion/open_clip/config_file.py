"""Reads open_clip_config.json, as it lies beside weights on the Hub, and checks that it is one."""

import json
import math
from pathlib import Path
from typing import Any

# Numbers of a tower that sizes follow from; far above every model, far below what never ends.
_LARGEST = {
    "width": 100_000,
    "heads": 10_000,
    "head_width": 100_000,
    "layers": 1_000,
    "patch_size": 10_000,
    "image_size": 100_000,
    "context_length": 1_000_000,
    "vocab_size": 10_000_000,
}
# Layers of a ResNet's stages, sides of a picture.
_MAY_BE_SEVERAL = ("layers", "image_size")


def read_open_clip_config(role: str, file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads it.

    Args:
        role: The argument that named the model.
        file: The file.

    Returns:
        open_clip's configuration of the model and of its preprocessing, the latter perhaps empty.

    Raises:
        ValueError: If the file is damaged or says something impossible.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{role}`: {str(file)!r} is damaged: {error}.") from error
    content = content if isinstance(content, dict) else {}
    model, preprocessing = content.get("model_cfg", content), content.get("preprocess_cfg") or {}
    parts = {"vision_cfg", "text_cfg"}
    if not isinstance(model, dict) or any(not isinstance(model.get(part), dict) for part in parts):
        raise ValueError(
            f"`{role}`: {str(file)!r} must be the configuration of an OpenCLIP model, with "
            "embed_dim, vision_cfg and text_cfg."
        )
    _check_number(role, file, "embed_dim", model.get("embed_dim"), _LARGEST["width"])
    for part in parts:
        for field, largest in _LARGEST.items():
            value = model[part].get(field)
            several = field in _MAY_BE_SEVERAL and isinstance(value, list)
            for number in value if several else [value]:
                if number is not None:
                    _check_number(role, file, f"{part}.{field}", number, largest)
    if not isinstance(name := model["vision_cfg"].get("timm_model_name"), str | None):
        raise ValueError(
            f"`{role}`: vision_cfg.timm_model_name of {str(file)!r} must be a name, got "
            f"{name!r:.80}."
        )
    _check_preprocessing(role, file, preprocessing)
    return model, preprocessing


def _check_number(role: str, file: Path, name: str, value: Any, largest: int) -> None:
    if not isinstance(value, int) or not 0 < value <= largest:
        raise ValueError(
            f"`{role}`: {name} of {str(file)!r} must be a whole number from 1 to {largest}, got "
            f"{value!r:.80}."
        )


def _check_preprocessing(role: str, file: Path, fields: Any) -> None:
    for name, least in (("mean", -math.inf), ("std", 0.0)):
        values = fields.get(name) if isinstance(fields, dict) else ()
        if values is None:
            continue
        numbers = isinstance(values, list) and all(isinstance(one, int | float) for one in values)
        if not numbers or len(values) != 3 or not all(least < one < math.inf for one in values):
            raise ValueError(
                f"`{role}`: {name} in preprocess_cfg of {str(file)!r} must be three numbers, one "
                f"for each colour{', above 0' if name == 'std' else ''}, got {values!r:.80}."
            )
