"""The README of a model's folder: what it is, where it comes from, how it is used."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, HTTPError
from huggingface_hub.repocard import metadata_load

from ..bundled import bundled_model, bundled_models
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.processing_score import ScoreProcessor
from .published_weights import WeightSource, license_of

TAGS = (
    "score",
    "instance-segmentation",
    "open-vocabulary",
    "remote-sensing",
    "aerial-imagery",
    "custom_code",
)
# What the snippets load; whoever publishes the folder puts the repository's name there.
PLACEHOLDER = "path/to/this/folder"
_SOURCE_PARTS = {
    "general": "general CLIP",
    "context": "remote-sensing CLIP",
    "checkpoint": "trained checkpoint",
}
_PARTS = {
    "general_trunk": "image trunk of the general CLIP",
    "text_tower": "text tower of the general CLIP",
    "context_trunk": "image trunk of the remote-sensing CLIP",
    "context_text_tower": "text tower of the remote-sensing CLIP",
    "pixel_decoder": "pixel decoder",
    "mask_decoder": "mask decoder",
    "class_head": "class head",
    "region_integration": "Region-Aware Integration",
    "global_adaptation": "Global Context Adaptation",
    "void_embedding": "void class",
}


@dataclass(frozen=True)
class MeasuredResult:
    """A figure that was measured with the model.

    Args:
        dataset: Name of the data set, such as "NWPU VHR-10".
        split: Which part of it.
        metric: What was measured, such as "mask AP".
        value: The figure.
        dataset_id: The data set's id on the Hub, or a short name.
    """

    dataset: str
    split: str
    metric: str
    value: float
    dataset_id: str


@dataclass(frozen=True)
class ModelCardFacts:
    """What is known of a model's weights.

    Args:
        title: Headline of the card.
        general: Source of the general CLIP, image trunk and text tower.
        context: Source of the remote-sensing CLIP.
        checkpoint: Source of a whole trained checkpoint.
        datasets: Ids on the Hub of what the model was trained on beyond its trunks.
        results: What was measured.
        notes: Further paragraphs, as Markdown.
    """

    title: str
    general: WeightSource | None = None
    context: WeightSource | None = None
    checkpoint: WeightSource | None = None
    datasets: Sequence[str] = ()
    results: Sequence[MeasuredResult] = ()
    notes: Sequence[str] = ()

    @property
    def sources(self) -> dict[str, WeightSource]:
        """The sources that are there, by what they filled."""
        named = {part: getattr(self, field) for field, part in _SOURCE_PARTS.items()}
        return {part: source for part, source in named.items() if source is not None}


def add_sources(facts: ModelCardFacts, listed: Sequence[Mapping[str, Any]]) -> ModelCardFacts:
    """Adds sources of weights; what the facts name already stays.

    Args:
        facts: What is known of a model.
        listed: `weight_sources` of a card.

    Returns:
        The facts with the sources.
    """
    fields = {part: field for field, part in _SOURCE_PARTS.items()}
    for one in listed:
        field = fields.get(str(one.get("part")))
        if field is not None and getattr(facts, field) is None:
            source = WeightSource(str(one.get("architecture")), str(one.get("weights")))
            if (hub_id := one.get("hub_id")) is not None:
                source = replace(source, hub_id=str(hub_id))
            changes: dict[str, Any] = {field: source}
            facts = replace(facts, **changes)
    return facts


def inherit_sources(facts: ModelCardFacts, *models: str | os.PathLike[str]) -> ModelCardFacts:
    """Adds where the weights of models come from that another was trained from.

    Args:
        facts: What is known of the new model.
        *models: The folder, bundled name or hub id of each, in the order in which they filled it.

    Returns:
        The facts with the sources that their cards name. A repository of the Hub whose card names
        none is itself the source of a trained checkpoint.
    """
    for model in models:
        name = os.fspath(model)
        folder = bundled_model(name) if name in bundled_models() else Path(name).expanduser()
        if folder.is_dir():
            facts = add_sources(facts, sources_of(folder / "README.md"))
            continue
        try:
            card = hf_hub_download(name, "README.md")
        except HFValidationError:
            continue
        except (EntryNotFoundError, HTTPError, OSError):
            card = ""
        itself = {"part": "trained checkpoint", "architecture": "SCORE", "weights": name}
        facts = add_sources(facts, sources_of(Path(card)) or [{**itself, "hub_id": name}])
    return facts


def sources_of(card: Path) -> list[dict[str, Any]]:
    """Reads `weight_sources` of a card.

    Args:
        card: The README.md; none lists none.

    Returns:
        The sources.
    """
    metadata = (metadata_load(card) if card.is_file() else None) or {}
    listed = metadata.get("weight_sources")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def build_model_card(
    facts: ModelCardFacts, model: ScoreForInstanceSegmentation, processor: ScoreProcessor
) -> ModelCard:
    """Writes the card of a model, metadata for the Hub at its top.

    Args:
        facts: What is known of its weights.
        model: The model.
        processor: Its processor.

    Returns:
        The card; `save` writes it.
    """
    sections = [
        f"# {facts.title}",
        "SCORE (*Scene Context Matters in Open-Vocabulary Remote Sensing Instance Segmentation*, "
        "Huang et al., ICCV 2025) for Hugging Face Transformers: finds the instances of classes "
        "that are named at run time in aerial and satellite images.",
        _training_state(model),
        *facts.notes,
        "## Use",
        _usage(model),
        "## Weights",
        _weights(facts, model),
        _vocabulary(model, processor),
        *_results(facts),
        "## Licences",
        _licences(facts),
    ]
    body = "\n\n".join(section for section in sections if section)
    return ModelCard(f"---\n{_metadata(facts).to_yaml()}\n---\n\n{body}\n")


def _metadata(facts: ModelCardFacts) -> ModelCardData:
    sources = list(facts.sources.values())
    license = license_of(sources)
    results = [
        EvalResult(
            task_type="image-segmentation",
            task_name="Instance segmentation",
            dataset_type=result.dataset_id,
            dataset_name=result.dataset,
            dataset_split=result.split,
            metric_type=result.metric,
            metric_value=result.value,
        )
        for result in facts.results
    ]
    listed = [{"part": part, **asdict(source)} for part, source in facts.sources.items()]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="image-segmentation",
        tags=list(TAGS),
        license=license,
        license_name="licences-of-the-sources" if license == "other" else None,
        base_model=[one.base_model for one in sources if one.base_model is not None] or None,
        datasets=list(facts.datasets) or None,
        model_name=facts.title if results else None,
        eval_results=results or None,
        weight_sources=listed or None,
    )


def _training_state(model: ScoreForInstanceSegmentation) -> str:
    if not model.config.untrained_parts:
        return ""
    named = ", ".join(_PARTS.get(part, part) for part in model.config.untrained_parts)
    return (
        "> [!WARNING]\n"
        "> **Not trained: these parts hold RANDOM numbers:** "
        f"{named}.\n"
        "> What the model finds means nothing until it has been trained. It is a starting point "
        "for training, with the published weights of its trunks in place."
    )


def _usage(model: ScoreForInstanceSegmentation) -> str:
    vocabulary = bool(model.config.stored_synonyms)
    blocks = []
    if model.config.text_tower:
        blocks.append(_snippet('["ship", "storage tank, oil tank", "harbor"]'))
        blocks.append(
            "One item a class; a comma inside an item separates synonyms. With `pip install "
            "score-hf` the same from the command line:\n\n"
            f'```bash\nscore-hf segment image.jpg --model {PLACEHOLDER} --classes "ship, harbor, '
            'storage tank | oil tank"\n```'
        )
    elif vocabulary:
        blocks.append(_snippet())
        blocks.append(
            "The model was saved without its text tower: it knows the classes below and no others."
        )
    if vocabulary:
        blocks.append(
            "With a pipeline, on the classes that the model stores:\n\n"
            "```python\nfrom transformers import pipeline\n\n"
            f'segment = pipeline("image-segmentation", model="{PLACEHOLDER}", '
            'trust_remote_code=True)\nsegment("image.jpg", subtask="instance", threshold=0.3)\n```'
        )
    return "\n\n".join(blocks)


def _snippet(classes: str = "") -> str:
    listed, argument, names = "", "", "model.config.id2label"
    if classes:
        listed, argument, names = f"classes = {classes}\n", "classes=classes, ", "classes"
    return f"""```python
import torch
from PIL import Image
from transformers import AutoModelForInstanceSegmentation, AutoProcessor

folder = "{PLACEHOLDER}"
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForInstanceSegmentation.from_pretrained(folder, trust_remote_code=True)

{listed}image = Image.open("image.jpg")
inputs = processor(images=image, {argument}return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
instances = processor.post_process_instance_segmentation(
    outputs, target_sizes=[(image.height, image.width)], threshold=0.3, class_names={names}
)[0]
```"""


def _weights(facts: ModelCardFacts, model: ScoreForInstanceSegmentation) -> str:
    rows = [
        f"| {part} | {source.architecture} | {_origin(source)} |"
        for part, source in facts.sources.items()
    ]
    table = "\n".join(["| part | architecture | from |", "|---|---|---|", *rows]) if rows else ""
    count = sum(parameter.numel() for parameter in model.parameters())
    dtype = str(model.dtype).removeprefix("torch.")
    size = f"{count / 1e6:.1f} million weights, stored as {dtype}"
    if model.dtype.itemsize < 4:
        size += " (the pixel decoder as float32)"
    return f"{table}\n\n{size}.".strip()


def _origin(source: WeightSource) -> str:
    where = f"`{source.weights}`"
    if source.base_model is not None:
        return f"{where}, [{source.base_model}](https://huggingface.co/{source.base_model})"
    if source.publisher is not None:
        return f"{where}, [{source.publisher.name}]({source.publisher.url})"
    return where


def _vocabulary(model: ScoreForInstanceSegmentation, processor: ScoreProcessor) -> str:
    parts = []
    if model.config.stored_synonyms:
        names = (model.config.id2label or {}).values()
        parts.append(f"Classes that the model stores: {', '.join(names)}.")
    if processor.seen_classes:
        seen = "; ".join(processor.seen_classes)
        parts.append(f"Classes that count as seen in training: {seen}.")
    return "\n\n".join(parts)


def _results(facts: ModelCardFacts) -> list[str]:
    if not facts.results:
        return []
    rows = [
        f"| {one.dataset} | {one.split} | {one.metric} | {one.value} |" for one in facts.results
    ]
    head = ["| data set | split | metric | value |", "|---|---|---|---|"]
    return ["## Results", "\n".join(head + rows)]


def _licences(facts: ModelCardFacts) -> str:
    lines = ["- modelling code in this folder: Apache-2.0"]
    if not facts.sources:
        lines.append("- weights: what those say who trained them")
    for part, source in facts.sources.items():
        publisher, page = source.publisher, source.base_model
        if publisher is not None:
            told = f"[{publisher.name}]({publisher.url}): {publisher.licensing}"
        elif page is not None:
            told = f"what [its page](https://huggingface.co/{page}) says"
        else:
            told = f"`{source.weights}`: not known; look where you got it"
        lines.append(f"- {part}, {told}")
    return "\n".join(lines)
