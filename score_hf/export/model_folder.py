"""Folders that hold all that a program without this package needs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.export import ExportedProgram

from .. import __version__
from ..conversion.staging import staged
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.predictions import MASK_STRIDE
from ..processing.processing_score import ScoreProcessor
from .checking import check_graph
from .image_half import OUTPUTS, SIZE_DIVISOR, ScoreImageHalf, input_names, trace_image_half
from .vocabulary_file import encode_vocabulary, write_vocabulary

VOCABULARY, SETTINGS = "classes.npz", "settings.json"
Format = Literal["onnx", "torch"]
GRAPHS: dict[Format, str] = {"onnx": "model.onnx", "torch": "model.pt2"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: The folder.
        names: The classes in its vocabulary file.
        difference: Between graph and PyTorch, as a share of the largest number.
    """

    folder: Path
    names: list[str]
    difference: float


def export_model(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    output: Path,
    format: Format,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    int8: bool = False,
) -> Exported:
    """Writes a folder with the graph, a vocabulary, and what is to be done to pictures.

    Args:
        model: A float32 model on the CPU. Afterwards it stores the vocabulary, and has no text
            tower any more.
        processor: Its processor.
        output: The folder, which must not be there yet.
        format: "onnx", or "torch" for a file of `torch.export`.
        classes: Names for the vocabulary file; None: those that the model stores.
        size: Height and width of the images; None: free, in multiples of 32.
        int8: Whether matrices become 8-bit integers; ONNX only.

    Returns:
        What was written.

    Raises:
        ValueError: If `output` exists, or an argument is not valid.
        RuntimeError: If the graph differs from PyTorch.
    """
    if int8 and format != "onnx":
        raise ValueError(f"`int8` is for ONNX only, but the format is {format!r}.")
    if size is not None and any(side < SIZE_DIVISOR or side % SIZE_DIVISOR for side in size):
        raise ValueError(
            f"`size` must be a height and a width in multiples of {SIZE_DIVISOR}, got {size}."
        )
    names, classifier = encode_vocabulary(model, processor, classes)
    with staged(output) as folder:
        folder.mkdir()
        write_vocabulary(names, classifier, folder / VOCABULARY)
        settings = describe(model, processor, size)
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        model.store_vocabulary(classifier, names, keep_text_tower=False)
        half = ScoreImageHalf(model)
        program = trace_image_half(half, size)
        if format == "onnx":
            difference = _write_onnx(program, half, folder / GRAPHS[format], size, int8)
        else:
            difference = _write_torch(program, half, folder / GRAPHS[format], size)
    return Exported(output, names, difference)


def describe(
    model: ScoreForInstanceSegmentation, processor: ScoreProcessor, size: tuple[int, int] | None
) -> dict[str, Any]:
    """Tells what is to be done to pictures before the graph, and to its outputs after it.

    Args:
        model: The model.
        processor: Its processor.
        size: Height and width of the graph's images, if they are fixed.

    Returns:
        What `settings.json` holds.
    """
    images = processor.image_processor
    return {
        "made_by": f"score-hf {__version__}",
        "inputs": input_names(model.config),
        "outputs": list(OUTPUTS),
        "resize": {key: side for key, side in dict(images.size).items() if side}
        if images.do_resize
        else None,
        "rescale_factor": images.rescale_factor,
        "mean": list(images.image_mean),
        "std": list(images.image_std),
        "height_and_width": None if size is None else list(size),
        "size_divisor": images.size_divisor,
        "mask_stride": MASK_STRIDE,
        "max_detections": images.max_detections,
    }


def _write_onnx(
    program: ExportedProgram,
    half: ScoreImageHalf,
    path: Path,
    size: tuple[int, int] | None,
    int8: bool,
) -> float:
    from .onnx_graph import OnnxSession, quantize_onnx, write_onnx

    write_onnx(program, path)
    difference = check_graph(OnnxSession(path), half, size)
    if int8:
        quantize_onnx(path)
    return difference


def _write_torch(
    program: ExportedProgram, half: ScoreImageHalf, path: Path, size: tuple[int, int] | None
) -> float:
    torch.export.save(program, path)
    loaded = torch.export.load(path).module()

    def run(inputs: Any) -> tuple[Tensor, ...]:
        return loaded(**inputs)

    return check_graph(run, half, size)
