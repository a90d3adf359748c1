"""What a training step costs beside its frozen trunks, in the straightforward form and in ours.

python -m benchmarks.training_step [--forms ours straightforward] [--phase hard] [--json FILE]

Two 512² crops with 20 objects each, all ten predictions supervised, forward and backward, by the
CPU time of one thread. Each form runs in a process of its own, on the same weights; their trunks
are cut to a block a stage and left out of the time. T is the forward pass of `open_clip`'s visual
trunk of `convnext_large_d_320` on one crop, timed before each step.
"""

import argparse
import json
import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from score_hf import ScoreConfig, ScoreForInstanceSegmentation
from score_hf.modeling.text_classifier import ScoreClassifier
from score_hf.modeling.training_step import drawn_from

from .inference import random_vocabulary
from .measure import build_yardstick, cpu_clock, seconds_of, timed_parts
from .memory import peak_memory, resident_memory
from .straightforward import straightforward_losses

FORMS = ("straightforward", "ours")
OBJECTS = 20


def build_model(phase: str, checkpointing: bool) -> ScoreForInstanceSegmentation:
    """Returns the paper's model with random weights and trunks of a block a stage."""
    sizes = ScoreConfig(text_tower=False).to_dict()
    sizes["general_config"]["depths"] = [1, 1, 1, 1]
    sizes["context_config"]["num_hidden_layers"] = 1
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(ScoreConfig.from_dict(sizes)).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    if phase == "hard":
        formation = model.region_integration.formation
        formation.calls.fill_(formation.learning_calls)
    return model


def draw_batch(images: int, size: int, classes: int) -> dict[str, Any]:
    """Returns noise to segment and rectangles to find in it."""
    chance = torch.Generator().manual_seed(0)
    mask_labels = []
    for _ in range(images):
        masks = torch.zeros(OBJECTS, size, size)
        for mask in masks:
            y, x, height, width = (torch.rand(4, generator=chance) * size / 4).long().tolist()
            mask[3 * y : 3 * y + height + 8, 3 * x : 3 * x + width + 8] = 1
        mask_labels.append(masks)
    return {
        "pixel_values": torch.randn(images, 3, size, size, generator=chance),
        "mask_labels": mask_labels,
        "class_labels": [
            torch.randint(classes, (OBJECTS,), generator=chance) for _ in range(images)
        ],
    }


class Step:
    """Repeats one form of the training step.

    Args:
        form: One of `FORMS`.
        arguments: The command line.
    """

    def __init__(self, form: str, arguments: argparse.Namespace) -> None:
        self.model = build_model(arguments.phase, arguments.checkpointing)
        self.batch = draw_batch(arguments.images, arguments.size, arguments.classes)
        width = self.model.config.projection_dim
        vocabulary = random_vocabulary(arguments.classes, width, torch.device("cpu"))
        forward = self._ours if form == "ours" else self._straightforward
        self.forward: Callable[[ScoreClassifier], Tensor] = forward
        self.vocabulary = vocabulary
        if arguments.compile and form == "ours":
            self.model.compile()

    def _ours(self, vocabulary: ScoreClassifier) -> Tensor:
        return self.model(**self.batch, classifier=vocabulary).loss

    def _straightforward(self, vocabulary: ScoreClassifier) -> Tensor:
        return straightforward_losses(self.model, classifier=vocabulary, **self.batch)[0]

    def run(self) -> dict[str, float]:
        """Makes one step; returns the CPU seconds of its parts."""
        model, decoder = self.model, self.model.pixel_decoder
        reached: list[float] = []
        hook = decoder.mask_projection.register_full_backward_pre_hook(
            lambda *_: reached.append(cpu_clock())
        )
        parts = {
            name: getattr(model, name)
            for name in ("general_trunk", "context_trunk", "pixel_decoder")
        }
        with drawn_from(1, torch.device("cpu")), timed_parts(parts, cpu_clock) as seconds:
            start = cpu_clock()
            loss = self.forward(self.vocabulary)
            forward = cpu_clock()
            loss.backward()
            end = cpu_clock()
        hook.remove()
        model.zero_grad()
        trunks = seconds["general_trunk"] + seconds["context_trunk"]
        return {
            "pixel decoder, forward": seconds["pixel_decoder"],
            "the rest, forward": forward - start - trunks - seconds["pixel_decoder"],
            "the rest, backward": reached[0] - forward,
            "pixel decoder, backward": end - reached[0],
            "whole": end - start - trunks,
        }


def serve(form: str, arguments: argparse.Namespace, connection: Connection) -> None:
    """Makes a step whenever it is asked; first says how much memory one takes, in GB."""
    torch.set_num_threads(1)
    step = Step(form, arguments)
    before = resident_memory()
    step.run()
    connection.send(peak_memory() - before)
    while connection.recv():
        connection.send(step.run())


@contextmanager
def served(form: str, arguments: argparse.Namespace) -> Iterator[Connection]:
    """Starts a process that makes steps of one form, and ends it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(form, arguments, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        with suppress(OSError):
            ours.send(False)
        process.join()


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures the forms, one after the other: two at once would need twice the memory."""
    torch.set_num_threads(1)
    trunk = build_yardstick(torch.device("cpu"))
    pixels = torch.randn(1, 3, arguments.size, arguments.size)
    units, forms = [], {}
    for form in arguments.forms:
        rows = []
        with served(form, arguments) as worker:
            memory = worker.recv()
            for _ in range(arguments.repeats):
                with torch.inference_mode():
                    unit = seconds_of(lambda: trunk.forward_features(pixels), cpu_clock)
                worker.send(True)
                rows.append({name: value / unit for name, value in worker.recv().items()})
                units.append(unit)
        times = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        forms[form] = {"multiples_of_T": times, "peak_gb": memory}
    return {
        "T_seconds": statistics.median(units),
        "T_spread": (max(units) - min(units)) / statistics.median(units),
        "forms": forms,
        **{name: value for name, value in vars(arguments).items() if name not in ("json", "forms")},
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the figures as a table, with shares of the first form."""
    noisy = " (noisy)" if figures["T_spread"] > 0.2 else ""
    print(f"T = {figures['T_seconds']:.2f} CPU s, spread {figures['T_spread']:.0%}{noisy}")
    forms = figures["forms"]
    print(f"{'':26}" + "".join(f"{form:>20}" for form in forms))
    first = next(iter(forms.values()))
    rows = {
        f"{name}, T": [form["multiples_of_T"][name] for form in forms.values()]
        for name in first["multiples_of_T"]
    }
    rows["peak of one step, GB"] = [form["peak_gb"] for form in forms.values()]
    for name, values in rows.items():
        print(f"{name:26}" + "".join(f"{v:10.2f} {v / values[0]:8.0%} " for v in values))


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument(
        "--phase",
        choices=("hard", "soft"),
        default="hard",
        help="soft: the first 25 steps of a training, in which the kernel is learned",
    )
    parser.add_argument("--images", type=int, default=2, help="crops in the batch")
    parser.add_argument("--size", type=int, default=512, help="side of a crop, pixels")
    parser.add_argument("--classes", type=int, default=20, help="classes, encoded beforehand")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each figure")
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations (ours)")
    parser.add_argument("--compile", action="store_true", help="compile our forward pass")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    figures = run(arguments)
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
