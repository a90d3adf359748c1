"""Reads the tensors of checkpoint files as people download them, and nothing but tensors.

Such files come from strangers. Pickles are read with PyTorch's weights-only unpickler and a short
list of harmless types, archives that declare absurd sizes are not unpacked, and what goes wrong is
said in one sentence.
"""

import argparse
import os
import pickle
import re
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .numpy_stand_ins import NUMPY_STAND_INS, PickledArray
from .torchscript_archive import is_torchscript, read_torchscript

CHECKPOINT_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
# Weights hardly compress; what expands further, to more than is harmless, is no checkpoint.
MAX_EXPANSION = 20
HARMLESS_SIZE = 256_000_000
# Keys under which training scripts keep the state dict, and prefixes that wrappers put before all
# names of it.
_WRAPPERS = ("state_dict", "model", "model_state_dict", "module")
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")

# What training scripts save beside weights, and what runs no code.
_SAFE_TYPES: list[Any] = [argparse.Namespace, *NUMPY_STAND_INS]


class _NoCheckpoint(Exception):
    """Says what is wrong with a file, as the rest of a sentence that its name begins."""


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads the state dict that a checkpoint file holds.

    Read are files of `torch.save` (plain, or with the state dict under a key of a training
    script), safetensors, TorchScript archives such as OpenAI's (without running their code), and
    zip files around one of these. Tensors may be mapped from the file: it must stay as it is
    while they are in use.

    Args:
        path: The file.

    Returns:
        Tensors by name, in the types of the file, without prefixes of wrappers such as "module.".

    Raises:
        ValueError: If the file is missing, damaged, no checkpoint, holds other things than
            numbers, or declares an absurd size.
    """
    file = Path(path).expanduser()
    try:
        if not file.is_file():
            kind = "is a folder" if file.is_dir() else "does not exist"
            raise _NoCheckpoint(f"{kind}: give a checkpoint file.")
        tensors = _only_tensors(_read(file))
        _check_held_sizes(file, tensors)
        return tensors
    except _NoCheckpoint as error:
        raise ValueError(f"{_name(file)} {error}") from error
    except SafetensorError as error:
        raise ValueError(
            f"{_name(file)} is no readable safetensors file, it may be incomplete: {error}."
        ) from error
    # What is wrong with a file shows in any way, in the depths of its format.
    except Exception as error:
        raise ValueError(f"{_name(file)} {_explain(error)}") from error


def _read(file: Path) -> Any:
    with file.open("rb") as opened:
        start = opened.read(256)
    # By content: people rename files, and a header may begin like anything else.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < file.stat().st_size:
        return load_file(file)
    if start.startswith(b"version https://git-lfs"):
        raise _NoCheckpoint("is only a Git LFS pointer: fetch the file itself with `git lfs pull`.")
    if start.lstrip().startswith(b"<"):
        raise _NoCheckpoint("is a web page: the download gave an error page instead of the file.")
    if not zipfile.is_zipfile(file):
        if start.startswith(b"PK"):
            raise _NoCheckpoint("is incomplete: it begins as an archive but its end is missing.")
        if file.suffix == ".safetensors":
            return load_file(file)
        return _load(file, mapped=False)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    _check_declared_sizes(file, entries)
    if is_torchscript(file):
        return read_torchscript(file)
    if any(PurePosixPath(entry.filename).name == "data.pkl" for entry in entries):
        return _load(file, mapped=all(e.compress_type == zipfile.ZIP_STORED for e in entries))
    return _read_packed(file, entries)


def _load(file: Path, mapped: bool) -> Any:
    with torch.serialization.safe_globals(_SAFE_TYPES):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)


def _read_packed(file: Path, entries: list[zipfile.ZipInfo]) -> Any:
    """Reads the one checkpoint that a zip file was made of."""
    inside = [
        entry
        for entry in entries
        if entry.filename.lower().endswith(CHECKPOINT_SUFFIXES) and "__MACOSX" not in entry.filename
    ]
    if len(inside) != 1:
        names = ", ".join(entry.filename for entry in (inside or entries)[:5])
        raise _NoCheckpoint(
            f"must hold one checkpoint, but holds {len(inside)}: unpack it and give "
            f"the file to read; inside are {names or 'no files'}."
        )
    # Names inside the archive decide nothing but the suffix, so that none leads elsewhere.
    suffix = PurePosixPath(inside[0].filename).suffix
    # A file that is still mapped cannot be removed on every system.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        free = shutil.disk_usage(folder).free
        if inside[0].file_size > free:
            raise _NoCheckpoint(
                f"needs {_size(inside[0].file_size)} of space in {folder!r} to be "
                f"unpacked, but there are {_size(free)}."
            )
        unpacked = Path(folder) / f"checkpoint{suffix}"
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(inside[0]) as source,
            unpacked.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 22)
        if zipfile.is_zipfile(unpacked) and not is_torchscript(unpacked):
            with zipfile.ZipFile(unpacked) as archive:
                members = {PurePosixPath(name).name for name in archive.namelist()}
            if "data.pkl" not in members:
                raise _NoCheckpoint("holds an archive within an archive: unpack it.")
        return _read(unpacked)


def _check_declared_sizes(file: Path, entries: list[zipfile.ZipInfo]) -> None:
    declared, size = sum(entry.file_size for entry in entries), file.stat().st_size
    if declared > max(MAX_EXPANSION * size, HARMLESS_SIZE):
        raise _NoCheckpoint(
            f"would unpack from {_size(size)} to {_size(declared)}: no weights compress "
            f"to less than 1/{MAX_EXPANSION}, it is not read."
        )


def _check_held_sizes(file: Path, tensors: dict[str, Tensor]) -> None:
    """Refuses tensors that repeat few numbers so often that nobody could copy them."""
    held, size = sum(tensor.nbytes for tensor in tensors.values()), file.stat().st_size
    if held > max(MAX_EXPANSION * size, HARMLESS_SIZE):
        raise _NoCheckpoint(
            f"has {_size(size)} and holds tensors of {_size(held)}, which repeat its numbers: it "
            "is not read."
        )


def _only_tensors(content: Any) -> dict[str, Tensor]:
    """Takes the state dict out of what training scripts put around it."""
    for _ in range(3):
        keys = _WRAPPERS if isinstance(content, dict) else ()
        inner = next((content[key] for key in keys if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    tensors = {}
    for name, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, PickledArray):
            value = value.to_tensor()
        if isinstance(name, str) and isinstance(value, Tensor):
            # Transformers cannot write what is spread, packed or not there.
            plain = value.layout == torch.strided and value.device.type == "cpu"
            if not plain or value.is_quantized or value.is_nested:
                raise _NoCheckpoint(
                    f"holds {name} without plain values (sparse, quantized, or none at all): save "
                    "it as an ordinary tensor."
                )
            tensors[name] = value.detach()
    if not tensors:
        raise _NoCheckpoint("holds no tensors by name: it is no state dict.")
    for prefix in _WRAPPER_PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensors[name] for name in tensors}
    return tensors


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        return f"cannot be read: {error.strerror}."
    # Messages of PyTorch's unpickler run over many lines and advise to switch the protection off.
    text = str(error).partition("WeightsUnpickler error:")[2] or str(error)
    refused = re.search(r"(?:GLOBAL|of the type) ([\w.]+)", text)
    if isinstance(error, pickle.UnpicklingError) and refused:
        return (
            f"holds objects of the type {refused[1]}, which are not read because unpickling them "
            "could run code: save its state dict alone."
        )
    if "legacy .tar format" in text:
        return "is a tar archive or damaged: unpack it and give the checkpoint inside."
    lines = [line.strip(" .") for line in text.splitlines() if line.strip()]
    reason = f" ({lines[0]})" if lines else ""
    return f"is damaged or no checkpoint{reason}."


def _name(file: Path) -> str:
    return f"The checkpoint file {str(file)!r}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
