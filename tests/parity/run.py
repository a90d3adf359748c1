"""All checks of a folder, in the order of the data flow."""

from pathlib import Path

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor

from .empty_images import check_empty_images
from .golden import GoldenSeed, GoldenSet
from .inference import check_inference
from .network import build_model, build_processor, read_tokenizer
from .optimizer import check_optimizer, check_recipes
from .preprocessing import check_preprocessing
from .report import Report
from .text import check_names, check_text
from .training import check_training


def check_folder(folder: Path, converted: Path | None = None) -> Report:
    """Checks every golden of a folder.

    Args:
        folder: Laid out like the first set; files may be absent.
        converted: Models to check in place of the folder's weights; see `build_model`.

    Returns:
        What was found. Whatever lies in the folder and was not checked counts as a failure.
    """
    golden, report = GoldenSet(folder), Report()
    with report.guard("preprocessing", "whole"):
        check_preprocessing(golden, report)
    with report.guard("names", "whole"):
        check_names(golden, report)
    models = {}
    for seed in golden.seeds:
        if seed.weights is not None:
            with report.guard("weights", f"seed {seed.name}"):
                models[seed.name] = build_model(seed, converted)
    with report.guard("text", "whole"):
        tokenizer = read_tokenizer(golden.seeds[0], converted)
        check_text(golden, models, tokenizer, report)
    for seed in golden.seeds:
        if seed.name in models:
            with report.guard("network", f"seed {seed.name}"):
                processor = build_processor(seed, converted)
                _check_network(seed, models[seed.name], processor, report)
    recipes = golden.entries("preprocess_and_schedule.json")
    if recipes is not None:
        with report.guard("optimiser: recipe", "whole"):
            check_recipes(recipes, golden.seeds, report)
    report.absent = golden.absent
    report.without_counterpart = golden.without_counterpart()
    for name in golden.unchecked():
        report.complain("unchecked keys", name, "no check used it")
    return report


def _check_network(
    seed: GoldenSeed,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    report: Report,
) -> None:
    check_inference(seed, model, processor, report)
    steps = check_training(seed, model, processor, report)
    check_empty_images(seed, model, processor, report)
    hard = [step for name, step in steps.items() if seed.manifest["train"][name]["phase"] == "hard"]
    if hard and "optimizer_groups" in seed.manifest:
        check_optimizer(seed, model, hard[0], report)
