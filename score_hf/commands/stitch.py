"""`score-hf stitch`: merges the tiles of a scene again, without the network."""

from pathlib import Path
from typing import Annotated

import typer

from .class_tables import print_table
from .scene_options import (
    FillHoles,
    MapCrs,
    MaxArea,
    MergeKind,
    MinArea,
    Overwrite,
    Rasters,
    Regularize,
    Simplify,
    Stac,
    parse_list,
)
from .terminal import FAILURE, complain, fail, option_names, plain_messages


def stitch(
    work: Annotated[Path, typer.Argument(help="Work folder that `score-hf segment` kept.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File: .gpkg, .parquet, .fgb, .geojson or .json (COCO)."
        ),
    ],
    threshold: Annotated[float, typer.Option(help="Lowest score of an instance, 0 to 1.")] = 0.3,
    classes_file: Annotated[
        Path | None,
        typer.Option(help="The same classes in a .csv or .yaml, with other thresholds or merging."),
    ] = None,
    merge: MergeKind = None,
    min_area: MinArea = 0.0,
    max_area: MaxArea = None,
    fill_holes: FillHoles = 0.0,
    simplify: Simplify = 0.0,
    crs: MapCrs = "source",
    regularize: Regularize = None,
    rasters: Rasters = None,
    stac: Stac = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Write what there is though tiles are missing."),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Merge the tiles of a scene again, with another threshold or way of merging."""
    from ..scenes import SceneOptions, VectorOptions
    from ..scenes.assembly import check_outputs
    from ..scenes.plan import ScenePlan
    from ..scenes.result import outputs_by_format, restitch
    from ..scenes.shards import WorkFolder
    from ..scenes.vocabulary import names_of, read_vocabulary
    from .segmenting_scenes import check_merge, result_table, with_settings

    with plain_messages(names=option_names(stitch)):
        outputs = outputs_by_format(output)
        shards = WorkFolder.existing(work)
        plan = ScenePlan.from_dictionaries(shards.plan, shards.notes())
        vocabulary = None if classes_file is None else read_vocabulary(classes_file)
        if vocabulary is not None and names_of(vocabulary) != names_of(plan.classes):
            raise ValueError(
                "`--classes-file` must have the classes of the run, "
                f"{'; '.join(names_of(plan.classes))!r}, got {'; '.join(names_of(vocabulary))!r}."
            )
        check_merge(merge)
        plan = plan.with_classes(with_settings(plan.classes, vocabulary, merge))
        options = SceneOptions(
            threshold=threshold,
            vectors=VectorOptions(
                min_area, max_area, fill_holes, simplify, crs, parse_list(regularize)
            ),
            rasters=parse_list(rasters),
            stac=stac,
        )
        check_outputs(plan, outputs, overwrite, options)
        result = restitch(shards, plan, outputs, options, partial)
    print_table(result_table(result))
    typer.echo(f"{sum(result.counts.values())} instances, written to {output}")
    for tile in result.failed:
        complain(f"row {tile.row}, column {tile.column} of the tiles: {tile.reason}")
    if result.failed:
        fail(f"{len(result.failed)} of {len(plan.tiles)} tiles are missing in it.", FAILURE)
