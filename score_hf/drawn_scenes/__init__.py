"""Procedural aerial scenes with exact instance masks, deterministic by seed."""

from .scene import DrawnScene, draw_scene, drawn_scenes_as_coco
from .vocabulary import DRAWN_VOCABULARY

__all__ = ["DRAWN_VOCABULARY", "DrawnScene", "draw_scene", "drawn_scenes_as_coco"]
