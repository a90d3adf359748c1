"""Inference: every intermediate tensor of the cases, from pixels to the ensemble's scores."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from score_hf import ScoreClassifier, ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.modeling.modeling_score import ScoreForInstanceSegmentationOutput

from .golden import Entries, GoldenSeed, Tensors, input_images
from .recorder import Recorder
from .report import Report
from .results import check_results
from .text import original_seen
from .tolerances import HALF_PRECISION, LARGEST_NOISE, LEAST_NOISE, value_tolerance

# Rows of the table, in the order of the data flow, and the goldens that belong to them.
_GROUPS = (
    ("padded, normalised input", r"input\.padded_normalised\."),
    ("context trunk: resized input", r"input\.rs_\d+\."),
    ("general trunk: stages", r"backbone\."),
    ("context trunk: [CLS] and patches", r"rs\."),
    ("classifier", r"text\.(train_)?classifier$"),
    ("global context adaptation", r"text\.(gca_input|after_gca|in_vocab|out_vocab)"),
    ("pixel decoder", r"pixel\."),
    ("mask decoder: queries", r"dec\.\d+\.normed_query$"),
    ("mask decoder: masks", r"(dec\.\d+\.pred_masks|head\.\d+\.mask_embed)$"),
    ("class embeddings", r"head\.\d+\.(maskpool_\w+|class_embed)$"),
    ("region-aware integration", r"(head|dec)\.\d+\.(expanded_mask|rs_pooled|rai_in|rai_out)$"),
    ("in-vocabulary logits", r"dec\.\d+\.pred_logits$"),
    ("out-of-vocabulary features, logits", r"outvocab\."),
    ("ensemble", r"final\."),
)
_CROP = re.compile(r"(?P<name>input\.\w+)\.image(?P<image>\d+)(_channel(?P<channel>\d+))?$")


@dataclass
class Case:
    """One forward pass beside its goldens.

    Args:
        name: Seed and case, for the table.
        golden: Its goldens.
        values: What our network computed, under the goldens' names.
    """

    name: str
    golden: Tensors
    values: dict[str, Tensor]

    def value(self, name: str) -> Tensor | None:
        """Ours of a golden, cut to what the golden shows; None if nothing is known under it."""
        crop = _CROP.match(name)
        if crop is None or crop["name"] not in self.values:
            return self.values.get(name)
        image = int(crop["image"])
        value = self.values[crop["name"]][image : image + 1]
        channel = crop["channel"]
        return value if channel is None else value[:, int(channel) : int(channel) + 1]


def check_inference(
    seed: GoldenSeed,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    report: Report,
) -> None:
    """Checks all cases of a seed, at every stage and output size.

    Args:
        seed: The seed.
        model: Its network.
        processor: Its processor.
        report: Where the outcome goes.
    """
    for name, entries in seed.manifest["cases"].items():
        golden = seed.tensors(f"case_{name}")
        if golden is None:
            continue
        place = f"seed {seed.name} {name}"
        check_forms(place, golden, entries, seed, report)
        with report.guard("inference runs", place):
            values, outputs = _run(seed, golden, model, processor)
            case = Case(place, golden, values)
            _check_class_ids(case, entries, processor, seed, report)
            noise = entries.get("float_noise_max_abs")
            compare_values(case, noise, report)
            if "fixed_kernel_size" in entries:
                size = int(values["kernel_size"])
                report.same("chosen kernel size", place, size, entries["fixed_kernel_size"])
            check_results(place, golden, entries, outputs, processor, report)
            _check_half_precision(seed, name, case, report)


def compare_values(case: Case, noise: Entries | None, report: Report, prefix: str = "") -> None:
    """Compares every golden that the recorder knows.

    Args:
        case: The forward pass.
        noise: The noise that was recorded, by golden.
        report: Where the outcome goes.
        prefix: Put before the names of the rows.
    """
    for group, pattern in _GROUPS:
        for name in sorted(filter(re.compile(pattern).match, case.golden)):
            ours = case.value(name)
            if ours is not None:
                expected, at = case.golden[name], f"{case.name} {name}"
                recorded = None if noise is None else noise.get(name)
                tolerance = value_tolerance(expected, recorded)
                report.close(prefix + group, at, ours, expected, tolerance)
                if recorded is not None and ours.shape == expected.shape:
                    error = float((ours - expected).abs().max()) / max(recorded, LEAST_NOISE)
                    report.number("all values / original's noise", at, error, LARGEST_NOISE)


def classifier_of(
    seed: GoldenSeed,
    names: list[str],
    golden: Tensor,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
) -> ScoreClassifier:
    """Encodes class names; where the text tower is absent, takes the original's embeddings."""
    prompts = processor.tokenize_classes(names)
    if model.config.text_tower:
        return model.build_classifier(**prompts)
    absent = f"text tower of seed {seed.name}: the goldens' class embeddings are used"
    if absent not in seed.golden.absent:
        seed.golden.absent.append(absent)
    return ScoreClassifier(
        embeddings=golden, class_ids=prompts["class_ids"], seen_classes=prompts["seen_classes"]
    )


