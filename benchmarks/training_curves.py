"""The losses of a training as a picture.

python -m benchmarks.training_curves docs/score-tiny/training_log.jsonl -o training.svg
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .drawing import as_svg


def read_log(path: Path) -> list[dict[str, Any]]:
    """Reads the lines of a `log.jsonl` that tell losses.

    Raises:
        ValueError: If there are none.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if "loss" in line]
    if not told:
        raise ValueError(f"`log` {str(path)!r} tells no losses; is it the log.jsonl of a training?")
    return told


def draw_curves(log: list[dict[str, Any]]) -> str:
    """Draws each loss over the steps, and the learning rate.

    Args:
        log: Of [`read_log`].

    Returns:
        The SVG document.
    """
    names = [name for name in log[0] if name.startswith("loss")]
    names.append("learning_rate")
    picture = Figure(figsize=(2.4 * len(names), 2.4), layout="constrained")
    steps = [line["step"] for line in log]
    for panel, name in zip(picture.subplots(1, len(names)), names, strict=True):
        panel.plot(steps, [line[name] for line in log], linewidth=1)
        panel.set_title(name.replace("_", " "), fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    return as_svg(picture)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Draws the losses of a training.")
    parser.add_argument("log", type=Path, help="log.jsonl of the run")
    parser.add_argument("-o", "--output", type=Path, required=True, help="svg file")
    arguments = parser.parse_args()
    arguments.output.write_text(draw_curves(read_log(arguments.log)), encoding="utf-8")


if __name__ == "__main__":
    main()
