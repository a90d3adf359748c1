"""Finds an OpenCLIP model and its weights: by name and tag, on the Hub, or in a local file."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ..reading.checkpoint_files import read_tensors
from ..reading.torchscript_archive import is_torchscript
from .config_file import read_open_clip_config
from .downloads import HUB, download, open_clip_entry

Activation = Literal["gelu", "quick_gelu"]
LOCAL = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
# How many names an error lists.
LISTED = 5

# The paper's pair (§4.2).
PAPER_GENERAL = ("convnext_large_d_320", "laion2b_s29b_b131k_ft_soup")
PAPER_CONTEXT = ("ViT-L-14", f"{HUB}chendelong/RemoteCLIP/RemoteCLIP-ViT-L-14.pt")

# Remote-sensing CLIPs are published as bare weights. Whether the CLIP that they were trained from
# had OpenAI's activation follows from which one it was; by the name of the file or its folder.
_KNOWN_FILES: tuple[tuple[str, Activation, str], ...] = (
    (r"remoteclip", "quick_gelu", "the original SCORE runs RemoteCLIP so"),
    (r"rs5m_vit-h", "gelu", "GeoRSCLIP's ViT-H-14 was trained from OpenCLIP's"),
    (r"rs5m_vit-", "quick_gelu", "GeoRSCLIP was trained from OpenAI's CLIP"),
    (r"skyclip_vit_b", "gelu", "SkyCLIP's ViT-B-32 was trained from OpenCLIP's"),
    (r"skyclip_vit_l|clip_vit_l14_laion_rs", "quick_gelu", "it was trained from OpenAI's CLIP"),
)
_BOOKKEEPING = ("input_resolution", "context_length", "vocab_size", "attn_mask")


@dataclass(frozen=True)
class OpenClipSource:
    """An OpenCLIP model, found but not yet read.

    Args:
        role: The argument that named it, "general" or "context".
        name: open_clip's name of the model, or its place on the Hub.
        weights: Tag or file name of its weights.
        config: open_clip's configuration of it, in which `quick_gelu` is settled.
        file: The checkpoint file.
        activation_reason: Why it is `quick_gelu` or not.
        mean: Mean that pictures are normalised with, of each colour, on a scale of 0 to 1.
        std: Standard deviation, likewise.
        hub_id: Repository of its weights on the Hub, if they come from there.
    """

    role: str
    name: str
    weights: str
    config: dict[str, Any]
    file: Path
    activation_reason: str
    mean: tuple[float, ...] = tuple(OPENAI_CLIP_MEAN)
    std: tuple[float, ...] = tuple(OPENAI_CLIP_STD)
    hub_id: str | None = None

    @property
    def label(self) -> str:
        """Its name without where it is found."""
        if self.name.startswith(LOCAL):
            return Path(self.name.removeprefix(LOCAL)).name
        return self.name.removeprefix(HUB)

    @property
    def activation(self) -> Activation:
        """Activation of its transformers; a ConvNeXt always has the exact GELU."""
        return "quick_gelu" if self.config.get("quick_gelu", False) else "gelu"

    def read(self) -> dict[str, Tensor]:
        """Reads its weights.

        Returns:
            Tensors as `open_clip.CLIP` names them.

        Raises:
            ValueError: If the file cannot be read.
        """
        stored = read_tensors(self.file)
        # A model with a text tower of its own class keeps it under this prefix.
        tensors = {name.removeprefix("text."): tensor for name, tensor in stored.items()}
        if len(tensors) < len(stored):
            raise ValueError(
                f"`{self.role}_weights` {self.weights!r} hold a text tower twice, once under "
                "'text.': save one of them alone."
            )
        kept = {
            name: tensor
            for name, tensor in tensors.items()
            if name.rpartition(".")[2] not in _BOOKKEEPING
        }
        if (scale := kept.get("logit_scale")) is not None and scale.numel() == 1:
            kept["logit_scale"] = scale.reshape(())
        return kept


def find_source(
    role: Literal["general", "context"],
    name: str,
    weights: str | None = None,
    activation: Activation | None = None,
    check: Callable[[OpenClipSource], object] | None = None,
) -> OpenClipSource:
    """Finds a model and its weights, and downloads them if they are not here yet.

    Args:
        role: The argument that names the model in errors.
        name: open_clip's name such as "ViT-L-14", "hf-hub:owner/repository" or "local-dir:folder".
        weights: A pretrained tag of open_clip, a local file, or "hf-hub:owner/repository/file".
            None: the weights beside the configuration, where the name is a place.
        activation: Overrides the activation of its transformers.
        check: Looks at the model when its configuration is known, but no weights; what it raises
            spares the download of gigabytes.

    Returns:
        The model, not read yet.

    Raises:
        ValueError: If the model or the weights are unknown or cannot be downloaded.
    """
    if activation not in (None, "gelu", "quick_gelu"):
        raise ValueError(f"`{role}_activation` must be 'gelu' or 'quick_gelu', got {activation!r}.")
    config, preprocessing = _find_config(role, name)
    if check is not None:
        check(OpenClipSource(role, name, weights or "", config, Path(), "not yet known"))
    tag = _tag_config(name, weights)
    file, hub_id = _find_weights(role, name, weights, tag)
    config["quick_gelu"], reason = _settle_activation(config, weights, file, tag, activation)
    normalization = preprocessing or tag
    return OpenClipSource(
        role=role,
        name=name,
        weights=weights if weights is not None and _local_file(weights) is None else file.name,
        config=config,
        file=file,
        activation_reason=reason,
        mean=tuple(normalization.get("mean") or OPENAI_CLIP_MEAN),
        std=tuple(normalization.get("std") or OPENAI_CLIP_STD),
        hub_id=hub_id,
    )


def _find_config(role: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives open_clip's configuration of the model and, where it is published, preprocessing."""
    import open_clip

    if name.startswith(HUB):
        remedy = f"'{LOCAL}' and its folder as `{role}`"
        file = download(role, name.removeprefix(HUB), CONFIG_FILE, remedy)
    elif name.startswith(LOCAL):
        file = Path(name.removeprefix(LOCAL)).expanduser() / CONFIG_FILE
        if not file.is_file():
            raise ValueError(f"`{role}` {name!r} must be a folder that holds {CONFIG_FILE}.")
    else:
        known: dict[str, Any] | None = open_clip.get_model_config(name.replace("/", "-"))
        if known is None:
            similar = [one for one in open_clip.list_models() if _alike(one) == _alike(name)]
            hint = f", such as {similar[0]!r}" if similar else ""
            raise ValueError(
                f"`{role}` must be a model of open_clip{hint}, or '{HUB}owner/repository', got "
                f"{name!r}; `python -c 'import open_clip; print(open_clip.list_models())'` lists "
                "the models."
            )
        return known, {}
    return read_open_clip_config(role, file)


