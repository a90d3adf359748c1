"""STAC items: a scene that one describes as input, and one that describes a map as output."""

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

from .. import __version__
from .extras import import_pyproj, import_rasterio, import_shapely
from .ground import to_coordinates
from .plan import ScenePlan

_VERSION = "1.1.0"
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_MEDIA_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".fgb": "application/vnd.flatgeobuf",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
}
_RASTER_ENDINGS = (".tif", ".tiff", ".jp2", ".vrt")
_TIMEOUT_SECONDS = 60
_LARGEST_ITEM = 2**26
# When a picture was taken, as GDAL and cameras note it.
_DATE_TAGS = (
    ("TIFFTAG_DATETIME", "%Y:%m:%d %H:%M:%S"),
    ("ACQUISITIONDATETIME", "%Y-%m-%dT%H:%M:%S"),
)


def raster_of_item(source: str) -> str:
    """Finds the picture that a STAC item describes.

    Args:
        source: Path or http(s) address of an item; `#name` at the end chooses one of its assets.

    Returns:
        Path or address of the picture.

    Raises:
        ValueError: If it is no item, or does not tell which asset is the picture.
    """
    place, _, name = source.partition("#")
    try:
        if place.startswith(("http://", "https://")):
            with urlopen(place, timeout=_TIMEOUT_SECONDS) as answer:
                received = answer.read(_LARGEST_ITEM + 1)
            if len(received) > _LARGEST_ITEM:
                raise ValueError(f"it has more than {_LARGEST_ITEM >> 20} MiB")
            item = json.loads(received)
        else:
            item = json.loads(Path(place).read_text(encoding="utf-8"))
    # Also brackets in brackets without end.
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"`IMAGE` {place!r} cannot be read as a STAC item ({error}).") from error
    is_item = isinstance(item, dict) and "stac_version" in item
    if not is_item or not isinstance(item.get("assets"), dict):
        raise ValueError(f"`IMAGE` {place!r} is JSON, but no STAC item.")
    rasters = {key: one for key, one in item["assets"].items() if _is_raster(one)}
    chosen = [name] if name else [key for key in ("visual", "image") if key in rasters]
    if not chosen and len(rasters) == 1:
        chosen = list(rasters)
    if not chosen or chosen[0] not in rasters:
        known = ", ".join(sorted(rasters)) or "none"
        raise ValueError(
            f"`IMAGE` {place!r} must say which asset is the picture: add #NAME with one of its "
            f"rasters ({known})."
        )
    reference: str = rasters[chosen[0]]["href"]
    if "://" in reference or reference.startswith("/"):
        return reference
    if "://" in place:
        return urljoin(place, reference)
    return os.path.normpath(os.path.join(os.path.dirname(place), reference))


def _is_raster(asset: Any) -> bool:
    if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
        return False
    reference = asset["href"].partition("?")[0].lower()
    return str(asset.get("type", "")).startswith("image/tiff") or reference.endswith(
        _RASTER_ENDINGS
    )


def write_item(plan: ScenePlan, outputs: Mapping[str, Path], path: Path, threshold: float) -> None:
    """Describes a map.

    Args:
        plan: Of the scene.
        outputs: The files of the map by format, beside the item.
        path: Where the item goes.
        threshold: Lowest score of the run.

    Raises:
        ValueError: If the scene has no place on the ground.
    """
    if plan.crs is None:
        raise ValueError(
            f"A STAC item needs a place on the ground, which {plan.source_name!r} does not tell."
        )
    shapely, pyproj = import_shapely(), import_pyproj()
    footprint = _footprint(plan)
    crs = pyproj.CRS(plan.crs)
    code = crs.to_authority()
    properties = {
        "datetime": _moment(plan.source),
        "proj:code": None if code is None else ":".join(code),
        "proj:shape": [plan.grid.height, plan.grid.width],
        "proj:transform": list(plan.grid.transform)[:6],
        "processing:software": {"score_hf": __version__},
        "score_hf:classes": [one.name for one in plan.classes],
        "score_hf:threshold": threshold,
        "score_hf:predictor": plan.origin["predictor"],
    }
    if code is None:
        properties["proj:wkt2"] = crs.to_wkt()
    item = {
        "type": "Feature",
        "stac_version": _VERSION,
        "stac_extensions": [_PROJECTION, _PROCESSING],
        "id": path.name.partition(".")[0],
        "geometry": shapely.geometry.mapping(footprint),
        "bbox": list(footprint.bounds),
        "properties": properties,
        "links": [{"rel": "derived_from", "href": plan.source}],
        "assets": {
            format: {
                "href": f"./{file.name}",
                "type": _MEDIA_TYPES[file.suffix],
                "roles": ["data"],
            }
            for format, file in outputs.items()
        },
    }
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(item, indent=1), encoding="utf-8")
    unfinished.replace(path)


def _footprint(plan: ScenePlan) -> Any:
    """The outline of a scene in longitudes and latitudes."""
    shapely, pyproj = import_shapely(), import_pyproj()
    to_degrees = pyproj.Transformer.from_crs(plan.crs, "OGC:CRS84", always_xy=True)
    height, width = plan.grid.height, plan.grid.width
    corners = [(0, 0), (0, height), (width, height), (width, 0)]
    places = [to_degrees.transform(*to_coordinates(plan.grid.transform, *one)) for one in corners]
    return shapely.geometry.polygon.orient(shapely.Polygon(places))


def _moment(source: str) -> str:
    """When a scene was taken, as its file says, else when the file was changed."""
    rasterio = import_rasterio()
    with rasterio.open(source) as dataset:
        tags = {**dataset.tags(ns="IMAGERY"), **dataset.tags()}
    for name, form in _DATE_TAGS:
        try:
            taken = datetime.strptime(tags.get(name, "")[:19], form)
        except ValueError:
            continue
        return taken.replace(tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")
    is_file = os.path.isfile(source)
    changed = os.stat(source).st_mtime if is_file else datetime.now(timezone.utc).timestamp()
    moment = datetime.fromtimestamp(int(changed), timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")
