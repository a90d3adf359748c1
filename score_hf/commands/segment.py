"""`score-hf segment`: pictures or scenes and class names in; overlays, COCO json, maps out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..bundled import DEFAULT_MODEL, limits_of
from .class_tables import print_table, vocabulary_table
from .scene_options import (
    OTHER_NAMES,
    Aoi,
    Bands,
    BatchSize,
    Bbox,
    Devices,
    EngineName,
    FillHoles,
    Fresh,
    Gsd,
    KeepWork,
    MapCrs,
    MaxArea,
    MergeKind,
    MinArea,
    Nodata,
    Overlap,
    Overwrite,
    ProgressKind,
    Rasters,
    Regularize,
    Simplify,
    Stac,
    Stretch,
    TileSide,
    Work,
    Workers,
    parse_bands,
    parse_bbox,
    parse_list,
)
from .segmenting_pictures import RESULTS_FILE
from .terminal import (
    FAILURE,
    INTERRUPTED,
    complain,
    fail,
    one_sentence,
    option_names,
    plain_messages,
    quiet_transformers,
)

if TYPE_CHECKING:
    from ..inference import Segmenter
    from ..scenes.vocabulary import SceneClass

FORMATS = ("png", "coco")
SCENE_FORMATS = ("gpkg", "parquet", "fgb", "geojson", "coco")
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".vrt")


def segment(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures or scenes (GeoTIFF, VRT, ...), folders or patterns of these, http(s) or "
            "s3 addresses, or @list.txt.",
            metavar="IMAGE...",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            "-c",
            help='What to look for: "ship, harbor, storage tank | oil tank". Commas separate '
            "classes, | synonyms. Without it: the vocabulary that the model stores.",
        ),
    ] = None,
    classes_file: Annotated[
        Path | None,
        typer.Option(
            help="The same in a file, where new lines separate classes too; or a .csv or .yaml "
            "with name, prompts, threshold, min_area_m2, max_area_m2, merge, color."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help=f"Folder, bundled model or hub id. Without it: the bundled {DEFAULT_MODEL}.",
        ),
    ] = None,
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir",
            "--output",
            "-o",
            help="Folder to write to; for one scene also a file, such as map.gpkg.",
        ),
    ] = Path("out"),
    threshold: Annotated[
        float, typer.Option("--threshold", "-t", help="Lowest score of an instance, 0 to 1.")
    ] = 0.3,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ... Without it: a GPU if there is one.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16-trunks, bfloat16 or float16.")
    ] = "float32",
    format: Annotated[
        str | None,
        typer.Option(
            help="What to write, separated by commas. png: an overlay for each picture. coco: "
            f"{RESULTS_FILE} with the instances of all pictures, or a json a scene. gpkg, parquet, "
            "fgb, geojson: the map of a scene. Without it: png,coco for pictures, gpkg for scenes."
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Segment the pictures of the package.")
    ] = False,
    gsd: Gsd = None,
    bands: Bands = None,
    stretch: Stretch = "auto",
    nodata: Nodata = None,
    bbox: Bbox = None,
    aoi: Aoi = None,
    tile: TileSide = None,
    overlap: Overlap = None,
    batch_size: BatchSize = 1,
    merge: MergeKind = None,
    min_area: MinArea = 0.0,
    max_area: MaxArea = None,
    fill_holes: FillHoles = 0.0,
    simplify: Simplify = 0.0,
    crs: MapCrs = "source",
    regularize: Regularize = None,
    rasters: Rasters = None,
    stac: Stac = False,
    work: Work = None,
    keep_work: KeepWork = False,
    fresh: Fresh = False,
    overwrite: Overwrite = False,
    progress: ProgressKind = "bar",
    devices: Devices = None,
    engine: EngineName = "local",
    workers: Workers = None,
) -> None:
    """Find the instances of named classes in aerial pictures and whole scenes."""
    called = {**option_names(segment), **OTHER_NAMES}
    with plain_messages(names=called):
        formats = _read_formats(format)
        sources = _list_sources(images or [], sample, output_dir)
        names, vocabulary = _read_classes(classes, classes_file)
        band_numbers, box = parse_bands(bands), parse_bbox(bbox)
    quiet_transformers()
    from ..inference import Segmenter
    from ..scenes import ReadingOptions, SceneOptions, VectorOptions
    from ..steady_memory import keep_memory_steady
    from .scene_engines import EngineChoice
    from .segmenting_pictures import make_writable, segment_pictures
    from .segmenting_scenes import SceneRequest, segment_scenes

    model = DEFAULT_MODEL if model is None else model
    with plain_messages(names=called):
        options = SceneOptions(
            threshold=threshold,
            tile_size=tile,
            overlap=overlap,
            batch_size=batch_size,
            reading=ReadingOptions(gsd, band_numbers, stretch, nodata, box, aoi),
            vectors=VectorOptions(
                min_area, max_area, fill_holes, simplify, crs, parse_list(regularize)
            ),
            rasters=parse_list(rasters),
            stac=stac,
        )
        choice = EngineChoice.read(engine, devices, workers, device)
        segmenter = Segmenter(model, names, device=choice.device, dtype=dtype)
        keep_memory_steady(segmenter.model)
        scenes = _choose_scenes(sources, segmenter, tile is not None)
        pictures = [source for source in sources if source not in scenes]
        request = SceneRequest(
            options=options,
            formats=_fitting(formats, SCENE_FORMATS, "scenes") if scenes else (),
            output=output_dir,
            engine=choice,
            names=names,
            dtype=dtype,
            merge=merge,
            work=work,
            keep_work=keep_work,
            fresh=fresh,
            overwrite=overwrite,
            progress=progress,
        )
        if scenes:
            request.check(scenes, len(pictures))
        if choice.is_helper:
            pictures = []
        if pictures:
            picture_formats = _fitting(formats, FORMATS, "pictures")
            make_writable(output_dir)
    limits = limits_of(segmenter.model.name_or_path or "")
    if images and limits is not None:
        complain(f"note: {limits}")
    print_table(vocabulary_table(segmenter.classes))
    problems: list[tuple[str, int]] = []
    with plain_messages(FAILURE, called):
        if pictures:
            problems += segment_pictures(
                segmenter, pictures, model, threshold, picture_formats, output_dir
            )
        if scenes and all(code != INTERRUPTED for _, code in problems):
            problems += segment_scenes(segmenter, vocabulary, scenes, request)
    sentences = [one_sentence(message, called) for message, _ in problems]
    for sentence in sentences[:-1]:
        complain(sentence)
    if problems:
        fail(sentences[-1], problems[-1][1])


def _choose_scenes(sources: Sequence[str], segmenter: "Segmenter", all_of_them: bool) -> set[str]:
    from ..scenes.routing import is_scene

    limit = segmenter.processor.image_processor.size_limit()
    try:
        return {source for source in sources if all_of_them or is_scene(source, limit)}
    except ImportError as error:
        raise ValueError(str(error)) from error


def _read_formats(text: str | None) -> list[str] | None:
    if text is None:
        return None
    formats = [name.strip().lower() for name in text.split(",") if name.strip()]
    known = tuple(dict.fromkeys((*FORMATS, *SCENE_FORMATS)))
    unknown = [name for name in formats if name not in known]
    if unknown or not formats:
        raise ValueError(f"`--format` must be of {', '.join(known)}, got {text!r}.")
    return formats


def _fitting(formats: list[str] | None, known: Sequence[str], kind: str) -> list[str]:
    """The formats wanted that pictures, or scenes, can have; without wishes the usual ones."""
    if formats is None:
        return list(FORMATS if known is FORMATS else SCENE_FORMATS[:1])
    fitting = [name for name in formats if name in known]
    if not fitting:
        raise ValueError(
            f"`--format` must have one of {', '.join(known)} for {kind}, got {','.join(formats)!r}."
        )
    return fitting


def _read_classes(
    classes: str | None, classes_file: Path | None
) -> "tuple[list[str] | None, list[SceneClass] | None]":
    """Class names, and what a file says of them beside."""
    if classes is not None and classes_file is not None:
        raise ValueError("Give `--classes` or `--classes-file`, got both.")
    if classes is not None:
        from ..processing.prompts import parse_class_names

        return parse_class_names(classes, "--classes"), None
    if classes_file is None:
        return None, None
    from ..scenes.vocabulary import names_of, read_vocabulary

    vocabulary = read_vocabulary(classes_file)
    return names_of(vocabulary), vocabulary


def _list_sources(images: Sequence[str], sample: bool, output_dir: Path) -> list[str]:
    """Lists pictures, those of folders by name; what is no picture is told when it is opened."""
    from ..bundled import sample_pictures
    from ..scenes.routing import expand

    pictures = [str(path) for path in sample_pictures()] if sample else []
    for image in expand(images):
        if not image:
            raise ValueError("`IMAGE` must be a picture, a folder or an address, but got ''.")
        if not os.path.isdir(image):
            pictures.append(image)
            continue
        folder = Path(image)
        if os.path.realpath(folder) == os.path.realpath(output_dir):
            raise ValueError(
                f"`--output-dir` must be another folder than that of the images, {image!r}."
            )
        inside = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _PICTURE_SUFFIXES and not path.is_dir()
        )
        if not inside:
            raise ValueError(f"`IMAGE` is the folder {image!r}, in which there is no picture.")
        pictures.extend(str(path) for path in inside)
    if not pictures:
        raise ValueError(
            "Give at least one `IMAGE`, or `--sample` for the pictures of the package."
        )
    # A picture and its folder may both be named.
    return list(dict.fromkeys(pictures))
