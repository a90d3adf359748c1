"""A folder of golden numbers, read so that nothing in it can go unnoticed.

Every tensor and every entry of the manifest remembers whether a check used it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

# Entries of the JSON files that say something about the goldens and are no golden themselves.
_INFORMATION = (
    "manifest.json:seeds.*.margins.*",
    "manifest.json:seeds.*.float_noise_max_abs.*",
    "manifest.json:seeds.*.topk_gap",
    # The dense map out of vocabulary: `outvocab.pooled` checks that the last stage is pooled.
    "manifest.json:seeds.*.clip_vis_dense_equals_res5",
    "preprocess_and_schedule.json:mapper",
    # Forms of the network that every golden of it checks.
    "preprocess_and_schedule.json:configs/*.loss.DROPOUT",
    "preprocess_and_schedule.json:configs/*.loss.PRE_NORM",
    "preprocess_and_schedule.json:configs/*.norm",
    "text.json:float_scale",
    "categories.json:datasets.*.evaluator_type",
    # Ids of the annotation files; the model counts classes from 0.
    "categories.json:datasets.*.dataset_ids",
)
# The manifest also describes the set itself; these parts of it are goldens.
_GOLDEN_PARTS = (
    "manifest.json:seeds.*.cases.*",
    "manifest.json:seeds.*.train.*",
    "manifest.json:seeds.*.one_step_param_delta_norm.*",
    "manifest.json:seeds.*.fp16_rs_vs_fp32_max_abs.*",
)
# Constants of the original's training recipes, for which the project has no counterpart.
_RECIPES = tuple(
    f"preprocess_and_schedule.json:configs/*.{name}"
    for name in (
        "scheduler",
        "warmup",
        "gamma",
        "lr_at_iter",
        "amp",
        "ims_per_batch",
        "augmentation.*",
    )
)


class Tensors(Mapping[str, Tensor]):
    """The tensors of one file; floating-point ones as float32.

    Args:
        path: The safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self._tensors = load_file(path)
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.used.add(name)
        tensor = self._tensors[name]
        return tensor.float() if tensor.is_floating_point() else tensor

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def form(self, name: str) -> tuple[list[int], str]:
        """Shape and type as stored, without counting as a use."""
        tensor = self._tensors[name]
        return list(tensor.shape), str(tensor.dtype).removeprefix("torch.")

    def unused(self) -> list[str]:
        """Names that no check asked for."""
        return [name for name in self._tensors if name not in self.used]


