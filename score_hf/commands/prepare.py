"""`score-hf prepare`: data sets as people download them, brought to one form in Parquet."""

from pathlib import Path
from typing import Annotated

import typer

from .preparing import prepare_splits

IMAGES_PER_SHARD = 500

Root = Annotated[
    Path, typer.Option("--root", help="The data set as it was unpacked.", show_default=False)
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Folder of the prepared set; takes several splits of one set."
    ),
]
Split = Annotated[
    str | None, typer.Option("--split", help="Only this split. Without it: all that are there.")
]
ShardSize = Annotated[int, typer.Option("--images-per-shard", min=1, help="Images in one file.")]

prepare = typer.Typer(
    name="prepare",
    help="Bring a data set to the one form that training and evaluation read. A run that was "
    "stopped goes on where it was; what was left out, and why, is told at the end.",
    no_args_is_help=True,
)


@prepare.command("drawn")
def prepare_drawn(
    output: Output,
    split: Annotated[str, typer.Option(help="train or val: scenes of different seeds.")] = "train",
    images: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 200,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 256,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """Draw scenes with exact masks: a set without any download."""
    from ..data.drawn import read_drawn

    prepare_splits(
        lambda name: read_drawn(name, images, size), [split], split, output, images_per_shard
    )


@prepare.command("coco")
def prepare_coco(
    images: Annotated[Path, typer.Option(help="Folder of the pictures.", show_default=False)],
    annotations: Annotated[Path, typer.Option(help="The json file.", show_default=False)],
    output: Output,
    split: Annotated[str, typer.Option(help="What the split will be called.")] = "train",
    name: Annotated[
        str | None, typer.Option(help="Name of the set. Without it: that of the folder.")
    ] = None,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """Your own data: pictures and a COCO json file with polygons or run lengths."""
    from ..data.coco import read_coco

    prepare_splits(
        lambda wanted: read_coco(images, annotations, wanted, name=name),
        [split],
        split,
        output,
        images_per_shard,
    )
