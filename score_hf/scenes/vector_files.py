"""Features to vector files, streamed: never the whole layer in memory, never half a file."""

import json
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .extras import import_pyarrow, import_pyogrio, import_pyproj, import_shapely
from .features import Feature
from .style import style_geopackage

LAYER = "instances"
# Formats by the ending of their files.
VECTOR_FORMATS = {"gpkg": ".gpkg", "parquet": ".parquet", "fgb": ".fgb", "geojson": ".geojson"}
_DRIVERS = {"fgb": "FlatGeobuf", "geojson": "GeoJSON"}
# GeoPackages store when they were changed; a constant keeps equal runs equal, byte for byte.
_ANY_DATE = "2000-01-01T00:00:00.000Z"


def feature_table(features: Sequence[Feature], first_id: int, source: str) -> Any:
    """Puts features into a pyarrow table, geometries as WKB.

    Args:
        features: Of one scene.
        first_id: The id of the first.
        source: File name of the scene.

    Returns:
        A table with the columns of all vector files.
    """
    pyarrow, shapely = import_pyarrow(), import_shapely()

    def rounded(values: list[float | None], digits: int) -> list[float | None]:
        return [None if value is None else round(value, digits) for value in values]

    columns: dict[str, tuple[str, list[Any]]] = {
        "id": ("int64", list(range(first_id, first_id + len(features)))),
        "class_name": ("string", [one.class_name for one in features]),
        "class_id": ("int32", [one.class_number for one in features]),
        "score": ("float32", rounded([one.score for one in features], 4)),
        "seen": ("bool", [one.seen for one in features]),
        "alt_class": ("string", [one.runner_up and one.runner_up[0] for one in features]),
        "alt_score": (
            "float32",
            rounded([one.runner_up and one.runner_up[1] for one in features], 4),
        ),
        "area_m2": ("float64", rounded([one.area_m2 for one in features], 2)),
        "perim_m": ("float64", rounded([one.perimeter_m for one in features], 2)),
        "width_m": ("float32", rounded([one.sides_m and one.sides_m[0] for one in features], 2)),
        "length_m": ("float32", rounded([one.sides_m and one.sides_m[1] for one in features], 2)),
        "area_px": ("int64", [one.pixels for one in features]),
        "n_tiles": ("int32", [one.tiles for one in features]),
        "edge": ("bool", [one.at_edge for one in features]),
        "source": ("string", [source] * len(features)),
    }
    arrays = {
        name: pyarrow.array(values, type=pyarrow.type_for_alias(kind))
        for name, (kind, values) in columns.items()
    }
    geometries = np.array([one.geometry for one in features], dtype=object)
    arrays["geometry"] = pyarrow.array(shapely.to_wkb(geometries), type=pyarrow.binary())
    return pyarrow.table(arrays)


