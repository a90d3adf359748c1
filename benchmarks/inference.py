"""How long one image takes, as multiples of its own general trunk's forward pass.

python -m benchmarks.inference [--size 512] [--dtype float32] [--peers] [--json FILE]

The yardstick T is `open_clip`'s visual trunk of `convnext_large_d_320` on the same input, timed in
the same run in float32: a shared machine slows both alike. Weights are random; they do not change
the time of a forward pass, and the threshold keeps as many masks as a full picture would.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from score_hf import ScoreConfig, ScoreForInstanceSegmentation, ScoreImageProcessor
from score_hf.drawn_scenes import draw_scene
from score_hf.modeling.text_classifier import ScoreClassifier

from .measure import (
    build_yardstick,
    cpu_clock,
    device_peak,
    seconds_of,
    timed_parts,
    wall_clock,
)
from .memory import peak_memory
from .peers import PEERS, measure_peer

PARTS = (
    "general_trunk",
    "context_trunk",
    "pixel_decoder",
    "mask_decoder",
    "class_head",
    "region_integration",
)


def build_model(dtype: str, device: torch.device, text_tower: bool) -> Any:
    """Returns the paper's model with random weights."""
    config = ScoreConfig(text_tower=text_tower)
    lowered = dtype == "bfloat16-trunks"
    weights = torch.float32 if lowered else getattr(torch, dtype)
    with torch.device(device):
        model = ScoreForInstanceSegmentation._from_config(config, dtype=weights).eval()
    if lowered:
        model.lower_trunk_precision()
    return model


def random_vocabulary(classes: int, width: int, device: torch.device) -> ScoreClassifier:
    """Returns an encoded vocabulary of random directions."""
    rows = torch.nn.functional.normalize(torch.randn(classes, width, device=device), dim=-1)
    return ScoreClassifier(
        embeddings=rows,
        class_ids=torch.arange(classes, device=device),
        seen_classes=torch.ones(classes, dtype=torch.bool, device=device),
    )


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures everything and returns the figures: medians of ratios within each repeat."""
    device = torch.device(arguments.device)
    clock = wall_clock
    if arguments.cpu_time:
        torch.set_num_threads(1)
        clock = cpu_clock
    imported = peak_memory()
    processor = ScoreImageProcessor()
    images = [draw_scene(7, arguments.size).image] * arguments.batch
    model = build_model(arguments.dtype, device, not arguments.without_text_tower)
    vocabulary = random_vocabulary(arguments.classes, model.config.projection_dim, device)
    if arguments.compile:
        model.compile()
    loaded = peak_memory()
    parts = {name: getattr(model, name) for name in PARTS}

    def segment() -> dict[str, float]:
        """Seconds an image of each part, of the whole and of what lies after the model."""
        with timed_parts(parts, clock) as seconds:
            start = clock()
            # Equal sizes: no mask, with which each image would be computed alone.
            inputs = processor(images, return_tensors="pt").to(device)
            outputs = model(inputs["pixel_values"], classifier=vocabulary)
            modelled = clock()
            processor.post_process_instance_segmentation(
                outputs,
                threshold=0.0,
                target_sizes=[image.size[::-1] for image in images],
                return_rle=True,
            )
            end = clock()
        trunks = seconds["general_trunk"] + seconds["context_trunk"]
        whole = {
            "whole": end - start,
            **{name: seconds[name] for name in parts},
            "post-processing": end - modelled,
            "outside the trunks": end - start - trunks,
        }
        return {name: value / arguments.batch for name, value in whole.items()}

    segment()
    peak = peak_memory()
    pixel_values = processor(images[0], return_tensors="pt").to(device)["pixel_values"]
    trunk = build_yardstick(device)
    trunk.forward_features(pixel_values)
    units, rows = [], []
    for _ in range(arguments.repeats):
        unit = seconds_of(lambda: trunk.forward_features(pixel_values), clock)
        units.append(unit)
        rows.append({name: value / unit for name, value in segment().items()})
    return {
        "T_seconds": statistics.median(units),
        "T_spread": (max(units) - min(units)) / statistics.median(units),
        "multiples_of_T": {name: statistics.median(row[name] for row in rows) for name in rows[0]},
        "memory_after_imports_gb": imported,
        "weights_gb": loaded - imported,
        "peak_above_imports_gb": peak - imported,
        "device_peak_gb": device_peak(),
        "threads": torch.get_num_threads(),
        "dtype": arguments.dtype,
        "size": arguments.size,
        "batch": arguments.batch,
        "compiled": arguments.compile,
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the figures as a table."""
    noisy = " (noisy)" if figures["T_spread"] > 0.2 else ""
    print(f"T = {figures['T_seconds']:.3f} s on {figures['threads']} threads,", end=" ")
    print(f"spread {figures['T_spread']:.0%}{noisy}")
    for name, value in figures["multiples_of_T"].items():
        print(f"{name:24}{value:8.2f} T")
    print(f"{'peak above imports':24}{figures['peak_above_imports_gb']:8.2f} GB")
    for name, peer in figures.get("peers", {}).items():
        print(f"{name:24}{peer['whole']:8.2f} T{peer['peak_above_imports_gb']:8.2f} GB")


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="side of the image, pixels")
    parser.add_argument("--classes", type=int, default=20, help="classes, encoded beforehand")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16-trunks", "bfloat16", "float16")
    )
    parser.add_argument("--batch", type=int, default=1, help="images at once; figures are for one")
    parser.add_argument("--compile", action="store_true", help="compile the forward pass")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each figure")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="work of one CPU thread instead of wall time: steadier where others use the machine",
    )
    parser.add_argument("--without-text-tower", action="store_true", help="drop the text tower")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        default=(),
        help="also time models of Transformers once, in float32 on the CPU: SAM 3 takes minutes",
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    peers = PEERS if arguments.peers == [] else arguments.peers
    figures = run(arguments)
    if peers:
        figures["peers"] = {
            name: measure_peer(name, arguments.size, arguments.classes, arguments.cpu_time)
            for name in peers
        }
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
