"""Cuts a small set out of a folder of goldens: `python -m tests.parity.subset FROM TO SEED CASE`.

`tests/fixtures/parity` was made so. What it leaves out is large: the text tower, masks of training,
and other cases.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

_LEFT_OUT = {
    "weights": r"backbone\.clip_model\.(?!visual|logit_scale)|clip_rs\.clip_model\.(?!visual)",
    "train": r"dec\.\d+\.(pred_masks|expanded_mask)$|points\.\d+\.final$",
    "text": r"embeddings",
    "preprocess": r"(in|out)1$",
}


def cut(source: Path, target: Path, seed: str, case: str) -> None:
    """Writes the small set.

    Args:
        source: A folder of goldens.
        target: The folder to make.
        seed: The seed that is kept.
        case: The case that is kept.
    """
    folder = f"seed{seed}"
    (target / folder).mkdir(parents=True)
    names = ("weights", f"case_{case}", "train_soft", "train_hard", "optim_one_step")
    for name in (*(f"{folder}/{name}" for name in names), "text", "preprocess"):
        kind = name.rpartition("/")[2].partition("_")[0]
        tensors = load_file(source / f"{name}.safetensors")
        left_out = re.compile(_LEFT_OUT.get(kind, r"(?!)"))
        kept = {key: tensor for key, tensor in tensors.items() if not left_out.match(key)}
        save_file(kept, target / f"{name}.safetensors")
    for name in ("text", "categories", "preprocess_and_schedule"):
        _write(target / f"{name}.json", json.loads((source / f"{name}.json").read_text()))

    manifest = json.loads((source / "manifest.json").read_text())
    entry = manifest["seeds"][seed]
    entry["cases"] = {case: entry["cases"][case]}
    for part in entry["train"].values():
        if "tensors" in part:
            left_out = re.compile(_LEFT_OUT["train"])
            part["tensors"] = {k: v for k, v in part["tensors"].items() if not left_out.match(k)}
    manifest["seeds"] = {seed: entry}
    _write(target / "manifest.json", manifest)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("seed")
    parser.add_argument("case")
    arguments = parser.parse_args()
    cut(arguments.source, arguments.target, arguments.seed, arguments.case)
