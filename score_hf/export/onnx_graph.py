"""The image half as an ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from .image_half import OUTPUTS

# A file of ONNX cannot be larger; beyond, the weights go into a file of their own beside it.
LARGEST_FILE = 2**31 - 2**24


def write_onnx(program: ExportedProgram, path: Path) -> None:
    """Writes a traced image half.

    Args:
        program: Of `trace_image_half`.
        path: The file; weights that do not fit into one go to `<name>.data` beside it.
    """
    weights = sum(tensor.nbytes for tensor in program.state_dict.values())
    converted: Any = torch.onnx.export(
        program,
        dynamo=True,
        output_names=list(OUTPUTS),
        custom_translation_table={torch.ops.aten.embedding_bag.padding_idx: _sum_rows},
        optimize=False,
        verbose=False,
    )
    _fold_constants(converted.model)
    converted.save(str(path), external_data=weights > LARGEST_FILE)


def _fold_constants(graph: Any) -> None:
    """Computes what is known already, such as transposed matrices.

    PyTorch's own clean-up does more: it takes 1e-8 for 0 and drops it, so that the mean inside an
    empty mask becomes 0 / 0.
    """
    from onnx_ir.passes.common import (
        ClearMetadataAndDocStringPass,
        LiftConstantsToInitializersPass,
    )
    from onnxscript import optimizer

    optimizer.inline(graph)
    optimizer.fold_constants(graph)
    optimizer.remove_unused_nodes(graph)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    # Where each operator stood in files of this machine.
    ClearMetadataAndDocStringPass()(graph)
    # By this onnxruntime knows before it rounds matrices that constants are folded.
    graph.metadata_props["onnx.quant.pre_process"] = "onnxruntime.quant"


def _sum_rows(table: Any, rows: Any, starts: Any, *options: Any, **named_options: Any) -> Any:
    """Writes `embedding_bag` for bags of one size, which deformable sampling makes.

    PyTorch's own translation loops over the bags, of which there are tens of thousands.
    """
    from onnxscript import opset18

    op: Any = opset18
    weights = named_options.get("per_sample_weights", options[3] if len(options) > 3 else None)
    read = op.Mul(op.Gather(table, rows), op.Unsqueeze(weights, op.Constant(value_ints=[-1])))
    width = op.Shape(table, start=1)
    bags = op.Concat(op.Shape(starts), op.Constant(value_ints=[-1]), width, axis=0)
    summed = op.ReduceSum(op.Reshape(read, bags), op.Constant(value_ints=[1]), keepdims=0)
    # What only the backward pass reads.
    return summed, op.Identity(starts), op.Identity(starts), op.Identity(starts)


class OnnxSession:
    """An ONNX file that runs on the CPU, with tensors in and out.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.log_severity_level = 3
        self._session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Gives class logits and mask logits of `ScoreImageHalf`'s inputs, by name."""
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        return tuple(torch.from_numpy(array) for array in self._session.run(list(OUTPUTS), arrays))


def quantize_onnx(path: Path) -> None:
    """Replaces the matrices of an ONNX file by 8-bit integers, a scale a column.

    What they are multiplied with is rounded while the graph runs. Convolutions and everything
    else stay as they are.

    Args:
        path: The file, which is replaced.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = path.with_name(f"{path.name}.data").exists()
    quantize_dynamic(
        path,
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=large,
        extra_options={"MatMulConstBOnly": True},
    )
