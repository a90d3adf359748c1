"""What a model's folder says and a checkpoint of the original cannot: written beside it, and read.

Activations, attention heads, prompts, sizes of pictures and the sources of the weights leave no
trace in tensors. The file is JSON: detectron2 would refuse a yaml file with keys of ours.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from ...auto_classes import register_auto_classes
from ...modeling.configuration_score import ScoreConfig
from ...processing.processing_score import ScoreProcessor
from ..model_card import sources_of

# How the learned kernel stands, which the original keeps in plain attributes; at the start of a
# training.
KERNEL_STATE = {
    "region_integration.formation.calls": 0,
    "region_integration.formation.chosen": -1,
}
# Of a vocabulary that is not in the checkpoint, and of code that lies in the folder.
_LEFT_OUT = ("id2label", "label2id", "stored_synonyms", "auto_map", "architectures", "dtype")

_KINDS = {
    "config": dict,
    "processor": dict,
    "kernel": dict,
    "untrained": str,
    "weight_sources": list,
}


@dataclass(frozen=True)
class ModelSettings:
    """Settings of a model that was written for detectron2.

    Args:
        config: Fields of its configuration.
        processor: Fields of its processor.
        kernel: State of the learned kernel, by the names of its tensors.
        untrained: Digest of its untrained parts: with another they were trained since.
        weight_sources: Where its weights come from, as its card lists them.
    """

    config: dict[str, Any]
    processor: dict[str, Any]
    kernel: dict[str, int]
    untrained: str
    weight_sources: list[dict[str, Any]]

    @classmethod
    def of_folder(cls, folder: Path, tensors: Mapping[str, Tensor]) -> "ModelSettings":
        """Collects them.

        Args:
            folder: A model's folder.
            tensors: Its weights.
        """
        config = _read_json(folder / "config.json")
        processor = folder / "processor_config.json"
        return cls(
            config={name: value for name, value in config.items() if name not in _LEFT_OUT},
            processor=_read_json(processor) if processor.is_file() else {},
            kernel={name: int(tensors[name]) for name in KERNEL_STATE if name in tensors},
            untrained=_digest(config.get("untrained_parts", ()), tensors),
            weight_sources=sources_of(folder / "README.md"),
        )

    @classmethod
    def load(cls, path: Path) -> "ModelSettings":
        """Reads the file.

        Args:
            path: The file.

        Raises:
            ValueError: If it is none.
        """
        try:
            fields = _read_json(path)
            if fields.keys() != cls.__dataclass_fields__.keys():
                raise ValueError(f"its fields are {', '.join(fields) or 'none'}")
            for name, kind in _KINDS.items():
                if not isinstance(fields[name], kind):
                    raise ValueError(f"its {name} is {fields[name]!r:.80}")
            numbers = [*fields["kernel"].values()]
            if not all(isinstance(one, int) and abs(one) < 1 << 31 for one in numbers):
                raise ValueError(f"its kernel is {fields['kernel']!r:.80}")
            if not all(isinstance(one, dict) for one in fields["weight_sources"]):
                raise ValueError(f"its weight_sources are {fields['weight_sources']!r:.80}")
            return cls(**fields)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"`config_file` {path} must be detectron2's yaml file of the training, or the json "
                f"file that `--to detectron2` writes beside a checkpoint: {error}"
            ) from error

    def save(self, path: Path) -> None:
        """Writes the file."""
        path.write_text(json.dumps(vars(self), indent=2) + "\n", encoding="utf-8")

    def make_config(self, tensors: Mapping[str, Tensor]) -> ScoreConfig:
        """Makes the configuration.

        Args:
            tensors: The weights under our names, which may have been trained since.

        Raises:
            ValueError: If the settings are of no model.
        """
        try:
            parts = list(self.config.get("untrained_parts", ()))
            untrained = parts if self.untrained == _digest(parts, tensors) else []
            config: ScoreConfig = ScoreConfig.from_dict(
                {**self.config, "untrained_parts": untrained}
            )
        # What a stranger's file holds can be wrong in any way.
        except Exception as error:
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise ValueError(f"`config_file` tells of a model that cannot be: {reason}") from error
        return config

    def make_processor(self, tokenizer: CLIPTokenizer) -> ScoreProcessor:
        """Makes the processor.

        Args:
            tokenizer: CLIP's tokenizer.

        Raises:
            ValueError: If the settings are of no processor.
        """
        register_auto_classes()
        with TemporaryDirectory() as scratch:
            tokenizer.save_pretrained(scratch)
            written = Path(scratch) / "processor_config.json"
            written.write_text(json.dumps(self.processor), encoding="utf-8")
            try:
                processor: ScoreProcessor = ScoreProcessor.from_pretrained(
                    scratch, trust_remote_code=False
                )
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                raise ValueError(
                    f"`config_file` tells of a processor that cannot be: {reason}"
                ) from error
        return processor


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} holds lists in lists without end") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no fields")
    return content


def _digest(parts: Any, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        if name.partition(".")[0] in parts and name not in KERNEL_STATE:
            found.update(tensors[name].to(torch.float32).contiguous().numpy().data)
    return found.hexdigest()
