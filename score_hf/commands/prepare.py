"""`score-hf prepare`: data sets as people download them, brought to one form in Parquet."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..extras import missing_packages
from .preparing import prepare_splits
from .terminal import FAILURE, USAGE, fail, option_names, plain_messages

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
ScoreSubset = Literal["isaid", "sior", "nwpu", "sota", "fast"]
SamrsSubset = Literal["sior", "sota", "fast"]
Unscored = Annotated[
    Literal["ignore", "keep"],
    typer.Option(help="Classes that the paper does not score: no label, or classes all the same."),
]

prepare = typer.Typer(
    name="prepare",
    help="Bring a data set to the one form that training and evaluation read. A run that was "
    "stopped goes on where it was; what was left out, and why, is told at the end.",
    no_args_is_help=True,
)


@prepare.callback()
def check_packages() -> None:
    """Refuse to begin without the packages that write Parquet."""
    missing = missing_packages("preparing needs", "datasets", "pyarrow")
    if missing is not None:
        fail(missing)


@prepare.command("drawn")
def prepare_drawn(
    output: Output,
    split: Annotated[str, typer.Option(help="train or val: scenes of different seeds.")] = "train",
    images: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 200,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 256,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """Draw scenes with exact masks: a set without any download."""
    from ..data.readers.drawn import read_drawn

    prepare_splits(
        lambda name: read_drawn(name, images, size),
        [split],
        split,
        output,
        images_per_shard,
        option_names(prepare_drawn),
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
    from ..data.readers.coco import read_coco

    prepare_splits(
        lambda wanted: read_coco(images, annotations, wanted, name=name),
        [split],
        split,
        output,
        images_per_shard,
        option_names(prepare_coco),
    )


@prepare.command("score")
def prepare_score(
    root: Root,
    output: Output,
    subset: Annotated[
        ScoreSubset | None,
        typer.Option(
            help="Only this set. Without it: each that is there, in a folder of its name."
        ),
    ] = None,
    split: Split = None,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """The release of SCORE's authors: iSAID, SIOR, NWPU, SOTA and FAST below one root."""
    from ..data.readers.score_release import read_score, splits_of, subsets_of

    with plain_messages(FAILURE, option_names(prepare_score)):
        found = [name for name in subsets_of(root) if split in (None, *splits_of(name))]
    folders = {name: output / name for name in found} if subset is None else {subset: output}
    if not folders:
        fail(f"`--split` must be train or val, but no set that is there has {split!r}.")
    stopped: typer.Exit | None = None
    for name, folder in folders.items():
        read = partial(read_score, root, subset=name)
        try:
            prepare_splits(
                read, splits_of(name), split, folder, images_per_shard, option_names(prepare_score)
            )
        # One set that is not complete keeps none of the others waiting.
        except typer.Exit as error:
            if error.exit_code != FAILURE:
                raise
            stopped = error
    if stopped is not None:
        raise stopped


