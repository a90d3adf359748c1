"""Libraries for geodata, which only whole scenes need and which are imported only there."""

from importlib import import_module
from typing import Any


def _import(name: str, extra: str = "geo") -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f"This needs the package {package}: run `pip install 'score-hf[{extra}]'` ({error})."
        ) from error


def import_rasterio() -> Any:
    """Imports rasterio with the parts that scenes use."""
    for part in ("env", "enums", "features", "vrt", "windows", "warp", "errors", "shutil"):
        _import(f"rasterio.{part}")
    return _import("rasterio")


def import_shapely() -> Any:
    """Imports shapely."""
    return _import("shapely")


def import_pyproj() -> Any:
    """Imports pyproj."""
    return _import("pyproj")


def import_pyogrio() -> Any:
    """Imports pyogrio with its writer of arrays."""
    _import("pyogrio.raw")
    return _import("pyogrio")


def import_pyarrow() -> Any:
    """Imports pyarrow with its Parquet part."""
    _import("pyarrow.parquet")
    return _import("pyarrow")


def import_geopandas() -> Any:
    """Imports geopandas."""
    return _import("geopandas")


def import_folium() -> Any:
    """Imports folium."""
    return _import("folium")


def import_regulariser() -> Any:
    """Imports buildingregulariser."""
    return _import("buildingregulariser", extra="regularize")


def import_ray() -> Any:
    """Imports Ray."""
    return _import("ray", extra="ray")
