"""What a model cannot hold of the original's checkpoint, kept beside it for an exact way back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

EXTRAS_FILE = "detectron2_extras.safetensors"
_TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


@dataclass(frozen=True)
class OriginalExtras:
    """Tensors without a place, and in which types the others came.

    Args:
        tensors: Tensors under the original's names, as they came: the weights of the loss, the
            context's text tower, which computes nothing.
        types: Type of every other tensor that was not float32, by the original's name.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    types: dict[str, torch.dtype] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Tensor], left_out: Sequence[str]) -> "OriginalExtras":
        """Collects them.

        Args:
            state: The whole checkpoint.
            left_out: Names of the tensors that the model has no place for.
        """
        return cls(
            tensors={name: state[name] for name in left_out},
            types={
                name: tensor.dtype
                for name, tensor in state.items()
                if tensor.dtype != torch.float32 and name not in left_out
            },
        )

    def save(self, folder: Path) -> None:
        """Writes them into a model's folder."""
        types = {name: str(dtype).removeprefix("torch.") for name, dtype in self.types.items()}
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        metadata = {"format": "pt", "types": json.dumps(types)}
        save_file(tensors, folder / EXTRAS_FILE, metadata=metadata)

    @classmethod
    def load(cls, folder: Path) -> "OriginalExtras":
        """Reads them from a model's folder; nothing if they were not kept.

        Raises:
            ValueError: If the file is damaged.
        """
        path = folder / EXTRAS_FILE
        if not path.is_file():
            return cls()
        try:
            with safe_open(path, framework="pt") as file:
                types = json.loads((file.metadata() or {}).get("types", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            known = {name: _TYPES[str(kind)] for name, kind in types.items() if kind in [*_TYPES]}
        # What is wrong with a file shows in any way.
        except Exception as error:
            raise ValueError(f"{str(path)!r} is damaged ({error}).") from error
        return cls(tensors, known)

    def restore_type(self, name: str, tensor: Tensor) -> Tensor:
        """Gives a tensor the type in which it came, where that loses nothing."""
        restored = tensor.to(self.types.get(name, tensor.dtype))
        return restored if torch.equal(restored.to(tensor.dtype), tensor) else tensor


def list_some(names: Sequence[str]) -> str:
    """Lists the first names, and how many more there are."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
