"""`score-hf convert`: published weights into one folder that `from_pretrained` loads."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import (
    FAILURE,
    INTERRUPTED,
    ending_like_ctrl_c,
    fail,
    option_names,
    plain_messages,
    quiet_transformers,
)

_CLIP = "OpenCLIP models"
_CHECKPOINT = "Detectron2 checkpoints"


def convert(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to write; with --to, a file.", show_default=False
        ),
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
            help="gelu or quick_gelu. Without it: what is known of model and weights; of a "
            "checkpoint of detectron2, gelu.",
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
            help="gelu or quick_gelu. Without it: what is known of model and weights; of a "
            "checkpoint of detectron2, quick_gelu.",
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
        int,
        typer.Option(
            min=0, max=2**63 - 1, help="Of the weights that stay random.", rich_help_panel=_CLIP
        ),
    ] = 0,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="A trained checkpoint of the original SCORE or of FC-CLIP, in place of OpenCLIP "
            "models; given twice, one that lies in two files. With --to: a model's folder.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            help="The yaml file that it was trained with, or the json file that --to detectron2 "
            "wrote beside it: says what shapes do not.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    seen_classes: Annotated[
        str | None,
        typer.Option(
            help="What it was trained on, written as for --classes. Without it: COCO, iSAID or "
            "SIOR, by the yaml file or the number of classes.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    text_heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads of the text tower. Without it: its width / 64.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    context_heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads of the context trunk. Without it: its width / 64.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    decoder_heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads of the decoders. Without it: the yaml file's NHEADS, else as "
            "many as sample 4 points.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
    drop_unused: Annotated[
        bool,
        typer.Option(
            "--drop-unused",
            help="Do not keep the tensors that the model has no place for; the way back is then "
            "not exact.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            help="detectron2: write the model's folder given as --checkpoint under the original's "
            "names, to --output, a .pth or .safetensors file.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None,
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
    the paper's two, downloaded from the Hugging Face Hub. With --checkpoint, a trained checkpoint
    of detectron2 becomes a model that is ready to use.
    """
    of_clip = {
        "--general": general,
        "--general-weights": general_weights,
        "--context": context,
        "--context-weights": context_weights,
    }
    activations = {
        "--general-activation": general_activation,
        "--context-activation": context_activation,
    }
    untold = {
        "--seen-classes": seen_classes,
        "--text-heads": text_heads,
        "--context-heads": context_heads,
        "--decoder-heads": decoder_heads,
    }
    of_checkpoint = {
        "--config-file": config_file,
        **untold,
        "--drop-unused": drop_unused or None,
    }
    of_folder = {"--classes": classes, "--without-text-tower": without_text_tower or None}
    quiet_transformers()
    from ..processing.prompts import check_class_names, parse_class_names

    try:
        with ending_like_ctrl_c(), plain_messages(names=option_names(convert)):
            names = None
            if classes is not None:
                # A name that is given twice is told before gigabytes are read.
                names = check_class_names(parse_class_names(classes, "--classes"), "--classes")
            if without_text_tower and names is None:
                raise ValueError(
                    "`--without-text-tower` needs `--classes`: without both, the model would know "
                    "no class."
                )
            try:
                if to is not None:
                    useless = {**of_clip, **activations, **of_checkpoint, **of_folder}
                    _refuse(useless, "has no use with `--to`")
                    _export(to, checkpoint or [], output, overwrite)
                elif checkpoint:
                    _refuse(of_clip, "names an OpenCLIP model, which `--checkpoint` holds itself")
                    if config_file is not None and config_file.suffix.lower() == ".json":
                        _refuse({**untold, **activations}, f"is said by {config_file} already")
                    from ..conversion.detectron2.config import CheckpointHints
                    from .converting_detectron2 import convert_detectron2

                    convert_detectron2(
                        checkpoint,
                        output,
                        config_file=config_file,
                        hints=CheckpointHints(
                            text_heads,
                            context_heads,
                            decoder_heads,
                            general_activation,
                            context_activation,
                        ),
                        seen_classes=seen_classes,
                        classes=names,
                        text_tower=not without_text_tower,
                        dtype=dtype,
                        keep_unused=not drop_unused,
                        verify=not no_verify,
                        overwrite=overwrite,
                    )
                else:
                    _refuse(of_checkpoint, "needs `--checkpoint`")
                    from .converting_open_clip import convert_open_clip

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


def _refuse(options: dict[str, Any], reason: str) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"`{given[0]}` {reason}.")


def _export(to: str, folders: list[Path], output: Path, overwrite: bool) -> None:
    from .converting_detectron2 import export_detectron2

    if to != "detectron2":
        raise ValueError(f"`--to` must be detectron2, got {to!r}.")
    if len(folders) != 1:
        raise ValueError(
            f"`--to detectron2` needs `--checkpoint` with one model's folder, got {len(folders)}."
        )
    export_detectron2(folders[0], output, overwrite)
