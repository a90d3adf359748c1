"""Names and prompts: cleaning, templates, seen classes, token ids, text embeddings."""

import html
from collections.abc import Sequence

import ftfy
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from score_hf import ScoreForInstanceSegmentation
from score_hf.processing.processing_score import MAX_TOKENS
from score_hf.processing.prompts import (
    TEMPLATES,
    build_prompts,
    find_seen_classes,
    split_synonyms,
)

from .golden import Entries, GoldenSeed, GoldenSet
from .report import Report
from .tolerances import value_tolerance

_STRIPPED = (
    "blanks around synonyms are stripped, so that 'ship ' is 'ship' (the original keeps them)"
)
_PADDED = "prompts are padded with the end token's id, not 0 (without effect: attention is causal)"
_CLEANED = (
    "the tokenizer takes text literally: no HTML entities are decoded, no encoding is repaired, "
    "and a literal <|endoftext|> ends the text"
)


def check_names(golden: GoldenSet, report: Report) -> None:
    """Checks how class names are cleaned, written into prompts and looked up.

    Args:
        golden: The set.
        report: Where the outcome goes.
    """
    for seed in golden.seeds:
        train, test = seed.names
        with report.guard("names: seen classes", f"seed {seed.name}"):
            mask = seed.manifest["category_overlapping_mask"]
            _check_seen(f"seed {seed.name}", test, train, mask, report)
            counts = [len(split_synonyms(name)) for name in test]
            golden_counts = seed.manifest["test_num_templates"]
            report.same("names: synonyms", f"seed {seed.name}", counts, golden_counts)
    categories = golden.entries("categories.json")
    if categories is None:
        return
    with report.guard("names: synonyms", "categories.json"):
        for name, dataset in categories["datasets"].items():
            _check_dataset(name, dataset, report)
        for name, pair in categories["pairs"].items():
            train, test = (categories["datasets"][part]["raw"] for part in name.split("->"))
            _check_seen(name, test, train, pair["overlap_mask"], report)
            listed = [raw for raw, seen in zip(test, pair["overlap_mask"], strict=True) if seen]
            report.same("names: seen classes", name, listed, pair["seen"])
        if "synonym_example" in categories:
            _check_synonyms(categories["synonym_example"], report)


def check_text(
    golden: GoldenSet,
    models: dict[str, ScoreForInstanceSegmentation],
    tokenizer: CLIPTokenizer,
    report: Report,
) -> None:
    """Checks templates, token ids and embeddings of single prompts.

    Args:
        golden: The set.
        models: The network of each seed, by name.
        tokenizer: CLIP's tokenizer.
        report: Where the outcome goes.
    """
    texts, tensors = golden.entries("text.json"), golden.tensors("text.safetensors")
    if texts is None or tensors is None:
        return
    report.same("prompts: templates", "text.json", list(TEMPLATES), texts["templates_order"])
    report.same("prompts: templates", "length", MAX_TOKENS, texts["context_length"])
    for strings, name in (("prompts", "tokens"), ("odd_strings", "tokens_odd")):
        if name in tensors:
            _check_tokens(texts[strings], tensors[name], tokenizer, report)
    model = models.get(texts["weights"].removeprefix("seed"))
    if model is None or not model.config.text_tower:
        reason = "text tower: embeddings of single prompts are not checked"
        golden.skip("text.safetensors", ["embeddings_unnormalised"], reason)
        return
    prompts = tokenizer(texts["prompts"], padding=True, return_tensors="pt")
    with torch.no_grad():
        ours = model.text_tower(**prompts).text_embeds
    expected = tensors["embeddings_unnormalised"]
    report.close("text tower", "text.safetensors", ours, expected, value_tolerance(expected))


def _check_dataset(name: str, dataset: Entries, report: Report) -> None:
    raw = dataset["raw"]
    ours, theirs = [split_synonyms(one) for one in raw], dataset["cleaned"]
    if ours != theirs and ours == [[one.strip() for one in names] for names in theirs]:
        report.deviation(_STRIPPED)
        theirs = ours
    report.same("names: cleaned", name, ours, theirs)
    prompts, class_ids = build_prompts(raw)
    report.same("prompts: number", name, len(prompts), dataset["num_prompts"])
    ends = [prompts[0], prompts[-1]]
    report.same("prompts: first, last", name, ends, dataset["first_and_last_prompt"])
    counts = [class_ids.count(index) for index in range(len(raw))]
    report.same("names: synonyms", name, counts, dataset["num_templates"])


def _check_seen(
    place: str, test: Sequence[str], train: Sequence[str], golden: list[int], report: Report
) -> None:
    ours = [int(seen) for seen in find_seen_classes(test, train)]
    if ours != golden:
        # Is stripping, and nothing else, the difference?
        known = {synonym for name in train for synonym in _as_the_original(name)}
        theirs = [int(not known.isdisjoint(_as_the_original(name))) for name in test]
        known = {synonym.strip() for synonym in known}
        stripped = [
            int(any(synonym.strip() in known for synonym in _as_the_original(name)))
            for name in test
        ]
        if theirs == golden and stripped == ours:
            report.deviation(_STRIPPED)
            ours = golden
    report.same("names: seen classes", place, ours, golden)


def _check_synonyms(example: Entries, report: Report) -> None:
    test = example["test"]
    _check_seen("synonym example", test, example["train"], example["overlap_mask"], report)
    prompts, class_ids = build_prompts(test, TEMPLATES[:1])
    counts = [class_ids.count(index) for index in range(len(test))]
    report.same("names: synonyms", "synonym example", counts, example["num_templates"])
    theirs = example["prompts_first_template"]
    unstripped = [
        TEMPLATES[0].replace("{}", synonym) for name in test for synonym in _as_the_original(name)
    ]
    if prompts != theirs and theirs == unstripped:
        report.deviation(_STRIPPED)
        theirs = [
            TEMPLATES[0].replace("{}", synonym.strip())
            for name in test
            for synonym in _as_the_original(name)
        ]
    report.same("prompts: first, last", "synonym example", prompts, theirs)


def _as_the_original(name: str) -> list[str]:
    return name.replace("_", " ").lower().replace("-", " ").split(",")


def _check_tokens(
    strings: list[str], golden: Tensor, tokenizer: CLIPTokenizer, report: Report
) -> None:
    length = golden.shape[1]
    for string, expected in zip(strings, golden.tolist(), strict=True):
        end = len(expected) - expected[::-1].index(tokenizer.eos_token_id)
        expected, rest = expected[:end], expected[end:]
        ours = tokenizer(string, truncation=True, max_length=length)["input_ids"]
        if rest and tokenizer.pad_token_id not in rest:
            report.deviation(_PADDED)
        if ours != expected:
            # Is OpenCLIP's cleaning of the text, and nothing else, the difference?
            cleaned = html.unescape(html.unescape(ftfy.fix_text(string)))
            theirs = tokenizer(
                cleaned, truncation=True, max_length=length, split_special_tokens=True
            )["input_ids"]
            if theirs == expected:
                report.deviation(_CLEANED)
                ours = theirs
        report.same("tokens", repr(string)[:40], ours, expected)


def original_seen(seed: GoldenSeed) -> Tensor:
    """Which test classes the original counts as seen; where blanks matter, not ours."""
    return torch.tensor(seed.manifest["category_overlapping_mask"]).bool()
