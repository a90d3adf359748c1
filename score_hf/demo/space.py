"""Starts the demo as a Space on the Hugging Face Hub."""

import os
from pathlib import Path

from huggingface_hub import RepoCard

from ..bundled import DEFAULT_MODEL
from .engine import DemoEngine
from .launching import launch_demo

MODEL_VARIABLE = "SCORE_MODEL"


def model_of_space(folder: Path) -> str:
    """Finds out which model a Space shows.

    Args:
        folder: Of the Space.

    Returns:
        What the environment variable `SCORE_MODEL` says, else the first of `models` in the front
        matter of README.md, else the bundled model.
    """
    given = os.environ.get(MODEL_VARIABLE, "").strip()
    if given:
        return given
    listed = RepoCard.load(folder / "README.md").data.get("models")
    return str(listed[0]) if listed else DEFAULT_MODEL


def start(folder: Path) -> None:
    """Loads the model of a Space and serves it; what is wrong ends it with the reason.

    Args:
        folder: Of the Space, with README.md and `examples`.
    """
    launch_demo(DemoEngine.load(model_of_space(folder)), folder / "examples")
