import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.clip_tokenizer import clip_tokenizer
from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.config import CheckpointHints
from score_hf.conversion.detectron2.recipe import Detectron2Recipe
from score_hf.conversion.detectron2.vocabularies import COCO_STUFF, COCO_THINGS, ISAID_CLASSES
from score_hf.conversion.initialization import init_from
from tests.conversion.detectron2.original_checkpoints import fc_clip_checkpoint
from tests.tiny import tiny_config, tiny_tokenizer

WEIGHTS = Path(__file__).parents[2] / "fixtures" / "parity" / "seed202" / "weights.safetensors"
GOLDEN_HINTS = CheckpointHints(context_heads=4)
COCO = [*COCO_THINGS, *COCO_STUFF]


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("open_clip")
    return clip_tokenizer()


@pytest.fixture(scope="module")
def fc_clip(tokenizer):
    return convert_checkpoint(fc_clip_checkpoint(), tokenizer)


def recipe_of(**values) -> Detectron2Recipe:
    """A yaml file of the given values; `__` in a name stands for a dot."""
    sections: dict = {}
    for key, value in values.items():
        *outer, last = key.split("__")
        section = sections
        for name in outer:
            section = section.setdefault(name, {})
        section[last] = value
    return Detectron2Recipe(Path("recipe.yaml"), sections)


def test_fc_clip_becomes_the_baseline(fc_clip):
    config, processor = fc_clip.model.config, fc_clip.processor

    assert fc_clip.kind == "FC-CLIP"
    assert (config.region_context, config.global_context) == ("none", "none")
    assert not hasattr(fc_clip.model, "context_trunk") and config.text_tower
    assert (config.num_queries, config.alpha, config.beta) == (250, 0.4, 0.8)
    # 48 samples of 3 levels are 4 heads of 4 points.
    assert (config.num_attention_heads, config.pixel_decoder_points) == (4, 4)
    assert (config.num_hidden_layers, config.pixel_decoder_layers) == (3, 2)
    assert (config.intermediate_size, config.pixel_decoder_intermediate_size) == (40, 48)
    assert config.general_config.depths == [1, 1, 2, 1]
    assert config.text_config.num_attention_heads == 1
    assert processor.seen_classes == COCO and len(COCO) == 133
    assert len(processor.templates) == 14 and processor.templates[0] == "a photo of a {}."
    size = processor.image_processor.size
    assert (size.shortest_edge, size.longest_edge) == (800, 1333)
    assert processor.image_processor.max_detections == 250
    assert list(fc_clip.extras.tensors) == ["criterion.empty_weight"]
    assert any("label_ids_to_fuse=range(80, 133)" in note for note in fc_clip.notes)


def test_fc_clip_gives_instances_and_maps_at_once(fc_clip):
    processor = fc_clip.processor
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    inputs = processor(
        images=image,
        classes=COCO,
        size={"shortest_edge": 64, "longest_edge": 96},
        return_tensors="pt",
    )
    # 133 classes under their synonyms in 14 prompts.
    assert len(inputs["input_ids"]) == 14 * sum(name.count(",") + 1 for name in COCO)
    with torch.inference_mode():
        outputs = fc_clip.model(**inputs)

    assert outputs.class_queries_logits.shape == (1, 250, 134)
    assert outputs.seen_classes.all()
    sizes = [(60, 90)]
    (instances,) = processor.post_process_instance_segmentation(outputs, 0.0, target_sizes=sizes)
    assert len(instances["scores"]) == 250 and instances["masks"].shape[1:] == (60, 90)
    (semantic,) = processor.post_process_semantic_segmentation(outputs, sizes)
    assert semantic.shape == (60, 90) and semantic.min() >= 0 and semantic.max() < 133
    (panoptic,) = processor.post_process_panoptic_segmentation(
        outputs,
        0.0,
        overlap_mask_area_threshold=0.0,
        target_sizes=sizes,
        label_ids_to_fuse=range(80, 133),
    )
    assert panoptic["segments_info"] and panoptic["segmentation"].shape == (60, 90)
    stuff = [one["label_id"] for one in panoptic["segments_info"] if one["label_id"] >= 80]
    assert len(stuff) == len(set(stuff))


