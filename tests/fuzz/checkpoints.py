"""Weights of strangers: torch.save, TorchScript, safetensors, and what lies beside them."""

import json
import pickle
import zipfile
from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save

from score_hf.conversion.detectron2.extras import EXTRAS_FILE, OriginalExtras
from score_hf.conversion.detectron2.recipe import read_recipe
from score_hf.conversion.detectron2.settings import ModelSettings
from score_hf.conversion.open_clip.config_file import read_open_clip_config
from score_hf.conversion.reading.checkpoint_files import read_tensors
from score_hf.conversion.reading.usable_weights import check_weights, separate

from .damage import Strategy, as_json, damaged, damaged_json, damaged_tree, damaged_zip
from .hostile import OPCODES, Runs
from .recipes import YAML_PARTS
from .target import Target


def _state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(6, 4, generator=generator)
    return {
        "module.a.weight": shared,
        "module.a.bias": shared[0],
        "module.b.weight": shared.t().half(),
        "module.b.steps": torch.tensor(3),
    }


def _saved(content: Any, **options: Any) -> bytes:
    stream = BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


class _Module(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self.register_buffer("steps", torch.arange(4))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.inner(values)


@cache
def _torchscript() -> bytes:
    stream = BytesIO()
    torch.jit.save(torch.jit.script(_Module()), stream)
    return stream.getvalue()


def _around(content: bytes, name: str = "model.pth") -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"__MACOSX/{name}", b"x")
        archive.writestr(name, content)
    return stream.getvalue()


def _checkpoints() -> list[bytes]:
    state = _state()
    wrapped = {
        "state_dict": {**state, "c": np.ones((2, 3))}, "epoch": 3, "args": Namespace(rate=1e-4),
        "loss": np.float64(0.5),
    }  # fmt: skip
    plain = _saved(state)
    return [
        plain,
        _saved(wrapped),
        _saved(state, _use_new_zipfile_serialization=False),
        save({name: tensor.clone().contiguous() for name, tensor in state.items()}),
        _torchscript(),
        _around(plain),
    ]


def _damaged_checkpoints(files: Sequence[bytes]) -> Strategy[bytes]:
    zips = [file for file in files if file.startswith(b"PK")]
    hostile = [_saved({"a": torch.ones(2), "x": runs}) for runs in Runs.all()]
    pickles = [pickle.dumps({"model": {"a": np.ones(3)}}, protocol) for protocol in (0, 2, 4)]
    expanded = [_saved({"a": torch.ones(1).expand(1 << bits)}) for bits in (20, 33, 45)]
    # A tree of safetensors' header, in front of the same numbers.
    safe = next(file for file in files if file[8:9] == b"{")
    length = int.from_bytes(safe[:8], "little")
    header, numbers = json.loads(safe[8 : 8 + length]), safe[8 + length :]

    def with_header(tree: Any) -> bytes:
        text = as_json(tree)
        return len(text).to_bytes(8, "little") + text + numbers

    return st.one_of(
        damaged([*files, *hostile, *pickles], OPCODES),
        damaged_zip([*zips, *hostile, *expanded], lambda parts: damaged(parts, OPCODES)),
        damaged_zip([*zips, *hostile], lambda parts: damaged(parts, OPCODES)).map(_around),
        damaged_tree([header], may_be_deep=False).map(with_header),
        st.sampled_from([*hostile, *expanded]),
    )


def _read_checkpoint(content: bytes, folder: Path) -> None:
    path = folder / "model.pth"
    # Tensors may still be mapped from the file before.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    tensors = read_tensors(path)
    floats = {name: one for name, one in tensors.items() if one.is_floating_point()}
    check_weights(str(path), floats)
    separate(tensors)


def _extras() -> list[bytes]:
    types = json.dumps({"a": "float16", "b": "bfloat16"})
    return [save({"criterion.weight": torch.ones(3)}, {"format": "pt", "types": types})]


def _read_extras(content: bytes, folder: Path) -> None:
    path = folder / EXTRAS_FILE
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    OriginalExtras.load(folder)


def _damaged_extras(files: Sequence[bytes]) -> Strategy[bytes]:
    others = (b"\\u", b"[]", b"{}", b'{\\"a\\": []}', b"null", b"[" * 2000)
    texts = damaged_tree([{"a": "float16"}], may_be_deep=False).map(json.dumps)
    return st.one_of(
        damaged(files, others),
        texts.map(
            lambda text: save({"a": torch.ones(2)}, {"types": text.encode("ascii").decode()})
        ),
    )


def _recipes() -> list[bytes]:
    model = {
        "MASK_FORMER": {"NHEADS": 8, "NUM_OBJECT_QUERIES": 250, "TEST": {"SEMANTIC_ON": True}},
        "FC_CLIP": {"GEOMETRIC_ENSEMBLE_ALPHA": 0.4, "CLIP_MODEL_NAME": "convnext_large_d_320"},
        "SEM_SEG_HEAD": {"NUM_CLASSES": 133},
    }
    tree = {"MODEL": model, "DATASETS": {"TRAIN": "('openvocab_isaid_train',)"}, "VERSION": 2}
    return [as_json(tree), b"_BASE_: other.yaml\nMODEL:\n  SCORE: {ALPHA: 0.2}\n"]


def _damaged_recipes(files: Sequence[bytes]) -> Strategy[bytes]:
    return st.one_of(
        damaged_json([json.loads(files[0])], ("(1, 2", "(" * 300, "(1,)"), YAML_PARTS),
        damaged(files, YAML_PARTS),
    )


def _read_recipe(content: bytes, folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_bytes(content)
    recipe = read_recipe(path)
    recipe.training_set()
    recipe.get("DATASETS.TRAIN")
    recipe.whole_number("MODEL.MASK_FORMER.NHEADS")
    recipe.own_number("GEOMETRIC_ENSEMBLE_ALPHA")


def _settings() -> list[Any]:
    fields = {
        "config": {"hidden_size": 256, "num_queries": 250, "untrained_parts": ["mask_decoder"]},
        "processor": {"image_processor": {"size": {"shortest_edge": 512, "longest_edge": 800}}},
        "kernel": {"region_integration.formation.calls": 2500},
        "untrained": "abc",
        "weight_sources": [{"name": "CLIP"}],
    }
    return [as_json(fields)]


def _read_settings(content: bytes, folder: Path) -> None:
    path = folder / "settings.json"
    path.write_bytes(content)
    ModelSettings.load(path).make_config({})


def _open_clip() -> list[bytes]:
    vision = {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14}
    text = {"context_length": 77, "vocab_size": 49408, "width": 768, "heads": 12, "layers": 12}
    tree = {
        "model_cfg": {"embed_dim": 768, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
    }
    return [as_json(tree)]


def _read_open_clip(content: bytes, folder: Path) -> None:
    path = folder / "open_clip_config.json"
    path.write_bytes(content)
    read_open_clip_config("general", path)


def _as_damaged_json(files: Sequence[bytes]) -> Strategy[bytes]:
    return damaged_json([json.loads(file) for file in files])


TARGETS = (
    Target("checkpoints", _checkpoints, _damaged_checkpoints, _read_checkpoint),
    Target("extras", _extras, _damaged_extras, _read_extras),
    Target("detectron2", _recipes, _damaged_recipes, _read_recipe),
    Target("settings", _settings, _as_damaged_json, _read_settings),
    Target("open_clip", _open_clip, _as_damaged_json, _read_open_clip),
)
