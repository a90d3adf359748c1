"""Downloads files of OpenCLIP models from the Hub, or finds them in its cache."""

from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_session, hf_hub_download, is_offline_mode
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

HUB = "hf-hub:"
# What open_clip calls weights on the Hub, the one that is preferred first.
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def download(role: str, repository: str, file: str | None, remedy: str) -> Path:
    """Downloads a file if it is not in the Hub's cache yet.

    Args:
        role: The argument that named the model.
        repository: Its repository.
        file: The file; None: the weights, whatever open_clip has called them there.
        remedy: What else the user can give, as the sentence goes on.

    Returns:
        The file in the cache.

    Raises:
        ValueError: If there is no such repository or file, or no way to it.
    """
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ValueError(
            f"`{role}` must name a repository as '{HUB}owner/repository', got {HUB + repository!r}."
        ) from error
    online = _hub_answers()
    for name in _WEIGHTS if file is None else (file,):
        try:
            return Path(hf_hub_download(repository, name, local_files_only=not online))
        except (EntryNotFoundError, HTTPError, OSError) as error:
            failure: Any = error
        if not isinstance(failure, EntryNotFoundError):
            break
    if is_offline_mode():
        reason = "HF_HUB_OFFLINE switches the Hub off"
    elif not online:
        reason = f"{constants.ENDPOINT} does not answer"
    else:
        reason = " ".join(str(failure).split())
    raise ValueError(
        f"`{role}`: {file or 'the file of weights'} of {repository} is not in the cache and could "
        f"not be downloaded; download it where there is internet and give {remedy}. The reason "
        f"was: {reason}"
    ) from failure


def open_clip_entry(entry: dict[str, Any]) -> tuple[str, str | None]:
    """Reads where open_clip says that weights are published.

    Args:
        entry: Its entry of a tag.

    Returns:
        Repository and file; without a file, it has open_clip's name.
    """
    repository, _, file = entry["hf_hub"].rpartition("/")
    return repository, file or None


def _hub_answers() -> bool:
    """Asks once: where there is no way to it, the Hub's client would try for minutes."""
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except (HTTPError, OSError):
        return False
    return True