class Entries(Mapping[str, Any]):
    """A JSON object whose entries remember whether they were read.

    Args:
        data: The object.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._used: set[str] = set()
        self._children = {
            name: Entries(value) for name, value in data.items() if isinstance(value, dict)
        }

    def __getitem__(self, name: str) -> Any:
        if name in self._children:
            return self._children[name]
        value = self._data[name]
        self._used.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def unused(self, path: str = "") -> list[str]:
        """Paths of the entries that no check read."""
        found = []
        for name in self._data:
            if name in self._children:
                found += self._children[name].unused(f"{path}{name}.")
            elif name not in self._used:
                found.append(path + name)
        return found


class GoldenSet:
    """A folder laid out like the first set of goldens, in which files may be absent.

    Args:
        folder: The folder; must hold `manifest.json`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: list[str] = []
        self._tensors: dict[str, Tensors] = {}
        self._entries: dict[str, Entries] = {}
        manifest = self.entries("manifest.json")
        if manifest is None:
            raise FileNotFoundError(f"`{folder}` holds no manifest.json: it is no set of goldens.")
        self.manifest = manifest
        self.seeds = [GoldenSeed(self, name) for name in manifest["seeds"]]

    def tensors(self, name: str) -> Tensors | None:
        """Opens a safetensors file of the folder, or notes that it is absent."""
        if name not in self._tensors and self._exists(name):
            self._tensors[name] = Tensors(self.folder / name)
        return self._tensors.get(name)

    def entries(self, name: str) -> Entries | None:
        """Opens a JSON file of the folder, or notes that it is absent."""
        if name not in self._entries and self._exists(name):
            self._entries[name] = Entries(json.loads((self.folder / name).read_text()))
        return self._entries.get(name)

    def token_embedding(self, width: int) -> dict[str, Tensor]:
        """Opens the token embedding, which sets may share: in this folder or one beside it.

        Args:
            width: Width of the text tower; embeddings of another are passed over.

        Returns:
            The one tensor, or nothing.
        """
        name = "token_embedding.safetensors"
        beside = sorted(self.folder.resolve().parent.glob(f"*/{name}"))
        first = Path(__file__).parents[2].parent / "shared" / "parity" / "A" / name
        for path in (self.folder / name, *beside, first):
            if path.is_file():
                tensors = load_file(path)
                if all(tensor.shape[-1] == width for tensor in tensors.values()):
                    return tensors
        if name not in self.absent:
            self.absent.append(name)
        return {}

    def skip(self, file: str, names: Iterable[str], reason: str) -> None:
        """Notes that tensors cannot be checked because something is absent."""
        self._tensors[file].used.update(names)
        if reason not in self.absent:
            self.absent.append(reason)

    def unchecked(self) -> list[str]:
        """Goldens of the folder that no check has used."""
        read = {*self._tensors, "token_embedding.safetensors"}
        paths = [str(p.relative_to(self.folder)) for p in self.folder.rglob("*.safetensors")]
        found = [path for path in sorted(paths) if path not in read]
        for file, tensors in self._tensors.items():
            found += [f"{file}:{name}" for name in tensors.unused()]
        return found + [
            name
            for name in self._unread()
            if not name.startswith("manifest.json:") or _matches(name, _GOLDEN_PARTS)
            if not _matches(name, (*_INFORMATION, *_RECIPES))
        ]

    def without_counterpart(self) -> list[str]:
        """Constants of the original that nothing in the project corresponds to."""
        names = [name for name in self._unread() if _matches(name, _RECIPES)]
        return list(dict.fromkeys(name.partition(".yaml.")[2] for name in names))

    def _unread(self) -> list[str]:
        return [
            f"{file}:{name}" for file, entries in self._entries.items() for name in entries.unused()
        ]

    def _exists(self, name: str) -> bool:
        exists = (self.folder / name).is_file()
        if not exists and name not in self.absent:
            self.absent.append(name)
        return exists


class GoldenSeed:
    """What the folder holds about one random model.

    Args:
        golden: The whole set.
        name: The seed, as the manifest names it.
    """

    def __init__(self, golden: GoldenSet, name: str) -> None:
        self.golden = golden
        self.name = name
        self.manifest: Entries = golden.manifest["seeds"][name]
        self.folder = name if (golden.folder / name).is_dir() else f"seed{name}"

    def tensors(self, name: str) -> Tensors | None:
        """Opens `<name>.safetensors` of this seed, or notes that it is absent."""
        return self.golden.tensors(f"{self.folder}/{name}.safetensors")

    def has(self, name: str) -> bool:
        """Whether there is `<name>.safetensors` of this seed."""
        return (self.golden.folder / self.folder / f"{name}.safetensors").is_file()

    @cached_property
    def weights(self) -> dict[str, Tensor] | None:
        """The network's weights under the original's names."""
        weights = self.tensors("weights")
        if weights is None:
            return None
        norm = "backbone.clip_model.ln_final.weight"
        if norm not in weights:
            return dict(weights)
        width = weights.form(norm)[0][0]
        return {**self.golden.token_embedding(width), **weights}

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Class names of training and of the test."""
        return self.manifest["train_class_names"], self.manifest["test_class_names"]


def unpack_masks(packed: Tensor, height: int, width: int) -> Tensor:
    """Unpacks `numpy.packbits` rows, one mask a row.

    Args:
        packed: `(masks, bytes)` uint8, the first pixel in the highest bit.
        height: Rows of a mask.
        width: Columns of a mask.

    Returns:
        `(masks, height, width)` bool.
    """
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8)
    bits = (packed.unsqueeze(-1) >> shifts) & 1
    return bits.flatten(1)[:, : height * width].view(-1, height, width).bool()


def input_images(tensors: Tensors) -> list[Tensor]:
    """The pictures of a case, `(3, height, width)` uint8 each."""
    count = sum(name.startswith("input.image") for name in tensors)
    return [tensors[f"input.image{index}"] for index in range(count)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
