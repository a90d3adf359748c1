"""GeoTIFFs and large pictures of visitors: through tiles to a map and files for a GIS."""

import shutil
import threading
import warnings
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

from PIL import Image

from .engine import DemoEngine, OpenedPicture
from .found import find_objects
from .keeping import new_folder
from .scene_picture import draw_whole_scene
from .tables import count_chips
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from ..scenes import Found, SceneOptions, SceneResult, SceneSegmenter, Tile

# GDAL also reads texts that name other files, which must not be those of the server.
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG", b"\xff\xd8\xff")
_MAP_HEIGHT, _SHOWN_AT_MOST = 560, 3000
_FLOOR = 0.05
_SMALLER = "cut out a part, or run score-hf segment on your own machine"

# A map that nobody opens asks no other server for anything.
LOAD_WHEN_OPENED = """
element.addEventListener('toggle', (event) => {
    const frame = event.target.querySelector('iframe');
    if (frame && !frame.srcdoc) frame.srcdoc = frame.dataset.page;
}, true);
"""


class Cancelled(Exception):
    """A visitor does not want the rest."""


class EnginePredictor:
    """The model that visitors share, as a predictor of tiles.

    Args:
        engine: The model.
        vocabulary: The classes.
        cancelled: Set when the visitor does not want the rest.
    """

    def __init__(
        self, engine: DemoEngine, vocabulary: Vocabulary, cancelled: threading.Event
    ) -> None:
        self.engine, self.vocabulary, self.cancelled = engine, vocabulary, cancelled
        self._classifier = engine.encode(vocabulary)

    def __call__(self, tiles: Sequence["Tile"]) -> list[list["Found"]]:
        """Finds instances; see `score_hf.scenes.Predictor`."""
        return [self._find(tile) for tile in tiles]

    def _find(self, tile: "Tile") -> list["Found"]:
        from ..scenes import Found

        if self.cancelled.is_set():
            raise Cancelled
        engine = self.engine
        picture = Image.fromarray(tile.image)
        inputs = engine.image_processor(picture, return_tensors="pt")
        opened = OpenedPicture(
            "tile", picture, inputs["pixel_values"].numpy(), inputs["pixel_mask"].numpy()
        )
        result = engine.segment(opened, self.vocabulary, self._classifier)
        objects = find_objects(result, engine.about.ensemble, engine.about.max_detections)
        return [
            Found(one.label, one.score, piece.mask.numpy(), piece.top, piece.left)
            for one in objects
            for piece in [one.piece]
            if one.score >= _FLOOR and piece.area
        ]


def segment_scene(
    engine: DemoEngine, upload: str | None, text: str, threshold: float
) -> Iterator[dict[str, Any]]:
    """Segments a scene; between its tiles a visitor can cancel by closing the iterator.

    Args:
        engine: The model.
        upload: Path of the upload as the server stored it.
        text: Class names as the visitor typed them.
        threshold: Lowest score.

    Yields:
        `status`, and at the end `picture`, `legend` and `map`, both HTML, and `files`, paths.

    Raises:
        ValueError: If there is no upload, it is no scene, too large, or the names are not valid.
    """
    from ..scenes import SceneOptions

    path, vocabulary = _checked(upload), engine.read_vocabulary(text)
    cancelled = threading.Event()
    yield {"status": "Reading the class names …"}
    segmenter = _segmenter(engine, EnginePredictor(engine, vocabulary, cancelled), vocabulary)
    options = SceneOptions(threshold=threshold, floor=min(_FLOOR, threshold))
    has_crs = _check_size(engine, segmenter, path, options)
    folder = new_folder()
    outputs = [folder / f"objects{suffix}" for suffix in (".gpkg", ".geojson")[: 1 + has_crs]]
    told: Queue[Any] = Queue()

    def work() -> None:
        try:
            told.put(
                segmenter.segment(
                    path, output=outputs, options=options, progress=lambda *done: told.put(done)
                )
            )
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            told.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while isinstance(news := told.get(), tuple):
            done, total, found = news
            yield {"status": f"{done} of {total} tiles, {found} instances so far …"}
    finally:
        cancelled.set()
    if isinstance(news, BaseException):
        raise news
    yield {
        **_answer(news, has_crs),
        "picture": draw_whole_scene(path, options.reading, news, _SHOWN_AT_MOST),
    }


