"""All targets."""

from . import annotations, checkpoints, folders, images, recipes, scenes

TARGETS = (
    *images.TARGETS,
    *annotations.TARGETS,
    *checkpoints.TARGETS,
    *recipes.TARGETS,
    *folders.TARGETS,
    *scenes.TARGETS,
)