@prepare.command("isaid")
def prepare_isaid(
    root: Root,
    output: Output,
    split: Split = None,
    form: Annotated[
        Literal["auto", "scenes", "patches"],
        typer.Option(help="Whole scenes, which are cut, or the devkit's patches."),
    ] = "auto",
    masks: Annotated[
        Literal["auto", "pictures", "json"],
        typer.Option(help="Of scenes: from *_instance_id_RGB.png or from iSAID_*.json."),
    ] = "auto",
    side: Annotated[int, typer.Option(help="Height and width of a patch in pixels.")] = 800,
    overlap: Annotated[int, typer.Option(help="Of neighbouring patches in pixels.")] = 200,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """iSAID: official scenes, cut as the devkit cuts them, or the devkit's patches."""
    from ..data.readers.isaid import SPLITS, read_isaid

    prepare_splits(
        lambda name: read_isaid(root, name, form, masks, side, overlap),
        SPLITS,
        split,
        output,
        images_per_shard,
        option_names(prepare_isaid),
    )


@prepare.command("nwpu")
def prepare_nwpu(
    root: Root,
    output: Output,
    split: Annotated[
        Literal["whole", "train", "val"],
        typer.Option(help="train and val need the json files of Su et al.'s division."),
    ] = "whole",
    masks: Annotated[
        Literal["json", "boxes"],
        typer.Option(help="From the json file of Su et al., or boxes as masks."),
    ] = "json",
    negatives: Annotated[
        bool, typer.Option("--negatives", help="Add the pictures without objects.")
    ] = False,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """NWPU VHR-10: the published pictures with masks."""
    from ..data.readers.nwpu import read_nwpu

    prepare_splits(
        lambda name: read_nwpu(root, name, masks, negatives),
        (split,),
        split,
        output,
        images_per_shard,
        option_names(prepare_nwpu),
    )


@prepare.command("samrs")
def prepare_samrs(
    root: Root,
    output: Output,
    subset: Annotated[SamrsSubset, typer.Option(help="Which of the three.", show_default=False)],
    split: Split = None,
    semantic: Annotated[
        bool, typer.Option(help="Label images (`gray`), as FAST in Table A, not objects.")
    ] = False,
    image_list: Annotated[
        Path | None,
        typer.Option(help="A file that names the images of the split, one a line, without suffix."),
    ] = None,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """SAMRS: SIOR, SOTA or FAST, from its pickles."""
    from ..data.readers.samrs import read_samrs

    if image_list is not None and split is None:
        fail("`--image-list` needs `--split`: train or val.", USAGE)
    prepare_splits(
        lambda name: read_samrs(
            root, name, subset, "semantic" if semantic else "instance", image_list
        ),
        ("train", "val"),
        split,
        output,
        images_per_shard,
        option_names(prepare_samrs),
    )


@prepare.command("landdiscover")
def prepare_landdiscover(
    root: Root, output: Output, images_per_shard: ShardSize = IMAGES_PER_SHARD
) -> None:
    """LandDiscover50K: the semantic training set of Table A."""
    from ..data.readers.landdiscover import read_landdiscover

    prepare_splits(
        lambda name: read_landdiscover(root, name),
        ("train",),
        None,
        output,
        images_per_shard,
        option_names(prepare_landdiscover),
    )


@prepare.command("flair")
def prepare_flair(
    root: Root,
    output: Output,
    split: Annotated[str, typer.Option(help="test (Table A) or train.")] = "test",
    unscored: Unscored = "ignore",
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """FLAIR #1: 12 classes of land cover."""
    from ..data.readers.flair import read_flair

    try:
        prepare_splits(
            lambda name: read_flair(root, name, unscored),
            (split,),
            split,
            output,
            images_per_shard,
            option_names(prepare_flair),
        )
    except ImportError as error:
        fail(error)


@prepare.command("potsdam")
def prepare_potsdam(
    root: Root,
    output: Output,
    split: Annotated[str, typer.Option(help="whole (Table A), train or val.")] = "whole",
    unscored: Unscored = "ignore",
    boundaries: Annotated[
        Literal["ignored", "labelled"],
        typer.Option(help="Labels without (noBoundary) or with the boundaries of objects."),
    ] = "ignored",
    patch_values: Annotated[
        Literal["gsnet", "mmseg"] | None,
        typer.Option(help="Who made finished patches (img_dir, ann_dir)."),
    ] = None,
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """ISPRS Potsdam: tiles, cut into patches of 512 pixels, or finished patches."""
    from ..data.readers.potsdam import read_potsdam

    prepare_splits(
        lambda name: read_potsdam(root, name, unscored, boundaries, patch_values),
        (split,),
        split,
        output,
        images_per_shard,
        option_names(prepare_potsdam),
    )


@prepare.command("floodnet")
def prepare_floodnet(
    root: Root,
    output: Output,
    split: Annotated[
        str, typer.Option(help="val_test (Table A: both together), train, val or test.")
    ] = "val_test",
    unscored: Unscored = "ignore",
    images_per_shard: ShardSize = IMAGES_PER_SHARD,
) -> None:
    """FloodNet: 9 classes after a flood."""
    from ..data.readers.floodnet import read_floodnet

    prepare_splits(
        lambda name: read_floodnet(root, name, unscored),
        (split,),
        split,
        output,
        images_per_shard,
        option_names(prepare_floodnet),
    )