class FeatureFile(ABC):
    """A file of features that is written beside its place and put there when it is whole.

    Args:
        path: Where it goes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unfinished = path.with_name(f"{path.stem}.part{path.suffix}")
        self.written = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.unfinished.unlink(missing_ok=True)

    @abstractmethod
    def add(self, features: Sequence[Feature]) -> None:
        """Writes features.

        Args:
            features: The next ones.
        """

    @abstractmethod
    def complete(self) -> None:
        """Writes what comes last."""

    def finish(self) -> None:
        """Completes the file and puts it in its place."""
        self.complete()
        os.replace(self.unfinished, self.path)

    def abandon(self) -> None:
        """Deletes what was written."""
        self.unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class LayerSettings:
    """What a vector file says of its features.

    Args:
        crs: Their coordinate reference system, as WKT; None if they are in pixels.
        source: File name of the scene.
        info: How they were made, ready for JSON.
        style: The text of a .qml file; None for none.
    """

    crs: str | None
    source: str
    info: dict[str, Any] = field(default_factory=dict)
    style: str | None = None


class _TableFile(FeatureFile):
    """A vector file.

    Args:
        path: Where it goes.
        settings: What it says of its features.
    """

    def __init__(self, path: Path, settings: LayerSettings) -> None:
        super().__init__(path)
        self.settings = settings

    def add(self, features: Sequence[Feature]) -> None:
        """Writes features.

        Args:
            features: The next ones.
        """
        self._write(feature_table(features, self.written + 1, self.settings.source))
        self.written += len(features)

    def complete(self) -> None:
        """Writes what comes last."""
        if not self.written:
            # So that also an empty layer has its columns.
            self._write(feature_table([], 1, self.settings.source))

    @abstractmethod
    def _write(self, table: Any) -> None: ...


class GeoPackage(_TableFile):
    """The default: opens everywhere, and is whole after each batch."""

    def _write(self, table: Any) -> None:
        _write_arrow(
            table,
            self.unfinished,
            driver="GPKG",
            crs=self.settings.crs,
            append=self.unfinished.exists(),
            layer=LAYER,
            layer_metadata=None if self.unfinished.exists() else self._metadata(),
        )

    def _metadata(self) -> dict[str, str]:
        return {"score_hf": json.dumps(self.settings.info, sort_keys=True)}

    def complete(self) -> None:
        """Writes what comes last."""
        super().complete()
        if self.settings.style is not None:
            style_geopackage(self.unfinished, LAYER, self.settings.style, _ANY_DATE)


class GeoParquet(_TableFile):
    """GeoParquet 1.1, a row group a batch, with boxes by which readers skip rows."""

    def __init__(self, path: Path, settings: LayerSettings) -> None:
        super().__init__(path, settings)
        self._writer: Any = None
        self._bounds: np.ndarray | None = None

    def _write(self, table: Any) -> None:
        pyarrow, shapely = import_pyarrow(), import_shapely()
        bounds = shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy()))
        names = ("xmin", "ymin", "xmax", "ymax")
        boxes = [pyarrow.array(bounds.reshape(-1, 4)[:, index]) for index in range(4)]
        covering = pyarrow.StructArray.from_arrays(boxes, names=list(names))
        table = table.append_column("bbox", covering)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(
                self.unfinished, table.schema, compression="zstd"
            )
        self._writer.write_table(table)
        if len(bounds):
            low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
            if self._bounds is not None:
                low = np.minimum(low, self._bounds[:2])
                high = np.maximum(high, self._bounds[2:])
            self._bounds = np.concatenate([low, high])

    def complete(self) -> None:
        """Writes what comes last."""
        super().complete()
        crs = self.settings.crs
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["MultiPolygon"],
            "crs": None if crs is None else import_pyproj().CRS(crs).to_json_dict(),
            "covering": {
                "bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}
            },
        }
        if self._bounds is not None:
            column["bbox"] = self._bounds.tolist()
        described = {
            "version": "1.1.0",
            "primary_column": "geometry",
            "columns": {"geometry": column},
        }
        self._writer.add_key_value_metadata(
            {
                "geo": json.dumps(described),
                "score_hf": json.dumps(self.settings.info, sort_keys=True),
            }
        )
        self._writer.close()

    def abandon(self) -> None:
        """Deletes what was written."""
        if self._writer is not None:
            self._writer.close()
        super().abandon()


class ConvertedFile(_TableFile):
    """FlatGeobuf or GeoJSON, which cannot grow: made at the end from a GeoPackage, as a stream.

    Args:
        path: Where it goes.
        settings: What it says of its features.
        format: "fgb" or "geojson"; the latter follows RFC 7946, so its coordinates are longitude
            and latitude on WGS 84.
    """

    def __init__(self, path: Path, settings: LayerSettings, format: str) -> None:
        super().__init__(path, settings)
        self.format = format
        self._growing = GeoPackage(path.with_name(f"{path.name}.gpkg"), settings)

    def _write(self, table: Any) -> None:
        self._growing._write(table)

    def complete(self) -> None:
        """Writes what comes last: the whole file."""
        super().complete()
        pyogrio = import_pyogrio()
        options = {"RFC7946": "YES"} if self.format == "geojson" else {}
        try:
            with pyogrio.open_arrow(self._growing.unfinished, layer=LAYER, use_pyarrow=True) as (
                described,
                reader,
            ):
                _write_arrow(
                    reader,
                    self.unfinished,
                    driver=_DRIVERS[self.format],
                    crs=self.settings.crs,
                    geometry_name=described["geometry_name"] or "wkb_geometry",
                    layer=LAYER,
                    **options,
                )
        finally:
            self._growing.abandon()

    def finish(self) -> None:
        """Completes the file, puts it in its place, and its style beside it."""
        super().finish()
        if self.settings.style is not None:
            self.path.with_suffix(".qml").write_text(self.settings.style, encoding="utf-8")

    def abandon(self) -> None:
        """Deletes what was written."""
        super().abandon()
        self._growing.abandon()


def _write_arrow(
    table: Any, path: Path, crs: str | None, geometry_name: str = "geometry", **options: Any
) -> None:
    pyogrio = import_pyogrio()
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _ANY_DATE})
    with warnings.catch_warnings():
        # That the coordinates are pixels is told once, by the caller.
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        try:
            pyogrio.write_arrow(
                table,
                path,
                geometry_name=geometry_name,
                geometry_type="MultiPolygon",
                crs=crs,
                **options,
            )
        except pyogrio.errors.DataSourceError as error:
            raise OSError(f"{str(path)!r} cannot be written ({error}).") from error


def open_vector_file(path: Path, format: str, settings: LayerSettings) -> FeatureFile:
    """Begins a vector file.

    Args:
        path: Where it goes.
        format: A key of `VECTOR_FORMATS`.
        settings: What it says of its features.

    Returns:
        The file.

    Raises:
        ValueError: If the format needs a CRS and there is none.
    """
    if format == "gpkg":
        return GeoPackage(path, settings)
    if format == "parquet":
        return GeoParquet(path, settings)
    if format == "geojson" and settings.crs is None:
        raise ValueError(
            f"GeoJSON holds longitudes and latitudes, but {settings.source!r} has no coordinate "
            "reference system; write gpkg, parquet, fgb or coco, which take pixels."
        )
    return ConvertedFile(path, settings, format)