def test_other_convnexts_have_another_head(tokenizer):
    state = fc_clip_checkpoint(linear_head=True)

    model = convert_checkpoint(state, tokenizer).model

    assert (model.config.visual_head, model.config.visual_head_bias) == ("linear", False)
    theirs = state["backbone.clip_model.visual.head.proj.weight"]
    assert torch.equal(model.general_trunk.head.projection.weight, theirs)


def test_fc_clip_starts_a_training(fc_clip):
    config = fc_clip.model.config.to_dict() | {
        "region_context": "region",
        "global_context": "attention",
        "num_queries": 300,
        "context_config": tiny_config().context_config.to_dict(),
    }
    model = ScoreForInstanceSegmentation(type(fc_clip.model.config).from_dict(config))

    report = init_from(model, fc_clip_checkpoint())

    parts = {name.partition(".")[0] for name in report.random}
    assert parts == {"context_trunk", "region_integration", "global_adaptation"}
    assert len(report.partly_filled) == 2
    assert report.without_place == ("criterion.empty_weight",)
    assert torch.equal(
        model.pixel_decoder.mask_projection.weight,
        fc_clip.model.pixel_decoder.mask_projection.weight,
    )


def test_score_is_read_with_its_context(tokenizer):
    state = load_file(WEIGHTS)

    converted = convert_checkpoint(state, tokenizer, GOLDEN_HINTS)

    config, processor = converted.model.config, converted.processor
    assert converted.kind == "SCORE"
    assert (config.region_context, config.global_context) == ("region", "attention")
    assert config.context_config.num_attention_heads == 4
    assert (config.context_config.image_size, config.context_config.patch_size) == (224, 14)
    assert list(config.region_kernel_sizes) == [3, 5, 7, 9, 11, 13]
    assert (config.region_layers, config.region_intermediate_size) == (5, 2048)
    assert (config.num_attention_heads, config.pixel_decoder_points) == (8, 4)
    assert not config.text_tower
    assert any("no complete text tower" in note for note in converted.notes)
    assert processor.seen_classes == list(ISAID_CLASSES) and len(processor.templates) == 18
    assert processor.image_processor.size.shortest_edge == 512
    assert {parameter.dtype for parameter in converted.model.parameters()} == {torch.float32}
    formation = converted.model.region_integration.formation
    assert (int(formation.calls), int(formation.chosen)) == (0, -1)


def test_without_a_rule_heads_are_given(tokenizer):
    state = load_file(WEIGHTS)

    config = convert_checkpoint(state, tokenizer, CheckpointHints(decoder_heads=4)).model.config

    assert config.context_config.num_attention_heads == 1
    assert (config.num_attention_heads, config.pixel_decoder_points) == (4, 8)
    for heads, said in (
        (CheckpointHints(context_heads=3), r"3 attention heads of the context tower .* width 64"),
        (CheckpointHints(decoder_heads=5), r"5 attention heads of the decoders .* 96 samples"),
    ):
        with pytest.raises(ValueError, match=said):
            convert_checkpoint(state, tokenizer, heads)


