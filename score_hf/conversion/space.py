"""The folder of a Space as the Hub runs it: the demo, the package's sources, the model's id."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import RepoCard

PACKAGE = Path(__file__).parents[1]
# Pictures and weights for first steps without a download: a Space has its own.
_LEFT_OUT = ("models", "samples", "__pycache__", ".*")


def brings_package(space: Path, kind: str) -> bool:
    """Tells whether the package's sources go along with a Space.

    Args:
        space: Folder of the Space.
        kind: Its `sdk`.

    Returns:
        True for a Gradio Space that imports `score_hf` and has no sources of its own.
    """
    if kind != "gradio" or (space / PACKAGE.name).exists():
        return False
    sources = (path.read_text(encoding="utf-8") for path in space.glob("*.py"))
    return any(PACKAGE.name in source for source in sources)


def build_space(
    space: Path, folder: Path, repo_id: str, kind: str, preload: Sequence[str] = ()
) -> None:
    """Builds the folder that the Hub runs.

    The sources of `score_hf` go along, rather than a wheel: the Hub installs requirements before
    it has the Space's files, and a private Space could not download a wheel of its own.

    Args:
        space: Folder of the Space as it is written.
        folder: Where to build; made.
        repo_id: Repository of the model, which becomes the first of `models` in the front matter.
        kind: The `sdk` of the Space.
        preload: Files of the model that the Hub downloads when it builds the Space, rather than
            when the first visitor comes.
    """
    shutil.copytree(space, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    if not brings_package(space, kind):
        return
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    readme = folder / "README.md"
    card = RepoCard.load(readme)
    others = [one for one in card.data.get("models") or [] if one != repo_id]
    card.data["models"] = [repo_id, *others]
    if preload:
        card.data["preload_from_hub"] = [f"{repo_id} {','.join(preload)}"]
    card.save(readme)
