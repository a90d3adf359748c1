"""The part of `score-hf convert` that reads and writes checkpoints of detectron2."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .terminal import complain

if TYPE_CHECKING:
    from ..conversion.detectron2.config import CheckpointHints


def convert_detectron2(
    files: Sequence[Path],
    output: Path,
    config_file: Path | None = None,
    hints: "CheckpointHints | None" = None,
    seen_classes: str | None = None,
    classes: Sequence[str] | None = None,
    text_tower: bool = True,
    dtype: str = "float32",
    keep_unused: bool = True,
    verify: bool = True,
    overwrite: bool = False,
) -> None:
    """Makes a model's folder of a checkpoint of SCORE or FC-CLIP, and says what became of it.

    Args:
        files: The checkpoint; several files make up one.
        output: The folder.
        config_file: The yaml file of the training, or the json file of an export.
        hints: What shapes do not tell and does not follow the rule; not with a json file.
        seen_classes: Classes of the training as a person types them; None finds them.
        classes: Classes to store with the model.
        text_tower: Whether the model keeps its text tower; if not, it needs `classes`.
        dtype: Type of the weights.
        keep_unused: Whether what the model has no place for is kept beside it.
        verify: Whether the towers' outputs are compared with those of open_clip's modules.
        overwrite: Whether a model's folder may be replaced.

    Raises:
        OSError: If the folder cannot be written.
        ValueError: If something about the checkpoint or the options is wrong, or a tower computes
            something else than open_clip's.
    """
    from ..conversion.clip_tokenizer import clip_tokenizer
    from ..conversion.detectron2.card import describe_checkpoint
    from ..conversion.detectron2.checkpoint import convert_checkpoint, read_checkpoint
    from ..conversion.detectron2.extras import EXTRAS_FILE, list_some
    from ..conversion.detectron2.recipe import read_recipe
    from ..conversion.detectron2.settings import ModelSettings
    from ..conversion.detectron2.verification import compare_towers
    from ..conversion.model_folder import store_classes, write_model_folder
    from ..conversion.open_clip.verification import check_differences
    from ..conversion.staging import check_output, staged
    from ..loading import check_dtype
    from ..processing.prompts import parse_class_names

    check_output(output, overwrite)
    check_dtype(dtype)
    seen = None if seen_classes is None else parse_class_names(seen_classes, "--seen-classes")
    recipe, settings = None, None
    if config_file is not None and config_file.suffix.lower() == ".json":
        settings = ModelSettings.load(config_file)
    elif config_file is not None:
        recipe = read_recipe(config_file)
    state = read_checkpoint(files)
    converted = convert_checkpoint(state, clip_tokenizer(), hints, recipe, seen, settings)
    if verify:
        differences = compare_towers(converted, state)
        check_differences(differences)
        worst = max(differences, key=lambda one: one.relative)
        typer.echo(
            f"{len(differences)} outputs of the towers compared with open_clip's: largest "
            f"difference {worst.relative:.1e} of the largest value ({worst.name})"
        )
    if classes is not None:
        store_classes(converted.model, converted.processor, list(classes), text_tower)
    facts = describe_checkpoint(converted, files, recipe, settings)
    with staged(output, overwrite) as folder:
        write_model_folder(folder, converted.model, converted.processor, facts, dtype=dtype)
        if keep_unused:
            converted.extras.save(folder)
    for note in converted.notes:
        complain(note)
    if unused := list(converted.extras.tensors):
        fate = f"kept in {EXTRAS_FILE} for the way back" if keep_unused else "left out"
        complain(f"The model has no place for {list_some(unused)}: {fate}.")
    seen_now = converted.processor.seen_classes
    count = "unknown" if seen_now is None else str(len(seen_now))
    typer.echo(f"{converted.kind} checkpoint of {len(state)} tensors, trained on {count} classes")
    typer.echo(f"written to {output}")


def export_detectron2(folder: Path, output: Path, overwrite: bool = False) -> None:
    """Writes a model's folder as a checkpoint of the original, and says what became of it.

    Args:
        folder: The model's folder.
        output: A .pth or .safetensors file, or a folder for model_final.pth.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the folder holds no model, or the file exists.
    """
    from ..conversion.detectron2.export import export_checkpoint

    written = export_checkpoint(folder, output, overwrite)
    for note in written.notes:
        complain(note)
    typer.echo(f"{written.tensors} tensors under the original's names written to {written.path}")
    typer.echo(
        f"{written.settings} beside it says what tensors do not (activations, heads, prompts, "
        "sources): give it as --config-file on the way back"
    )