def check_forms(
    place: str, golden: Tensors, entries: Entries, seed: GoldenSeed, report: Report
) -> None:
    """Compares the tensors of a file with the manifest's list of them."""
    for name, (shape, kind) in entries.get("tensors", Entries({})).items():
        if name in golden:
            report.same("files as the manifest lists them", place, golden.form(name), (shape, kind))
        else:
            seed.golden.absent.append(f"{place} {name}")


def _run(
    seed: GoldenSeed,
    golden: Tensors,
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
) -> tuple[dict[str, Tensor], ScoreForInstanceSegmentationOutput]:
    classifier = classifier_of(seed, seed.names[1], golden["text.classifier"], model, processor)
    # Where we strip blanks and the original does not, its answer: here the network is checked.
    classifier.seen_classes = original_seen(seed)
    features = processor(images=input_images(golden), return_tensors="pt")
    with torch.no_grad(), Recorder(model) as recorder:
        outputs = model(**features, classifier=classifier, output_auxiliary_logits=True)
    values = recorder.values()
    values["input.padded_normalised"] = features["pixel_values"]
    if model.config.text_tower:
        values["text.classifier"] = classifier.embeddings
    values["outvocab.logits"] = outputs.out_of_vocabulary_logits
    values["final.mask_cls"] = outputs.class_queries_logits
    for index, (logits, masks) in enumerate(
        zip(outputs.auxiliary_class_logits, outputs.auxiliary_mask_logits, strict=True)
    ):
        values[f"dec.{index}.pred_logits"] = logits
        values[f"dec.{index}.pred_masks"] = masks
    values["kernel_size"] = torch.tensor(recorder.kernel_size())
    return values, outputs


def _check_class_ids(
    case: Case, entries: Entries, processor: ScoreProcessor, seed: GoldenSeed, report: Report
) -> None:
    ids = processor.tokenize_classes(seed.names[1])["class_ids"]
    synonyms = entries.get("num_templates")
    if synonyms is not None:
        report.same("classes: synonyms", case.name, ids.bincount().tolist(), synonyms)


def _check_half_precision(seed: GoldenSeed, name: str, case: Case, report: Report) -> None:
    """The original with its context trunk in half precision: a bound, and how large it said."""
    golden = seed.tensors(f"fp16_rs_{name}") if seed.has(f"fp16_rs_{name}") else None
    if golden is None:
        return
    effects = seed.manifest.get("fp16_rs_vs_fp32_max_abs", Entries({}))
    for key in golden:
        ours, theirs = case.value(key), golden[key]
        if ours is None:
            continue
        tolerance = value_tolerance(theirs)
        effect = effects.get(key)
        bound = HALF_PRECISION if effect is None else max(HALF_PRECISION, effect)
        place = f"{case.name} {key}"
        report.close("half-precision context: bound", place, ours, theirs, bound + tolerance)
        if effect is not None:
            measured = float((ours - theirs).abs().max())
            allowed = float(tolerance.max())
            report.number("half-precision context: effect", place, abs(measured - effect), allowed)
