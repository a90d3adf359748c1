"""Writes a model of this project as a detectron2 checkpoint of the original."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...modeling.configuration_score import ScoreConfig
from ..completeness import weight_files
from ..original_keys import from_original, to_original
from ..reading.checkpoint_files import read_tensors
from ..staging import check_folder_name, check_output, staged
from .extras import OriginalExtras
from .settings import KERNEL_STATE, ModelSettings

_WEIGHTS = "criterion.empty_weight"
# What the original keeps in plain attributes, or computes from the class names.
_NOT_STORED = ("stored_", *KERNEL_STATE)
# Where the original has no choice, what it computes.
_ORIGINAL_VARIANT = {
    "global_context": ("attention", "none"),
    "region_context": ("region", "none"),
    "region_kernel": ("learned",),
    "out_of_vocabulary": ("general",),
}


@dataclass(frozen=True)
class ExportedCheckpoint:
    """A written checkpoint.

    Args:
        path: The file.
        settings: The file beside it, which says what tensors cannot.
        tensors: How many tensors it holds.
        notes: What the user should know, a sentence each.
    """

    path: Path
    settings: Path
    tensors: int
    notes: tuple[str, ...]


def export_checkpoint(
    folder: str | os.PathLike[str], output: str | os.PathLike[str], overwrite: bool = False
) -> ExportedCheckpoint:
    """Writes the weights of a model's folder under the original's names.

    A folder that was converted from such a checkpoint, and not trained since, gives it back bit
    for bit: what the model itself could not hold lies beside it. What the checkpoint cannot hold
    is written beside it in turn, as a json file of the same name.

    Args:
        folder: A model's folder.
        output: A file ending in .pth, as detectron2 reads it, or in .safetensors; or a folder,
            in which it is called model_final.pth.
        overwrite: Whether an existing file may be replaced.

    Returns:
        What was written.

    Raises:
        ValueError: If the folder holds no model of this project, or the output exists or lies
            inside it.
    """
    source, path = Path(folder).expanduser(), Path(output).expanduser()
    if path.suffix not in (".pth", ".safetensors"):
        check_folder_name(path)
        path /= "model_final.pth"
    config = _read_config(source)
    settings = path.with_suffix(".json")
    for file in (path, settings):
        if source.resolve() in check_output(file, overwrite, folder=False).parents:
            raise ValueError(
                f"`output` {str(path)!r} must lie outside the model's folder: two checkpoints in "
                "one would be mistaken for one another."
            )
    ours = _read_weights(source)
    extras = OriginalExtras.load(source)
    theirs = {name: extras.restore_type(name, tensor) for name, tensor in to_original(ours).items()}
    theirs |= {name: tensor for name, tensor in extras.tensors.items() if name not in theirs}
    notes = _notes(config, ours)
    if _WEIGHTS not in theirs:
        classes = _count_seen_classes(source)
        if classes is None:
            notes.append(f"There is no {_WEIGHTS}: the classes of the training are not known.")
        else:
            theirs[_WEIGHTS] = torch.ones(classes + 1)
            theirs[_WEIGHTS][-1] = config.no_object_weight
    theirs = {name: tensor.contiguous() for name, tensor in theirs.items()}
    with (
        staged(settings, overwrite, folder=False) as written_settings,
        staged(path, overwrite, folder=False) as written,
    ):
        ModelSettings.of_folder(source, ours).save(written_settings)
        if path.suffix == ".safetensors":
            save_file(theirs, written, metadata={"format": "pt"})
        else:
            torch.save({"model": theirs}, written)
    return ExportedCheckpoint(path, settings, len(theirs), tuple(notes))


def _read_config(folder: Path) -> ScoreConfig:
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"`checkpoint` must be a model's folder to be written for detectron2, with a "
            f"config.json and weights, but there is none in {str(folder)!r}."
        )
    try:
        loaded: ScoreConfig = ScoreConfig.from_pretrained(folder)
    # Transformers raises whatever it stumbles over in a damaged file.
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ValueError(
            f"`checkpoint` {str(folder)!r} has a config.json that cannot be read: {reason}"
        ) from error
    return loaded


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        files = weight_files(folder)
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"`checkpoint` {str(folder)!r} is not complete: {error}.") from error
    return {name: tensor for file in files for name, tensor in read_tensors(file).items()}


def _count_seen_classes(folder: Path) -> int | None:
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    seen = settings.get("seen_classes")
    return None if seen is None else len(seen)


def _notes(config: ScoreConfig, ours: dict[str, Tensor]) -> list[str]:
    notes = [
        f"The original knows no {name}={getattr(config, name)!r}: it computes something else with "
        "these weights."
        for name, known in _ORIGINAL_VARIANT.items()
        if getattr(config, name) not in known
    ]
    if not config.text_tower:
        notes.append("There is no text tower in it, which the original reads class names with.")
    if config.stored_synonyms:
        notes.append(
            f"It has no place for the stored vocabulary of {config.num_labels} classes: give "
            "`--classes` on the way back."
        )
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in ours.items()}
    kept, _ = from_original(to_original(shapes))
    lost = [name for name in ours if name not in kept and not name.startswith(_NOT_STORED)]
    if lost:
        notes.append(f"The original has no place for {', '.join(lost)}.")
    return notes