def _checked(upload: str | None) -> str:
    """The path of an upload that is a picture by its first bytes."""
    if not upload:
        raise ValueError("There is no scene yet: upload a GeoTIFF, PNG or JPEG.")
    with open(upload, "rb") as file:
        start = file.read(4)
    if not start.startswith(_SIGNATURES):
        raise ValueError("The scene must be a GeoTIFF, PNG or JPEG.")
    return str(Path(upload).absolute())


def _segmenter(
    engine: DemoEngine, predictor: EnginePredictor, vocabulary: Vocabulary
) -> "SceneSegmenter":
    from ..scenes import SceneClass, SceneSegmenter
    from ..scenes.vocabulary import usual_merge

    classes = [
        SceneClass(one.name, one.synonyms, one.seen, usual_merge(one.name))
        for one in vocabulary.classes
    ]
    segmenter = SceneSegmenter(predictor, classes, engine.about.name, engine.about.max_detections)
    segmenter.tile_size = engine.image_processor.size.shortest_edge or 512
    return segmenter


def _check_size(
    engine: DemoEngine, segmenter: "SceneSegmenter", path: str, options: "SceneOptions"
) -> bool:
    """Refuses scenes of too many tiles; tells whether the scene has a place on the ground."""
    from ..scenes import Scene

    most = engine.limits.scene_tiles
    height, width = _size(path)
    # Before GDAL copies or samples anything: a small file may hold a large scene.
    if height * width > most * segmenter.tile_size**2:
        raise ValueError(
            f"The scene is {width} x {height} pixels, more than the {most} tiles of "
            f"{segmenter.tile_size} that this demo takes: {_SMALLER}."
        )
    try:
        with Scene(path, options.reading) as scene:
            tiles = len(segmenter.plan(scene, options).tiles)
            has_crs = scene.crs is not None
    except ValueError as error:
        # Where the server keeps its files is nothing for a visitor.
        raise ValueError(str(error).replace(path, Path(path).name)) from error
    if tiles > most:
        raise ValueError(
            f"The scene has {tiles} tiles, and this demo takes up to {most}: {_SMALLER}."
        )
    return has_crs


def _size(path: str) -> tuple[int, int]:
    """Height and width of a scene as its file tells them."""
    from ..scenes.extras import import_rasterio

    rasterio = import_rasterio()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                return dataset.shape
    except rasterio.errors.RasterioError as error:
        reason = str(error).replace(path, Path(path).name)
        raise ValueError(f"The scene {Path(path).name!r} cannot be opened ({reason}).") from error


def _answer(result: "SceneResult", has_crs: bool) -> dict[str, Any]:
    if result.failed:
        raise ValueError(f"The scene cannot be read everywhere: {result.failed[0].reason}")
    found = ", ".join(f"{count} {name}" for name, count in result.counts.items() if count)
    page = "<p>The scene has no place on the ground, so there is no map: results are in pixels.</p>"
    if has_crs:
        rendered = result.explore(limit=_SHOWN_AT_MOST).get_root().render()
        page = (
            "<details><summary>On a map, whose program and background your browser gets from other "
            'servers</summary><iframe title="Map of what was found" sandbox="allow-scripts" '
            f'style="width:100%;height:{_MAP_HEIGHT}px;border:0" data-page="{escape(rendered)}">'
            "</iframe></details>"
        )
    return {
        "status": f"Found: {found or 'nothing'}.",
        "legend": count_chips(result.counts),
        "map": page,
        "files": [str(path) for path in result.outputs.values()],
    }
