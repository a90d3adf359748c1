"""FC-CLIP's values, worked out from goldens of SCORE whose context has not touched them yet."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf import ScoreClassifier, ScoreForInstanceSegmentation, ScoreImageProcessor
from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from tests.tiny import tiny_tokenizer

FOLDER = Path(__file__).parents[2] / "fixtures" / "parity"
CONTEXT_PARTS = (
    "clip_rs.",
    "gca.",
    "sem_seg_head.predictor.transformer.layers.",
    "sem_seg_head.predictor.learnable_weight",
    "sem_seg_head.predictor.kernel_size_logits",
)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(FOLDER / "seed202" / "case_mixed.safetensors")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    weights = load_file(FOLDER / "seed202" / "weights.safetensors")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(CONTEXT_PARTS)}


def test_baseline_computes_what_fc_clip_does(golden, weights):
    manifest = json.loads((FOLDER / "manifest.json").read_text())["seeds"]["202"]
    synonyms = torch.tensor(manifest["test_num_templates"])
    class_ids = torch.arange(len(synonyms)).repeat_interleave(synonyms)
    seen = torch.tensor(manifest["category_overlapping_mask"]).bool()
    alpha, beta = manifest["spec"]["alpha"], manifest["spec"]["beta"]
    converted = convert_checkpoint(weights, tiny_tokenizer())
    # The images of a batch were padded to one size.
    config = converted.model.config.to_dict() | {
        "batch_padding": "together",
        "alpha": alpha,
        "beta": beta,
    }
    model = ScoreForInstanceSegmentation.from_pretrained(
        None,
        config=type(converted.model.config).from_dict(config),
        state_dict=converted.model.state_dict(),
    ).eval()
    images = [golden["input.image0"], golden["input.image1"]]
    inputs = ScoreImageProcessor(do_resize=False)(images, return_tensors="pt")
    classifier = ScoreClassifier(
        embeddings=golden["text.classifier"], class_ids=class_ids, seen_classes=seen
    )

    with torch.no_grad():
        outputs = model(**inputs, classifier=classifier)

    # Class embedding, normalised, against names and void; of a class's names the best counts.
    embeddings = torch.nn.functional.normalize(golden["head.3.class_embed"].double(), dim=-1)
    scale = weights["sem_seg_head.predictor.logit_scale"].double().exp().clamp(max=100)
    rows = scale * embeddings @ golden["text.out_vocab_with_void"].double().T
    *names, void = rows.split([*synonyms.tolist(), 1], dim=-1)
    inside = torch.stack([name.amax(dim=-1) for name in names], dim=-1)
    # The geometric mean of both vocabularies' probabilities, and void taken off.
    outside = golden["outvocab.logits"][..., :-1].double().softmax(-1)
    share = torch.where(seen, alpha, beta).double()
    mixed = (inside.softmax(-1) ** (1 - share) * outside**share).log().softmax(-1)
    no_object = torch.cat((inside, void), dim=-1).softmax(-1)[..., -1:]
    scores = torch.cat((mixed * (1 - no_object), no_object), dim=-1).add(1e-8).log()

    assert converted.kind == "SCORE" and converted.model.config.global_context == "none"
    close = {"atol": 2e-4, "rtol": 1e-5}
    torch.testing.assert_close(outputs.masks_queries_logits, golden["dec.3.pred_masks"], **close)
    logits = outputs.in_vocabulary_logits.double()
    torch.testing.assert_close(logits, torch.cat((inside, void), dim=-1), **close)
    torch.testing.assert_close(outputs.out_of_vocabulary_logits, golden["outvocab.logits"], **close)
    probabilities = outputs.class_queries_logits.double().exp()
    torch.testing.assert_close(probabilities, scores.exp(), **close)
