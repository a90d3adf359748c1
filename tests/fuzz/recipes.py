"""What people write: recipes, vocabularies and lists of names."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

from score_hf.evaluation.vocabulary import read_names
from score_hf.processing.prompts import build_prompts, check_class_names
from score_hf.scenes.vocabulary import class_numbers, names_of, read_vocabulary
from score_hf.training.pretraining_recipe import PRETRAINING_RECIPES, load_pretraining_recipe
from score_hf.training.recipe import load_recipe

from .damage import Strategy, as_json, damaged, damaged_json
from .target import Target

# A few lines that stand for a thousand million words.
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi")
)
# Of YAML's odder corners, to be put anywhere into a file.
YAML_PARTS = (
    b"&a ", b"*a", b"&a [*a, *a]", b"&a {x: *a}", b"<<: *a\n", b"<<: {a: 1}", b"<<: [1]", b"!!map ",
    b"!!set ", b"!!binary x", b"!!python/object/apply:os.system ['true']\n", b"!!int x",
    b"!!float .",
    b"!!timestamp 2001-99-99", b"? [a, b]\n: c\n", b"? {a: b}\n: c\n", b"? x\n", b"- ", b": ",
    b"|\n",
    b"---\n", b"...\n", b"%YAML 9.9\n", b"%TAG ! tag:x\n", b"\t", b"\x00", b"\xff\xfe", b"\x85",
    b"2001-99-99", b"0x_", b"1_0", b"1:99", b".inf", b"-.inf", b".nan", b"1e400", b"9" * 5000,
    b"'", b'"\\ud800"', b"{", b"[" * 1200, b"base: isaid\n", b"base: recipe.yaml\n", b"base: [1]\n",
    _BOMB.encode(), b"\n",
)  # fmt: skip

_RECIPE = {
    "base": "isaid",
    "steps": 100,
    "batch_size": 4,
    "ema_decay": 0.99,
    "trackers": ["tensorboard"],
    "model": {"init_from": ["tiny", "x/y"], "config": {"num_queries": 100}},
    "data": {"dataset": "mine", "split": "train", "class_names": {"ship": "ship, boat"}},
    "optimizer": {"learning_rate": 1e-4, "weight_decay": 0.05},
    "schedule": {"warmup_steps": 10, "milestones": [0.9, 0.95], "factor": 0.1},
    "evaluation": {"dataset": "mine", "every": 50, "alpha": 0.2},
}


def _recipes() -> list[bytes]:
    return [as_json(_RECIPE), b"base: isaid\nsteps: 5\noptimizer:\n  learning_rate: 1e-4\n"]


def _damaged(files: Sequence[bytes]) -> Strategy[bytes]:
    trees = [json.loads(file) for file in files if file.startswith((b"{", b"["))]
    texts = damaged(files, YAML_PARTS)
    return st.one_of(damaged_json(trees, parts=YAML_PARTS), texts) if trees else texts


def _read_recipe(content: bytes, folder: Path) -> None:
    path = folder / "recipe.yaml"
    path.write_bytes(content)
    recipe = load_recipe(path, ["steps=7", "model.config.alpha=0.1"])
    assert recipe.steps == 7
    json.dumps(recipe.as_dict())
    recipe.differences(load_recipe("isaid"))


def _read_pretraining(content: bytes, folder: Path) -> None:
    path = folder / "recipe.yaml"
    path.write_bytes(content)
    load_pretraining_recipe(path)


def _pretraining() -> list[bytes]:
    return [path.read_bytes() for path in sorted(PRETRAINING_RECIPES.glob("*.yaml"))]


_TABLE = b"""name,prompts,threshold,min_area_m2,max_area_m2,merge,color,id
ship,boat | vessel,0.4,10,5000,things,#1f77b4,1
river,,0.3,,,stuff,,2
"""
_ENTRIES = [
    "ship",
    {"name": "tank", "prompts": "oil tank", "threshold": 0.4, "color": "#1f77b4", "id": 7},
    {"name": "river", "merge": "stuff", "min_area_m2": 10},
]


def _vocabularies() -> list[tuple[str, bytes]]:
    return [
        ("csv", _TABLE),
        ("yaml", as_json(_ENTRIES)),
        ("yaml", b"- ship\n- name: tank\n  id: 4\n"),
        ("txt", b"ship, harbor; tank | oil tank\n# a comment\nriver\n"),
    ]


def _damaged_vocabularies(files: Sequence[tuple[str, bytes]]) -> Strategy[tuple[str, bytes]]:
    tables = (b",", b'"', b"\n", b"name", b"#", b"|", b"nan", b"1e999", b"9" * 400, b"x" * 200_000)
    kinds = []
    for suffix in ("csv", "yaml", "txt"):
        contents = [content for kind, content in files if kind == suffix]
        parts = YAML_PARTS if suffix == "yaml" else tables
        kinds.append(st.tuples(st.just(suffix), damaged(contents, parts)))
    trees = damaged_json([_ENTRIES], ("#123456", "stuff", 10**20), YAML_PARTS)
    return st.one_of(*kinds, st.tuples(st.just("yaml"), trees))


def _read_vocabulary(content: tuple[str, bytes], folder: Path) -> None:
    suffix, text = content
    path = folder / f"classes.{suffix}"
    path.write_bytes(text)
    classes = read_vocabulary(path)
    class_numbers(classes)
    build_prompts(check_class_names(names_of(classes), "--classes-file"))


def _read_names(content: bytes, folder: Path) -> None:
    path = folder / "prompts.txt"
    path.write_bytes(content)
    build_prompts(check_class_names(read_names(path, "--prompts"), "--prompts"))


def _names() -> list[bytes]:
    return [b"ship, harbor; tank | oil tank\nriver\n", "Schiff\r\nStraße | Weg\r\n".encode()]


def _damaged_names(files: Sequence[bytes]) -> Strategy[bytes]:
    odd = (
        b",",
        b";",
        b"|",
        b"\xef\xbb\xbf",
        b"\x00",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
        b"{}",
        b"_",
    )
    return damaged(files, (*odd, b"ship", b"\x0b", b"\x1c", b"\xc2\x85", b"x" * 3000))


TARGETS = (
    Target("recipes", _recipes, _damaged, _read_recipe),
    Target("pretraining", _pretraining, _damaged, _read_pretraining),
    Target("vocabularies", _vocabularies, _damaged_vocabularies, _read_vocabulary),
    Target("names", _names, _damaged_names, _read_names),
)