def _alike(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _tag_config(name: str, weights: str | None) -> dict[str, Any]:
    import open_clip

    if weights is None:
        return {}
    tag: dict[str, Any] = open_clip.get_pretrained_cfg(name.replace("/", "-"), weights)
    return tag


def _find_weights(
    role: str, name: str, weights: str | None, tag: dict[str, Any]
) -> tuple[Path, str | None]:
    """Gives the checkpoint file, and its repository where it comes from the Hub."""
    import open_clip

    remedy = f"the file as `{role}_weights`"
    if weights is None:
        if name.startswith(HUB):
            repository = name.removeprefix(HUB)
            return download(role, repository, None, remedy), repository
        if name.startswith(LOCAL):
            return _file_beside(role, Path(name.removeprefix(LOCAL)).expanduser()), None
    elif (local := _local_file(weights)) is not None:
        return local, None
    elif weights.startswith(HUB):
        owner, _, rest = weights.removeprefix(HUB).partition("/")
        name_there, _, file = rest.partition("/")
        if not (owner and name_there and file):
            raise ValueError(
                f"`{role}_weights` must be '{HUB}owner/repository/file', got {weights!r}."
            )
        repository = f"{owner}/{name_there}"
        return download(role, repository, file, remedy), repository
    elif tag:
        published, named = open_clip_entry(tag)
        return download(role, published, named, remedy), published
    elif Path(weights).suffix or Path(weights).parent != Path():
        raise ValueError(
            f"`{role}_weights` must be a tag or a file, but no file is at {weights!r}."
        )
    tags = open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))
    raise ValueError(
        f"`{role}_weights` must be a local file or one of the tags that open_clip knows for {name} "
        f"({', '.join(tags) or 'none'}), got {weights!r}."
    )


def _local_file(weights: str) -> Path | None:
    try:
        file = Path(weights).expanduser()
        return file if file.is_file() else None
    # Too long for a name, or the home of nobody.
    except (OSError, RuntimeError):
        return None


def _file_beside(role: str, folder: Path) -> Path:
    for stem in ("open_clip_model", "open_clip_pytorch_model"):
        for suffix in (".safetensors", ".bin", ".pt"):
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    raise ValueError(
        f"`{role}_weights` must say which file holds the weights: {str(folder)!r} has no "
        "open_clip_model.safetensors or open_clip_pytorch_model.bin."
    )


def _settle_activation(
    config: dict[str, Any],
    weights: str | None,
    file: Path,
    tag: dict[str, Any],
    wanted: Activation | None,
) -> tuple[bool, str]:
    """Says whether it is QuickGELU, and why."""
    if wanted is not None:
        return wanted == "quick_gelu", "asked for"
    if config.get("quick_gelu", False):
        return True, "its configuration"
    if tag:
        return bool(tag.get("quick_gelu", False)), f"open_clip's entry of the tag {weights!r}"
    if is_torchscript(file):
        return True, "an archive of OpenAI's kind"
    for called in (file.name, file.parent.name):
        for pattern, activation, reason in _KNOWN_FILES:
            if re.match(pattern, called.lower()):
                return activation == "quick_gelu", reason
    return False, "its configuration"
