"""All targets."""

from . import annotations, checkpoints, images, recipes

TARGETS = (*images.TARGETS, *annotations.TARGETS, *checkpoints.TARGETS, *recipes.TARGETS)
