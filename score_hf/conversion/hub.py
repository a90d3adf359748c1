"""Publishes a model's folder, and a Space beside it, on the Hugging Face Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoCard,
    get_token,
    is_offline_mode,
)
from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import validate_repo_id

from .completeness import check_complete
from .model_card import PLACEHOLDER
from .space import PACKAGE, build_space

# What a training leaves beside the model: pickles, which nobody should have to trust.
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
_WEIGHTS = (".safetensors", ".safetensors.index.json", *_PICKLES)


def check_connection() -> None:
    """Checks what does not need the network: that it may be used, and that there is a token.

    Raises:
        OSError: If the Hub is switched off or nobody is logged in.
    """
    if is_offline_mode():
        raise OSError(
            "Pushing needs the Hub, but HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) switches it off: "
            "unset it."
        )
    if get_token() is None:
        raise OSError(
            "You are not logged in to the Hub: run `hf auth login`, or set HF_TOKEN to a token "
            "that may write."
        )


def check_repo_id(repo_id: str) -> None:
    """Checks the name of a repository.

    Args:
        repo_id: Its name.

    Raises:
        ValueError: If the Hub would not take it.
    """
    try:
        validate_repo_id(repo_id)
    except ValueError as error:
        raise ValueError(
            f"`repo_id` must be a name such as 'owner/name', of letters, digits, '-', '_' and '.', "
            f"got {repo_id!r}."
        ) from error


def check_space(folder: Path) -> str:
    """Checks that a folder is a Space.

    Args:
        folder: The folder.

    Returns:
        Its kind, such as "gradio".

    Raises:
        ValueError: If its README does not say how it is run, or what it names is not there.
    """
    readme = folder / "README.md"
    card = RepoCard.load(readme).data if readme.is_file() else None
    kind = None if card is None else card.get("sdk")
    if card is None or kind is None:
        raise ValueError(
            f"`space` must be the folder of a Space, whose README.md says its `sdk`, got "
            f"{str(folder)!r}."
        )
    app = card.get("app_file") or "app.py"
    if kind in ("gradio", "streamlit") and not (folder / app).is_file():
        raise ValueError(f"`space` {str(folder)!r} has no {app}, which it starts with.")
    return str(kind)


def push_folder(
    folder: Path, repo_id: str, private: bool = False, space: Path | None = None
) -> list[str]:
    """Uploads a model's folder, and perhaps a Space, each in one commit.

    A repository so holds either the old or the new. Weights of an earlier push that the folder
    does not have are removed in the same commit. What is on the Hub already is not sent again: a
    broken upload goes on where it stopped.

    Args:
        folder: A folder with a complete model. Its top files are uploaded, but hidden files and
            pickles; the card names the repository in its snippets.
        repo_id: The repository, made if it is not there.
        private: Whether only its owner may see it.
        space: The folder of a Space, uploaded under the same name; hidden files and Python's
            caches stay out. If it imports `score_hf`, the package's sources go along and its front
            matter names the model, see `build_space`.

    Returns:
        The addresses of the model and of the Space.

    Raises:
        OSError: If the Hub is switched off, cannot be reached or refuses.
        ValueError: If a folder is not complete or the name not valid.
    """
    check_repo_id(repo_id)
    check_complete(folder)
    kind = None if space is None else check_space(space)
    check_connection()
    with _plain_errors(repo_id):
        addresses = [_push_model(folder, repo_id, private)]
        if space is not None and kind is not None:
            addresses.append(_push_space(space, kind, repo_id, private, _uploaded(folder)))
    return addresses


def _push_model(folder: Path, repo_id: str, private: bool) -> str:
    name, address = _make_repository(repo_id, private)
    card = (folder / "README.md").read_text(encoding="utf-8").replace(PLACEHOLDER, name)
    additions = [
        CommitOperationAdd(path.name, card.encode() if path.name == "README.md" else str(path))
        for path in _uploaded(folder)
    ]
    kept = {addition.path_in_repo for addition in additions}
    # An old single file would go before the index of new shards.
    stale = [
        CommitOperationDelete(path)
        for path in HfApi().list_repo_files(name)
        if path.endswith(_WEIGHTS) and "/" not in path and path not in kept
    ]
    message = "Upload model with score-hf push"
    HfApi().create_commit(name, [*additions, *stale], commit_message=message)
    return address


def _uploaded(folder: Path) -> list[Path]:
    """The files of a model that are uploaded."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name[0] != "." and path.suffix not in _PICKLES
    ]


def _push_space(
    space: Path, kind: str, repo_id: str, private: bool, model_files: list[Path]
) -> str:
    name, address = _make_repository(repo_id, private, kind)
    # What the Hub's builder may not see it cannot preload either.
    preload = [] if private else [path.name for path in model_files if path.name != "README.md"]
    with TemporaryDirectory() as scratch:
        built = Path(scratch) / "space"
        build_space(space, built, name, kind, preload)
        additions = [
            CommitOperationAdd(path.relative_to(built).as_posix(), str(path))
            for path in sorted(built.rglob("*"))
            if path.is_file()
        ]
        kept = {addition.path_in_repo for addition in additions}
        # A module that the package no longer has must not stay importable.
        stale = [
            CommitOperationDelete(path)
            for path in HfApi().list_repo_files(name, repo_type="space")
            if path.startswith(f"{PACKAGE.name}/") and path not in kept
        ]
        message = "Upload Space with score-hf push"
        HfApi().create_commit(name, [*additions, *stale], commit_message=message, repo_type="space")
    return address


def _make_repository(repo_id: str, private: bool, space: str | None = None) -> tuple[str, str]:
    """Makes the repository, or finds it; gives its full name and its address."""
    api, kind = HfApi(), "model" if space is None else "space"
    # None leaves it to the owner's default, which an organisation may have set to private.
    visibility = True if private else None
    address = api.create_repo(
        repo_id, private=visibility, repo_type=kind, space_sdk=space, exist_ok=True
    )
    name = address.repo_id
    if private and not api.repo_info(name, repo_type=kind).private:
        raise ValueError(
            f"`repo_id` {name!r} is a public {kind} already, and nothing was uploaded: make it "
            "private on the Hub first, or give another name."
        )
    return name, str(address)


@contextmanager
def _plain_errors(repo_id: str) -> Iterator[None]:
    """Says in one sentence what the Hub or the way to it did not like."""
    try:
        yield
    except (HTTPError, RuntimeError) as error:
        # What goes wrong while a large file is sent comes wrapped.
        wrapped = isinstance(error, RuntimeError) and isinstance(error.__cause__, HTTPError)
        cause = error.__cause__ if wrapped else error
        if not isinstance(cause, HfHubHTTPError):
            raise OSError(
                f"The upload to {repo_id!r} broke off ({cause or type(cause).__name__}): run the "
                "same command again, and it goes on where it stopped."
            ) from error
        status = cause.response.status_code
        reasons = {
            401: "it does not accept your token: run `hf auth login` again",
            403: "your token may not write there: use one with write access to it",
        }
        answer = f"it answered {status} ({cause.server_message or cause})"
        raise OSError(
            f"The Hub did not take {repo_id!r}: {reasons.get(status, answer)}."
        ) from error
