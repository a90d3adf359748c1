"""`score-hf convert`: published weights into one folder that `from_pretrained` loads."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import FAILURE, INTERRUPTED, fail, plain_messages, quiet_transformers

_CLIP = "OpenCLIP models"


def convert(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)
    ],
    general: Annotated[
        str | None,
        typer.Option(
            help="General CLIP with a ConvNeXt: a name of open_clip, hf-hub:owner/repository or "
            "local-dir:folder. Without it: convnext_large_d_320.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    general_weights: Annotated[
        str | None,
        typer.Option(
            help="Its weights: a pretrained tag of open_clip, a local file (.pt, .bin, "
            ".safetensors, .zip, OpenAI's archives) or hf-hub:owner/repository/file. Without it: "
            "laion2b_s29b_b131k_ft_soup.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    general_activation: Annotated[
        str | None,
        typer.Option(
            help="gelu or quick_gelu. Without it: what is known of model and weights.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            help="Remote-sensing CLIP with a vision transformer, named likewise. Without it: "
            "ViT-L-14.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    context_weights: Annotated[
        str | None,
        typer.Option(
            help="Its weights, given likewise, such as files of RemoteCLIP, GeoRSCLIP or SkyCLIP. "
            "Without it: RemoteCLIP's.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    context_activation: Annotated[
        str | None,
        typer.Option(
            help="gelu or quick_gelu. Without it: what is known of model and weights.",
            rich_help_panel=_CLIP,
        ),
    ] = None,
    out_of_vocabulary: Annotated[
        str,
        typer.Option(
            help="Which CLIP scores classes out of vocabulary: general or context.",
            rich_help_panel=_CLIP,
        ),
    ] = "general",
    no_verify: Annotated[
        bool,
        typer.Option(
            "--no-verify",
            help="Do not compare what is computed with open_clip.",
            rich_help_panel=_CLIP,
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Of the weights that stay random.", rich_help_panel=_CLIP)
    ] = 0,
    classes: Annotated[
        str | None,
        typer.Option(
            help='Vocabulary to store with the model: "ship, harbor, storage tank | oil tank".'
        ),
    ] = None,
    without_text_tower: Annotated[
        bool,
        typer.Option(
            "--without-text-tower", help="Keep only the vocabulary; needs --classes, saves space."
        ),
    ] = False,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the folder of a model.")
    ] = False,
) -> None:
    """Make a model's folder of published weights.

    Two OpenCLIP models become a SCORE model whose own parts are still to be trained; by default
    the paper's two, downloaded from the Hugging Face Hub.
    """
    quiet_transformers()
    from ..processing.prompts import parse_class_names
    from .converting_open_clip import convert_open_clip

    try:
        with plain_messages():
            names = None if classes is None else parse_class_names(classes)
            if without_text_tower and names is None:
                raise ValueError(
                    "`--without-text-tower` needs `--classes`: without both, the model would know "
                    "no class."
                )
            try:
                convert_open_clip(
                    output,
                    general=general,
                    general_weights=general_weights,
                    general_activation=general_activation,
                    context=context,
                    context_weights=context_weights,
                    context_activation=context_activation,
                    out_of_vocabulary=out_of_vocabulary,
                    classes=names,
                    text_tower=not without_text_tower,
                    dtype=dtype,
                    verify=not no_verify,
                    seed=seed,
                    overwrite=overwrite,
                )
            except ImportError as error:
                fail(f"{error}; converting needs `pip install 'score-hf[convert]'`.", FAILURE)
            except OSError as error:
                fail(error, FAILURE)
    except KeyboardInterrupt:
        fail("stopped by the user; nothing was written.", INTERRUPTED)
