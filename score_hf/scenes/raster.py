"""Opens scenes: rasters of any size, read window by window on one model grid."""

import os
import warnings
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .area import Area
from .extras import import_rasterio
from .grid import Window
from .ground import ModelGrid, plan_grid
from .pieces import Tile
from .radiometry import Radiometry, measure, parse_stretch, valid_pixels

_LONG_STRIP_BYTES = 32 * 2**20
# By default GDAL would take a twentieth of the memory, and so grow with the scene.
_CACHE_MEBIBYTES = 64
_REMOTE_SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "VSI_CACHE": "TRUE",
}
_SEQUENTIAL_DRIVERS = ("PNG", "JPEG", "GIF", "WEBP")
_SEQUENTIAL_PIXELS = 2048 * 2048


@dataclass(frozen=True)
class ReadingOptions:
    """How a scene is read.

    Args:
        gsd: Ground size in metres of the pixels that the model sees; None: that of the file.
        bands: Numbers of the three bands that are red, green and blue, from 1; None: as the file
            says, else the first three.
        stretch: "auto" (8 bits as they are, all else by percentiles of the scene), "none",
            percentiles such as "2%,98%" or values such as "0,3000".
        nodata: Value of pixels that hold no data, beside what the file says.
        bbox: The only part that is wanted: west, south, east, north in degrees; None for all.
        aoi: A vector file of the areas that are wanted; what lies beyond them is treated as if it
            held no data. None for all.
    """

    gsd: float | None = None
    bands: tuple[int, ...] | None = None
    stretch: str = "auto"
    nodata: float | None = None
    bbox: tuple[float, float, float, float] | None = None
    aoi: Path | None = None

    def __post_init__(self) -> None:
        parse_stretch(self.stretch)
        if self.bands is not None and len(self.bands) != 3:
            raise ValueError(
                f"`bands` must be three numbers, red, green and blue, but got {self.bands}."
            )


def _tune_gdal(remote: bool) -> None:
    """Keeps GDAL's cache small and its reading of addresses quick, unless the user said how."""
    settings = {"GDAL_CACHEMAX": str(_CACHE_MEBIBYTES)}
    if remote:
        settings |= _REMOTE_SETTINGS
    for name, value in settings.items():
        # The environment reaches all threads, and the other libraries that come with a GDAL.
        if os.environ.setdefault(name, value) == value and name == "GDAL_CACHEMAX":
            rasterio = import_rasterio()
            # GDAL looks at the environment only before it has a cache.
            with rasterio.Env():
                rasterio.env.set_gdal_config(name, _CACHE_MEBIBYTES * 2**20)


