"""The part of `score-hf convert` that makes a model of two OpenCLIP models."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .class_tables import print_table
from .terminal import complain

if TYPE_CHECKING:
    from rich.table import Table

    from ..conversion.open_clip.source import OpenClipSource


def convert_open_clip(
    output: Path,
    general: str | None = None,
    general_weights: str | None = None,
    general_activation: Any = None,
    context: str | None = None,
    context_weights: str | None = None,
    context_activation: Any = None,
    out_of_vocabulary: Any = "general",
    classes: Sequence[str] | None = None,
    text_tower: bool = True,
    dtype: str = "float32",
    verify: bool = True,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Makes a model's folder of a general and a remote-sensing CLIP, and says what it found.

    Args:
        output: The folder.
        general: The general CLIP; None is the paper's.
        general_weights: Its weights; None are the paper's, if the model is.
        general_activation: Overrides the activation of its text tower.
        context: The remote-sensing CLIP; None is the paper's.
        context_weights: Its weights; None are the paper's, if the model is.
        context_activation: Overrides the activation of its transformers.
        out_of_vocabulary: Which of them scores classes out of vocabulary.
        classes: Classes to store with the model.
        text_tower: Whether the model keeps its text tower; if not, it needs `classes`.
        dtype: Type of the weights.
        verify: Whether what it computes is compared with open_clip.
        seed: Of what stays random.
        overwrite: Whether a model's folder may be replaced.

    Raises:
        ImportError: If open_clip is not installed.
        OSError: If the folder cannot be written.
        ValueError: If something about the models or the options is wrong.
    """
    from ..conversion.model_folder import store_classes, write_model_folder
    from ..conversion.open_clip.config import check_context, check_general
    from ..conversion.open_clip.pair import convert_pair
    from ..conversion.open_clip.source import PAPER_CONTEXT, PAPER_GENERAL, find_source
    from ..conversion.staging import check_output
    from ..loading import check_dtype

    check_output(output, overwrite)
    check_dtype(dtype)
    if out_of_vocabulary not in ("general", "context"):
        raise ValueError(
            f"`--out-of-vocabulary` must be general or context, got {out_of_vocabulary!r}."
        )
    if general is None:
        general, general_weights = PAPER_GENERAL[0], general_weights or PAPER_GENERAL[1]
    if context is None:
        context, context_weights = PAPER_CONTEXT[0], context_weights or PAPER_CONTEXT[1]
    check = partial(check_context, with_text=out_of_vocabulary == "context")
    sources = [
        find_source("general", general, general_weights, general_activation, check_general),
        find_source("context", context, context_weights, context_activation, check),
    ]
    print_table(_sources_table(sources))
    pair = convert_pair(*sources, out_of_vocabulary=out_of_vocabulary, verify=verify, seed=seed)
    if pair.differences:
        table = _table("Compared with open_clip", "Largest difference", "Of the largest value")
        for one in pair.differences:
            _add_row(table, one.name, f"{one.largest:.1e}", f"{one.relative:.1e}")
        print_table(table)
    else:
        complain("What the model computes was not compared with open_clip.")
    if classes is not None:
        store_classes(pair.model, pair.processor, list(classes), text_tower)
    write_model_folder(
        output, pair.model, pair.processor, pair.card, dtype=dtype, overwrite=overwrite
    )
    parts = ", ".join(pair.model.config.untrained_parts)
    complain(f"To be trained, as no weights are published: {parts}.")
    typer.echo(f"written to {output}")


def _sources_table(sources: Sequence["OpenClipSource"]) -> "Table":
    table = _table("Trunk", "Model", "Weights", "Transformers run with")
    for source in sources:
        label = "QuickGELU" if source.activation == "quick_gelu" else "GELU"
        reason = f"{label} ({source.activation_reason})"
        _add_row(table, source.role, source.name, source.weights, reason)
    return table


def _table(*names: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(*names, box=SIMPLE_HEAD)


def _add_row(table: "Table", *cells: str) -> None:
    from rich.text import Text

    # Not as plain strings: what stands in square brackets would be taken for markup.
    table.add_row(*(Text(cell, overflow="fold") for cell in cells))
