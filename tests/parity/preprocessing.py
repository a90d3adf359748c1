"""Resizing of pictures, and the constants of training and evaluation."""

import re

import torch

from score_hf import ScoreConfig, ScoreImageProcessor
from score_hf.processing.image_sizes import resized_size

from .golden import Entries, GoldenSet
from .report import Report

# The original's names and ours.
_CONFIG_FIELDS = {
    "NO_OBJECT_WEIGHT": "no_object_weight",
    "CLASS_WEIGHT": "class_weight",
    "MASK_WEIGHT": "mask_weight",
    "DICE_WEIGHT": "dice_weight",
    "TRAIN_NUM_POINTS": "num_points",
    "OVERSAMPLE_RATIO": "oversample_ratio",
    "IMPORTANCE_SAMPLE_RATIO": "importance_sample_ratio",
    "DIM_FEEDFORWARD": "intermediate_size",
    "NHEADS": "num_attention_heads",
    "HIDDEN_DIM": "hidden_size",
}


def check_preprocessing(golden: GoldenSet, report: Report) -> None:
    """Checks the resize rule, the resampler and the defaults of our configuration.

    Args:
        golden: The set.
        report: Where the outcome goes.
    """
    schedule = golden.entries("preprocess_and_schedule.json")
    if schedule is None:
        return
    with report.guard("resized size", "preprocess_and_schedule.json"):
        edges = ScoreImageProcessor().size
        for source, target in schedule["resize_table_h_w_to_h_w"]:
            size = resized_size(*source, edges.shortest_edge, edges.longest_edge)
            report.same("resized size", f"{source}", list(size), target)
    with report.guard("resized pixels", "preprocess.safetensors"):
        _check_pixels(golden, schedule, report)
    for name, values in schedule.items():
        if name.startswith("configs/"):
            with report.guard("constants", name):
                _check_constants(name, values, report)


def _check_pixels(golden: GoldenSet, schedule: Entries, report: Report) -> None:
    tensors = golden.tensors("preprocess.safetensors")
    if tensors is None:
        return
    short, long = map(int, re.findall(r"short (\d+), long max (\d+)", schedule["small_example"])[0])
    processor = ScoreImageProcessor(
        size={"shortest_edge": short, "longest_edge": long},
        do_rescale=False,
        do_normalize=False,
        do_pad=False,
    )
    for name in [name for name in tensors if name.startswith("in")]:
        ours = torch.as_tensor(processor(tensors[name])["pixel_values"][0])
        theirs = tensors[name.replace("in", "out", 1)]
        report.close("resized pixels", name, ours, theirs, 0.0)


def _check_constants(name: str, values: Entries, report: Report) -> None:
    config, processor = ScoreConfig(), ScoreImageProcessor()
    for theirs, ours in _CONFIG_FIELDS.items():
        report.same("constants", f"{name} {ours}", getattr(config, ours), values["loss"][theirs])
    # The original counts predictions, of which one comes before the first layer.
    layers = values["loss"]["DEC_LAYERS"] - 1
    report.same("constants", f"{name} layers", config.num_hidden_layers, layers)
    layers = values["enc_layers"]
    report.same("constants", f"{name} pixel layers", config.pixel_decoder_layers, layers)
    divisor = values["loss"]["SIZE_DIVISIBILITY"]
    report.same("constants", f"{name} divisor", processor.size_divisor, divisor)
    edges = [processor.size.shortest_edge, processor.size.longest_edge]
    test = values["test"]
    report.same("constants", f"{name} test size", edges, [test["min"], test["max"]])
    report.same("constants", f"{name} detections", processor.max_detections, test["dets"])
