"""Reads the tensors of a TorchScript archive without running any of its code.

`torch.jit.load` compiles what the archive holds, and a module may bring code that runs while it is
loaded. Weights need none of it: they lie as plain bytes beside a pickle that says which module
owns which. That pickle is read here by an unpickler which makes inert objects and knows nothing
else.
"""

import pickle
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ...pickled_parts import check_numbering

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Says whether a file is an archive that `torch.jit.save` wrote.

    Args:
        path: Any file.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {PurePosixPath(name).parts[1:] for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return ("data.pkl",) in parts and ("constants.pkl",) in parts


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Reads parameters, buffers and tensor attributes of the archived module.

    Args:
        path: The archive.

    Returns:
        Tensors by the name of their attribute, with that of the modules around it before.

    Raises:
        UnpicklingError: If the archive holds objects of other kinds.
        KeyError: If something in the archive is missing.
    """
    with zipfile.ZipFile(path) as archive:
        root = PurePosixPath(archive.namelist()[0]).parts[0]
        pickled = archive.read(f"{root}/data.pkl")
        check_numbering(pickled)
        module = _ArchiveUnpickler(archive, root, pickled).load()
    tensors: dict[str, Tensor] = {}
    _collect(module, "", tensors)
    return tensors


class _ScriptObject:
    """Stands for any module of the archive; has attributes and no behaviour."""

    def __setstate__(self, state: object) -> None:
        self.state = state


class _ArchiveUnpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str, pickled: bytes) -> None:
        super().__init__(BytesIO(pickled))
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _ScriptObject
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "restore_type_tag"): _first,
            ("torch.jit._pickle", "build_intlist"): _first,
            ("torch.jit._pickle", "build_doublelist"): _first,
            ("torch.jit._pickle", "build_boollist"): _first,
            ("torch.jit._pickle", "build_tensorlist"): _first,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it holds an object of the type {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, _ = pid
        if key not in self.storages:
            data = bytearray(self.archive.read(f"{self.root}/data/{key}"))
            self.storages[key] = (
                torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _first(value: Any, *_: object) -> Any:
    return value


def _collect(owner: _ScriptObject, prefix: str, tensors: dict[str, Tensor]) -> None:
    state = getattr(owner, "state", None)
    for name, value in state.items() if isinstance(state, dict) else ():
        if isinstance(value, Tensor):
            tensors[f"{prefix}{name}"] = value
        elif isinstance(value, _ScriptObject):
            _collect(value, f"{prefix}{name}.", tensors)
