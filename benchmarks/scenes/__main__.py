"""Whole scenes: how objects survive being seen in tiles, and what it costs.

python -m benchmarks.scenes [--methods score_hf,sahi,...] [--side 4096] [--json FILE]
python -m benchmarks.scenes --memory [--sides 4096,16384,32768] [--json FILE]
python -m benchmarks.scenes --model [--side 4096] [--folder DIR] [--json FILE]

The first table is the four-class scene, seen by a perfect and by a noisy predictor, put together by
this package and by SAHI and supervision where they are installed. Each run has a process of its
own, so that its peak of memory is its own. With --memory, drawn scenes of growing size go all the
way from a GeoTIFF to a GeoPackage. With --model, the default model segments a drawn GeoTIFF whose
objects are known.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..memory import forget_peak, peak_memory
from .four_classes import CLASSES, SIDE


def measure(method: str, predictor: str, side: int) -> dict[str, Any]:
    """Runs one method in this process."""
    from . import predictors
    from .four_classes import draw
    from .methods import METHODS
    from .scoring import score

    objects = draw(side)
    kind = {"perfect": predictors.Perfect, "noisy": predictors.Noisy}[predictor](objects, side)
    picture = predictors.picture_of_places(side)
    before = forget_peak()
    start = time.perf_counter()
    found = METHODS[method](picture, kind)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "gigabytes": peak_memory() - before,
        "classes": score(objects, found),
    }


def in_a_process(*arguments: str, limit: float | None = None) -> dict[str, Any] | None:
    """Runs one measurement in a process of its own; None where it fails or takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scenes", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        print(f"  {' '.join(arguments)}: not done after {limit:.0f} s", flush=True)
        return None
    if done.returncode:
        print(f"  {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def print_methods(methods: list[str], side: int, limit: float) -> dict[str, Any]:
    """Measures and prints the comparison."""
    results: dict[str, Any] = {}
    for predictor in ("perfect", "noisy"):
        print(f"\n{predictor} predictor: F1 at mask IoU 0.75 (found of true, duplicates)")
        for method in methods:
            result = in_a_process(
                "--run", method, "--predictor", predictor, "--side", str(side), limit=limit
            )
            if result is None:
                continue
            results[f"{method}, {predictor}"] = result
            cells = [
                f"{name} {one['f1']:.3f} ({one['found']} of {one['true']}, {one['duplicates']})"
                for name, one in ((name, result["classes"][name]) for name in CLASSES)
            ]
            cost = f"{result['seconds']:6.1f} s {result['gigabytes']:6.2f} GB"
            print(f"  {method:24s}{cost}  {'  '.join(cells)}", flush=True)
    return results


def print_memory(sides: list[int]) -> dict[str, Any]:
    """Measures and prints peaks of memory from file to file."""
    results: dict[str, Any] = {}
    print("\nGeoTIFF to GeoPackage with a cheap predictor")
    for side in sides:
        result = in_a_process("--whole", str(side))
        if result is None:
            continue
        results[str(side)] = result
        print(
            f"  {side:6d}^2  {result['tiles']:5d} tiles  {result['objects']:7d} objects  "
            f"tiles {result['tile_seconds']:6.1f} s  stitching and writing "
            f"{result['stitch_seconds']:6.1f} s  peak {result['gigabytes']:5.2f} GB",
            flush=True,
        )
    return results


def print_model(side: int, folder: Path | None) -> dict[str, Any]:
    """Measures and prints the default model on a drawn scene."""
    from .default_model import measure_model

    with tempfile.TemporaryDirectory() as temporary:
        results = measure_model(side, folder or Path(temporary))
    tiles, stitching = results["tile_seconds"], results["stitch_seconds"]
    print(f"\ndefault model, {side}^2, {results['objects']} objects, {results['tiles']} tiles")
    print(f"  CPU: tiles {tiles:.0f} s, stitching and writing {stitching:.1f} s")
    for method, one in results["methods"].items():
        print(f"  {method:36s} AP {one['ap']:.3f}  AP50 {one['ap50']:.3f}  {one['found']} found")
    return results


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", help="Separated by commas; all without it.")
    parser.add_argument("--side", type=int, default=SIDE, help="Of the four-class scene.")
    parser.add_argument("--limit", type=float, default=900, help="Seconds for one method.")
    parser.add_argument("--memory", action="store_true", help="Measure memory instead.")
    parser.add_argument("--sides", default="4096,16384,32768", help="Scenes of --memory.")
    parser.add_argument("--model", action="store_true", help="Measure the default model instead.")
    parser.add_argument("--folder", type=Path, help="Where --model keeps what it has done.")
    parser.add_argument("--json", type=Path, help="Where to write the figures.")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--predictor", help=argparse.SUPPRESS)
    parser.add_argument("--whole", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(measure(arguments.run, arguments.predictor, arguments.side)))
        return
    if arguments.whole:
        from .whole_scene import measure_whole

        print(json.dumps(measure_whole(arguments.whole)))
        return
    if arguments.model:
        results = print_model(arguments.side, arguments.folder)
    elif arguments.memory:
        results = print_memory([int(side) for side in arguments.sides.split(",")])
    else:
        from .methods import METHODS

        names = arguments.methods.split(",") if arguments.methods else list(METHODS)
        results = print_methods(names, arguments.side, arguments.limit)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