class Scene(AbstractContextManager["Scene"]):
    """A raster that is open for reading.

    Args:
        source: A path, an address that GDAL reads (http(s), s3, /vsi...), or a dataset that
            rasterio has opened.
        options: How it is read.

    Raises:
        ImportError: If rasterio is missing.
        ValueError: If it cannot be opened as a raster, lacks bands or valid pixels, or an option
            does not fit it.
    """

    def __init__(self, source: Any, options: ReadingOptions | None = None) -> None:
        self.options = options or ReadingOptions()
        self._rasterio = import_rasterio()
        self._opened = ExitStack()
        try:
            self._open(source)
        except (ImportError, TypeError, ValueError):
            self._opened.close()
            raise
        # GDAL's own errors come as they are.
        except Exception as error:
            self._opened.close()
            reason = " ".join(str(error).split())
            raise ValueError(f"`scene` {str(source)!r} cannot be read ({reason}).") from error
        except BaseException:
            self._opened.close()
            raise

    def _open(self, source: Any) -> None:
        dataset = self._dataset(source)
        self.name = str(dataset.name)
        dataset = self._placed(self._unrolled(dataset))
        self.bands = _choose_bands(dataset, self.options.bands, self.name)
        self._has_mask = any(
            self._rasterio.enums.MaskFlags.all_valid not in flags
            for flags in dataset.mask_flag_enums
        )
        floats = any(dataset.dtypes[band - 1].startswith("float") for band in self.bands)
        has_gaps = self._has_mask or floats or self.options.nodata is not None
        self.radiometry: Radiometry = measure(
            dataset, self.bands, self.options.nodata, self.options.stretch, has_gaps
        )
        self.crs: str | None = None if dataset.crs is None else dataset.crs.to_wkt()
        self.crs_name: str | None = None if dataset.crs is None else dataset.crs.to_string()
        self.grid: ModelGrid = plan_grid(
            dataset.height,
            dataset.width,
            self.crs,
            dataset.transform,
            self.options.gsd,
            self.name,
        )
        self.source_size = (dataset.height, dataset.width)
        self.dtype = str(dataset.dtypes[self.bands[0] - 1])
        self.band_count = int(dataset.count)
        rows, columns = dataset.block_shapes[0]
        self.has_long_strips = rows * columns * dataset.count > _LONG_STRIP_BYTES
        self._reader = dataset if self.grid.is_native else self._resampled(dataset)
        self.area: Area | None = None
        if self.options.bbox is not None or self.options.aoi is not None:
            self.area = Area(self.options.bbox, self.options.aoi, self.crs, self.grid, self.name)
            self.grid = self.grid.part(self.area.window)

    def _dataset(self, source: Any) -> Any:
        if not isinstance(source, str | os.PathLike):
            if not hasattr(source, "dataset_mask"):
                raise TypeError(
                    "`scene` must be a path, an address or a dataset opened by rasterio, but got "
                    f"{type(source).__name__}."
                )
            return source
        path = os.fspath(source)
        _tune_gdal(remote="://" in path or path.startswith("/vsi"))
        with warnings.catch_warnings():
            # Told by those who need a place on the ground.
            warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
            try:
                return self._opened.enter_context(self._rasterio.open(path))
            except (self._rasterio.errors.RasterioError, UnicodeError) as error:
                reason = " ".join(str(error).split())
                raise ValueError(
                    f"`scene` must be a raster that GDAL reads, but {path!r} cannot be opened "
                    f"({reason})."
                ) from error

    def _unrolled(self, dataset: Any) -> Any:
        """Makes a tiled copy of a large picture that can only be decoded from its beginning."""
        pixels = dataset.height * dataset.width
        if dataset.driver not in _SEQUENTIAL_DRIVERS or pixels <= _SEQUENTIAL_PIXELS:
            return dataset
        folder = self._opened.enter_context(TemporaryDirectory(prefix="score_hf_"))
        copy = os.path.join(folder, "copy.tif")
        try:
            self._rasterio.shutil.copy(
                dataset, copy, driver="GTiff", tiled=True, compress="lzw", bigtiff="if_safer"
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
                return self._opened.enter_context(self._rasterio.open(copy))
        # GDAL's own errors come as they are here.
        except Exception as error:
            raise ValueError(
                f"`scene` {self.name!r} cannot be decoded, or there is no room for a tiled copy of "
                f"it in {os.path.dirname(folder)!r} ({error})."
            ) from error

    def _placed(self, dataset: Any) -> Any:
        """Gives a dataset that only has ground control points rows, columns and a transform."""
        points, crs = dataset.gcps
        if not points or dataset.crs is not None or crs is None:
            return dataset
        return self._opened.enter_context(
            self._rasterio.vrt.WarpedVRT(
                dataset, src_crs=crs, crs=crs, resampling=self._rasterio.enums.Resampling.bilinear
            )
        )

    def _resampled(self, dataset: Any) -> Any:
        down = max(self.grid.scale) > 1
        kinds = self._rasterio.enums.Resampling
        return self._opened.enter_context(
            self._rasterio.vrt.WarpedVRT(
                dataset,
                crs=dataset.crs,
                transform=self.grid.transform,
                height=self.grid.height,
                width=self.grid.width,
                resampling=kinds.average if down else kinds.cubic,
            )
        )

    @property
    def height(self) -> int:
        return self.grid.height

    @property
    def width(self) -> int:
        return self.grid.width

    def read(self, window: Window) -> Tile:
        """Reads a window of the model grid.

        Args:
            window: In pixels of the model grid.

        Returns:
            What it shows.

        Raises:
            OSError: If the file cannot be read there.
        """
        inside = None
        place = window
        if self.area is not None:
            place = window.moved(self.area.window.top, self.area.window.left)
            inside = self.area.inside(place)
            if inside is not None and not inside.any():
                image = np.empty((*inside.shape, 3), dtype=np.uint8)
                image[:] = self.radiometry.fill
                return Tile(image, window, inside)
        wanted = self._rasterio.windows.Window(place.left, place.top, place.width, place.height)
        try:
            values = self._reader.read(self.bands, window=wanted)
            valid = valid_pixels(
                self._reader, values, self.options.nodata, self._has_mask, window=wanted
            )
        # GDAL's own errors come as they are here.
        except Exception as error:
            raise OSError(f"{self.name!r} cannot be read at {tuple(window)} ({error}).") from error
        if inside is not None:
            valid = inside if valid is None else valid & inside
        if valid is not None and valid.all():
            valid = None
        return Tile(self.radiometry.apply(values, valid), window, valid)

    def close(self) -> None:
        """Closes the file, unless it was opened by others."""
        self._opened.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _choose_bands(dataset: Any, wanted: tuple[int, ...] | None, name: str) -> tuple[int, ...]:
    if wanted is not None:
        if any(not 1 <= band <= dataset.count for band in wanted):
            raise ValueError(
                f"`bands` must be numbers from 1 to {dataset.count}, the bands of {name!r}, but "
                f"got {','.join(map(str, wanted))}."
            )
        return tuple(wanted)
    kinds = [colour.name for colour in dataset.colorinterp]
    if "palette" in kinds[:1]:
        raise ValueError(
            f"{name!r} holds colours of a palette; expand it first with "
            "`gdal_translate -expand rgb`."
        )
    named = [kinds.index(colour) + 1 for colour in ("red", "green", "blue") if colour in kinds]
    if len(named) == 3:
        return tuple(named)
    others = [number for number, kind in enumerate(kinds, start=1) if kind != "alpha"]
    if len(others) < 3:
        raise ValueError(
            f"{name!r} has {len(others)} band{'s' if len(others) != 1 else ''} of values, and the "
            "model sees three colours; say which are red, green and blue, or repeat one with "
            f"`bands` {','.join([str(others[0])] * 3) if others else '1,1,1'}."
        )
    return tuple(others[:3])
