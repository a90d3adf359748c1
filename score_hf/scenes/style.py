"""Colours for maps: a style that QGIS reads, in a file of its own or inside a GeoPackage."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

from ..visualize import class_color
from .vocabulary import SceneClass

# As GDAL and QGIS make it.
_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
    f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
    styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
    owner TEXT(30), ui TEXT(30), update_time DATETIME
)
"""
_CONTENTS = """
INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change)
VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)
"""
_STYLE = """
INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,
    styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time)
VALUES ('', '', ?, ?, 'classes', ?, '', 1, 'One colour a class', '', NULL, ?)
"""


def color_of(label: int, entry: SceneClass) -> tuple[int, int, int]:
    """The RGB colour of a class: its own, else the one that it has in pictures."""
    if entry.color is None:
        return class_color(label)
    red, green, blue = (int(entry.color[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def qml(classes: Sequence[SceneClass]) -> str:
    """Writes a style of QGIS with one colour a class, filled faintly and outlined clearly.

    Args:
        classes: The vocabulary.

    Returns:
        The text of a .qml file.
    """
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr="class_name", enableorderby="0"
    )
    categories = ElementTree.SubElement(renderer, "categories")
    symbols = ElementTree.SubElement(renderer, "symbols")
    for label, entry in enumerate(classes):
        ElementTree.SubElement(
            categories,
            "category",
            value=entry.name,
            label=entry.name,
            symbol=str(label),
            render="true",
        )
        symbol = ElementTree.SubElement(symbols, "symbol", name=str(label), type="fill", alpha="1")
        layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1"})
        red, green, blue = color_of(label, entry)
        for key, value in (
            ("color", f"{red},{green},{blue},80"),
            ("outline_color", f"{red},{green},{blue},255"),
            ("outline_width", "0.4"),
            ("outline_style", "solid"),
            ("style", "solid"),
        ):
            ElementTree.SubElement(layer, "prop", k=key, v=value)
    text = ElementTree.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"


def style_geopackage(path: Path, layer: str, style: str, date: str) -> None:
    """Stores a style in a GeoPackage, so that it opens coloured.

    Args:
        path: Of the GeoPackage.
        layer: What is to be styled.
        style: The text of a .qml file.
        date: When it was stored.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        (column,) = connection.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        connection.execute(_TABLE)
        connection.execute(_CONTENTS, (date,))
        connection.execute(_STYLE, (layer, column, style, date))
