"""Whole scenes: a georeferenced raster and class names in, a map of objects out.

Needs the packages of `score-hf[geo]`.
"""

from .features import Feature, VectorOptions
from .grid import TileGrid, Window
from .groups import StitchedObject
from .matching import MatchingRule
from .options import SceneOptions
from .pieces import Found, Piece, Predictor, RunnerUp, Tile, make_pieces
from .raster import ReadingOptions, Scene
from .result import SceneResult
from .segmenter import SceneSegmenter
from .stitching import stitch
from .vocabulary import SceneClass

__all__ = [
    "Feature",
    "Found",
    "MatchingRule",
    "Piece",
    "Predictor",
    "ReadingOptions",
    "RunnerUp",
    "Scene",
    "SceneClass",
    "SceneOptions",
    "SceneResult",
    "SceneSegmenter",
    "StitchedObject",
    "Tile",
    "TileGrid",
    "VectorOptions",
    "Window",
    "make_pieces",
    "stitch",
]