def test_recipe_wins_where_shapes_are_silent(tokenizer):
    recipe = recipe_of(
        MODEL__MASK_FORMER__NHEADS=2,
        MODEL__MASK_FORMER__CLASS_WEIGHT=3.0,
        MODEL__MASK_FORMER__TRAIN_NUM_POINTS=100,
        MODEL__MASK_FORMER__DEC_LAYERS=4,
        MODEL__SCORE__GEOMETRIC_ENSEMBLE_ALPHA=0.1,
        MODEL__SCORE__EMBED_DIM=32,
        MODEL__PIXEL_MEAN=[0.0, 127.5, 255.0],
        MODEL__PIXEL_STD=[68.5005327, 66.6321579, 70.32316305],
        INPUT__MIN_SIZE_TEST=640,
        TEST__DETECTIONS_PER_IMAGE=500,
        DATASETS__TRAIN='("isaid_train_instance",)',
    )

    converted = convert_checkpoint(load_file(WEIGHTS), tokenizer, GOLDEN_HINTS, recipe)

    config, images = converted.model.config, converted.processor.image_processor
    assert (config.num_attention_heads, config.pixel_decoder_points) == (2, 16)
    assert (config.class_weight, config.num_points, config.alpha) == (3.0, 100, 0.1)
    assert config.beta == 0.8
    assert (images.size.shortest_edge, images.size.longest_edge) == (640, 800)
    assert images.max_detections == 500
    assert list(images.image_mean) == [0.0, 0.5, 1.0]
    assert images.image_std[0] == pytest.approx(0.26862954, abs=1e-9)
    given = dataclasses.replace(GOLDEN_HINTS, decoder_heads=8)
    config = convert_checkpoint(load_file(WEIGHTS), tokenizer, given, recipe).model.config
    assert config.num_attention_heads == 8


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"MODEL__MASK_FORMER__NUM_OBJECT_QUERIES": 100}, r"NUM_OBJECT_QUERIES: 100, but .* 12"),
        ({"MODEL__SCORE__EMBED_DIM": 768}, r"EMBED_DIM: 768, but `checkpoint` was made with 32"),
        ({"MODEL__SEM_SEG_HEAD__NUM_CLASSES": 20}, r"NUM_CLASSES: 20, but .* 15"),
        ({"DATASETS__TRAIN": ["sior_train_instance"]}, r"'sior_train_instance' has 20 classes"),
        ({"MODEL__MASK_FORMER__PRE_NORM": True}, r"PRE_NORM: True"),
        ({"MODEL__MASK_FORMER__NHEADS": "many"}, r"NHEADS as a number, got 'many'"),
        ({"MODEL__MASK_FORMER__NHEADS": 0}, r"NHEADS as a whole number above 0, got 0"),
        ({"MODEL__PIXEL_MEAN": [1.0]}, r"PIXEL_MEAN as three numbers, got \[1\.0\]"),
        ({"MODEL__PIXEL_MEAN": [1, 2, "x"]}, r"PIXEL_MEAN as three numbers, got \[1, 2, 'x'\]"),
        ({"MODEL__PIXEL_STD": [0, 1, 1]}, r"PIXEL_STD as three numbers above 0, got \[0, 1, 1\]"),
        (
            {"MODEL__SCORE__GEOMETRIC_ENSEMBLE_ALPHA": 5},
            r"`config_file` tell of a model that cannot be: `alpha` must be between 0 and 1, got 5",
        ),
    ],
)
def test_recipe_of_another_model_is_refused(tokenizer, values, said):
    with pytest.raises(ValueError, match=said):
        convert_checkpoint(load_file(WEIGHTS), tokenizer, GOLDEN_HINTS, recipe_of(**values))


def test_what_it_was_trained_on(tokenizer):
    state = load_file(WEIGHTS)
    own = [f"class {number}" for number in range(15)]
    recipe = recipe_of(DATASETS__TRAIN=["my_train"])

    def seen(*arguments):
        return convert_checkpoint(state, tokenizer, GOLDEN_HINTS, *arguments)

    assert seen(None, own).processor.seen_classes == own
    unknown = seen(recipe)
    assert unknown.processor.seen_classes is None
    assert any("counts as unseen" in note for note in unknown.notes)
    with pytest.raises(ValueError, match=r"`seen_classes` has 2 classes, .* trained on 15"):
        seen(None, own[:2])
    del state["criterion.empty_weight"]
    assert seen().processor.seen_classes is None


def test_a_baseline_of_score_is_told_from_fc_clip(tokenizer):
    baseline = convert_checkpoint(fc_clip_checkpoint(queries=300, classes=15), tokenizer)
    said = recipe_of(MODEL__META_ARCHITECTURE="FCCLIP")
    own_classes = convert_checkpoint(fc_clip_checkpoint(classes=7), tokenizer, recipe=said)

    assert baseline.kind == "SCORE" and len(baseline.processor.templates) == 18
    assert own_classes.kind == "FC-CLIP" and own_classes.processor.seen_classes is None


