"""Features on one web page: a map to move about, a layer a class, attributes under the pointer."""

import json
import warnings
from html import escape
from pathlib import Path
from typing import Any

from ..visualize import class_color
from .extras import import_folium, import_geopandas

DEFAULT_LIMIT = 20_000
_SHOWN = ("class_name", "score", "alt_class", "alt_score", "area_m2", "id")
_IMAGERY = (
    "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/{z}/{y}/{x}"
)


def read_features(path: Path) -> Any:
    """Reads a map that was written before.

    Args:
        path: A GeoPackage, GeoParquet, FlatGeobuf or GeoJSON.

    Returns:
        A GeoDataFrame.

    Raises:
        ImportError: If geopandas is missing.
        ValueError: If it cannot be read, or is none of this package's.
    """
    geopandas = import_geopandas()
    try:
        with warnings.catch_warnings():
            # A GeoPackage has its style in a layer of its own.
            warnings.filterwarnings("ignore", message="More than one layer found")
            read = geopandas.read_parquet if path.suffix == ".parquet" else geopandas.read_file
            table = read(path)
    # Readers raise errors of their own for each format.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`MAP` must be a vector file, but {str(path)!r} cannot be read ({reason})."
        ) from error
    missing = [name for name in ("class_name", "class_id", "score") if name not in table]
    if missing:
        raise ValueError(
            f"`MAP` must be a file that `score-hf segment` wrote, but {str(path)!r} has no column "
            f"{missing[0]!r}."
        )
    return table


def make_map(table: Any, limit: int = DEFAULT_LIMIT) -> Any:
    """Makes an interactive map.

    The page holds the features themselves; what draws them, and the imagery below, is loaded by the
    browser.

    Args:
        table: A GeoDataFrame with the columns of the vector files.
        limit: How many features are shown at most, by falling score: browsers bear some ten
            thousand.

    Returns:
        A folium map.

    Raises:
        ImportError: If folium is missing.
        ValueError: If the features have no place on the ground.
    """
    folium = import_folium()
    if table.crs is None:
        raise ValueError(
            "A map needs a coordinate reference system, but these features are in pixels."
        )
    if len(table) > limit:
        warnings.warn(
            f"only the {limit} surest of {len(table)} features are shown; browsers bear no more.",
            stacklevel=2,
        )
        table = table.nlargest(limit, "score")
    table = table.to_crs("OGC:CRS84")
    shown = [name for name in _SHOWN if name in table]
    # Leaflet takes texts for markup, and the names may be anybody's.
    texts = table[shown].select_dtypes(exclude="number")
    table = table.assign(**{name: [_escaped(one) for one in texts[name]] for name in texts})
    figure = folium.Map(tiles=None, prefer_canvas=True, max_zoom=22)
    folium.TileLayer("OpenStreetMap", max_zoom=22, max_native_zoom=19).add_to(figure)
    folium.TileLayer(
        _IMAGERY, attr="Esri", name="Imagery", max_zoom=22, max_native_zoom=19, show=False
    ).add_to(figure)
    for (number, name), features in table.groupby(["class_id", "class_name"], sort=True):
        color = "#{:02x}{:02x}{:02x}".format(*class_color(int(number)))
        folium.GeoJson(
            json.loads(features[[*shown, "geometry"]].to_json(drop_id=True)),
            name=f"{name} ({len(features)})",
            style_function=lambda _, color=color: {
                "color": color,
                "weight": 2,
                "fillOpacity": 0.25,
            },
            tooltip=folium.GeoJsonTooltip(shown),
        ).add_to(figure)
    folium.LayerControl(collapsed=False).add_to(figure)
    if len(table):
        west, south, east, north = table.total_bounds.tolist()
        figure.fit_bounds([[south, west], [north, east]])
    return figure


def _escaped(value: Any) -> Any:
    return escape(value) if isinstance(value, str) else value
