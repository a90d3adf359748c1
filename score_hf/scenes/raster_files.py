"""Features to rasters: which class, which instance and which score each pixel has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .extras import import_rasterio
from .features import Feature
from .ground import ModelGrid
from .pieces import Piece
from .style import color_of
from .vector_files import FeatureFile
from .vocabulary import SceneClass, class_numbers

RASTER_KINDS = ("class", "instance", "score")
_TYPES = {"class": "uint16", "instance": "uint32", "score": "float32"}
# GeoTIFFs hold colours for numbers of 8 bits everywhere, for larger ones hardly anywhere.
_SMALL = 255
_BLOCK = 512


class RasterFiles(FeatureFile):
    """Cloud-optimised GeoTIFFs on the scene's pixel grid; where objects overlap, the surer one.

    `class` holds 1 + the number of the class, `instance` the id of the feature, `score` its score;
    0 is where nothing was found. They grow as uncompressed files beside their places, of which only
    the blocks around an object are in memory.

    Args:
        kinds: Some of `RASTER_KINDS`.
        path: Of the map; the names of the rasters are made of it.
        crs: Of the scene, as WKT; None if it has none.
        grid: Of the scene.
        classes: Its vocabulary.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        path: Path,
        crs: str | None,
        grid: ModelGrid,
        classes: Sequence[SceneClass],
    ) -> None:
        super().__init__(path.with_name(f"{path.stem}_rasters.tif"))
        self._rasterio = import_rasterio()
        self.kinds, self.classes = tuple(kinds), classes
        self.paths = {kind: path.with_name(f"{path.stem}_{kind}.tif") for kind in kinds}
        # The scores are always needed: they tell which object is on top.
        self._growing = {
            kind: path.with_name(f"{path.stem}_{kind}.part.tif") for kind in {*kinds, "score"}
        }
        profile = {
            "driver": "GTiff",
            "height": grid.height,
            "width": grid.width,
            "count": 1,
            "crs": crs,
            "transform": grid.transform,
            "tiled": True,
            "blockxsize": _BLOCK,
            "blockysize": _BLOCK,
            "sparse_ok": True,
            "bigtiff": "if_safer",
        }
        types = dict(_TYPES)
        if max(class_numbers(classes)) < _SMALL:
            types["class"] = "uint8"
        self._open: dict[str, Any] = {
            kind: self._rasterio.open(place, "w+", dtype=types[kind], **profile)
            for kind, place in self._growing.items()
        }

    def add(self, features: Sequence[Feature]) -> None:
        """Draws features.

        Args:
            features: The next ones.
        """
        for feature in features:
            self.written += 1
            values = {
                "class": feature.class_number + 1,
                "instance": self.written,
                "score": feature.score,
            }
            for part in feature.found.parts():
                self._draw(part, values)

    def _draw(self, part: Piece, values: dict[str, float]) -> None:
        box = part.window
        window = self._rasterio.windows.Window(box.left, box.top, box.width, box.height)
        mask = part.mask & (self._open["score"].read(1, window=window) < values["score"])
        for kind, dataset in self._open.items():
            pixels = dataset.read(1, window=window)
            pixels[mask] = values[kind]
            dataset.write(pixels, 1, window=window)

    def complete(self) -> None:
        """Compresses the files and adds overviews."""
        if "class" in self.kinds:
            self._describe(self._open["class"])
        for dataset in self._open.values():
            dataset.close()
        for kind in self.kinds:
            self._rasterio.shutil.copy(
                self._growing[kind],
                self._unfinished_of(kind),
                driver="COG",
                compress="deflate",
                overview_resampling="nearest",
                bigtiff="if_safer",
            )

    def _describe(self, dataset: Any) -> None:
        """Names the classes, and colours them where their numbers leave room."""
        numbers = class_numbers(self.classes)
        names = {
            f"CLASS_{number + 1}": one.name
            for number, one in zip(numbers, self.classes, strict=True)
        }
        dataset.update_tags(**names)
        colors = {0: (0, 0, 0, 0)}
        for label, (number, one) in enumerate(zip(numbers, self.classes, strict=True)):
            colors[number + 1] = (*color_of(label, one), 255)
        if max(colors) <= _SMALL:
            dataset.write_colormap(1, colors)

    def _unfinished_of(self, kind: str) -> Path:
        return self.paths[kind].with_suffix(".part.cog.tif")

    def finish(self) -> None:
        """Completes the files and puts them in their places."""
        self.complete()
        for kind in self.kinds:
            self._unfinished_of(kind).replace(self.paths[kind])
        self.abandon()

    def abandon(self) -> None:
        """Deletes what was written."""
        for dataset in self._open.values():
            dataset.close()
        for place in (*self._growing.values(), *map(self._unfinished_of, self.kinds)):
            place.unlink(missing_ok=True)
        super().abandon()