def test_another_tokenizer_is_told():
    converted = convert_checkpoint(fc_clip_checkpoint(), tiny_tokenizer())

    assert any("49408 tokens and CLIP's tokenizer 600" in note for note in converted.notes)


def test_what_is_no_such_checkpoint_is_refused(tokenizer):
    state, fc_clip = load_file(WEIGHTS), fc_clip_checkpoint()

    def refused(said: str, changed: dict) -> None:
        with pytest.raises(ValueError, match=said):
            convert_checkpoint(changed, tokenizer, GOLDEN_HINTS)

    refused(r"of its 1 tensors the first are fc\.weight", {"fc.weight": torch.zeros(1)})
    resnet = {"backbone.clip_model.visual.layer1.0.conv1.weight": torch.zeros(1)}
    refused(r"holds a ResNet .* fcclip_cocopan\.pth", fc_clip | resnet)
    remote = {"clip_rs.clip_model.visual.layer1.0.conv1.weight": torch.zeros(1)}
    refused(r"needs a vision transformer there", state | remote)
    without_trunk = {k: v for k, v in state.items() if not k.startswith("clip_rs.")}
    refused(r"not the trunk they look at", without_trunk)
    for name, said in (
        ("sem_seg_head.pixel_decoder.mask_features.weight", r"has no .*mask_features\.weight"),
        (
            "gca.multiattn.0.out_proj.bias",
            r"not complete: .* gca\.multiattn\.0\.out_proj\.bias should",
        ),
    ):
        refused(said, {k: v for k, v in state.items() if k != name})
    gone = {k: v for k, v in state.items() if not k.startswith("sem_seg_head.predictor.mask_embed")}
    refused(r"mask_embed\.layers\.0\.weight, .* and 3 more should be there", gone)
    wrong = {"sem_seg_head.predictor.decoder_norm.weight": torch.zeros(3)}
    refused(r"mask_decoder\.norm\.weight must be of shape \(64,\), got \(3,\)", state | wrong)
    positions = {"clip_rs.clip_model.visual.positional_embedding": torch.zeros(250, 64)}
    refused(r"a square of patches, got 250 rows", state | positions)
    flat = {"void_embedding.weight": torch.zeros(32)}
    refused(r"with 2 dimensions, none .* got shape \(32,\)", state | flat)
    empty = {"backbone.clip_model.visual.trunk.stages.1.blocks.0.norm.weight": torch.zeros(0)}
    refused(r"with 1 dimensions, none .* got shape \(0,\)", state | empty)
    stages = {k: v for k, v in state.items() if ".trunk.stages.3" not in k}
    refused(r"a model that cannot be: .* must have four stages .* got 3", stages)


def test_weights_that_are_no_numbers_or_share_memory(tokenizer):
    name, other = (f"sem_seg_head.predictor.query_{kind}.weight" for kind in ("feat", "embed"))
    state = fc_clip_checkpoint()
    state[other] = state[name]
    decoder = convert_checkpoint(state, tokenizer).model.mask_decoder
    positions, features = decoder.query_positions.weight, decoder.query_features.weight
    assert torch.equal(positions, features) and positions.data_ptr() != features.data_ptr()

    state[name] = state[name].clone().fill_(float("inf"))
    with pytest.raises(ValueError, match=r"`checkpoint` must hold finite .* \(mask_decoder\."):
        convert_checkpoint(state, tokenizer)


def test_surplus_is_kept(tokenizer):
    surplus = {"optimizer.step": torch.zeros(2)}

    converted = convert_checkpoint(load_file(WEIGHTS) | surplus, tokenizer, GOLDEN_HINTS)

    assert set(converted.extras.tensors) == {"criterion.empty_weight", "optimizer.step"}
