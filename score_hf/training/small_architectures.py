"""The architectures of the bundled models, which start at random: `score-tiny` and a larger one."""

from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from ..drawn_scenes import DRAWN_VOCABULARY
from ..modeling.configuration_score import ScoreConfig
from ..processing.image_processing_score import ScoreImageProcessor
from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import TEMPLATES
from .word_tokenizer import word_tokenizer

# Of class names of aerial data sets and of what people write below aerial pictures.
_AERIAL_WORDS = Path(__file__).with_name("aerial_words.txt")


def start_tiny() -> tuple[ScoreConfig, ScoreProcessor]:
    """Makes configuration and processor of `score-tiny`, for drawn scenes."""
    drawn = [name for names in DRAWN_VOCABULARY.values() for name in names]
    tokenizer = word_tokenizer([*TEMPLATES, *drawn])
    return _tiny_config(tokenizer), _processor(tokenizer, detections=100)


def start_small() -> tuple[ScoreConfig, ScoreProcessor]:
    """Makes configuration and processor of `score-small-aerial`, for aerial pictures."""
    words = _AERIAL_WORDS.read_text(encoding="utf-8")
    tokenizer = word_tokenizer([*TEMPLATES, words])
    return _small_config(tokenizer), _processor(tokenizer, detections=300)


def _processor(tokenizer: CLIPTokenizer, detections: int) -> ScoreProcessor:
    # No resizing: objects keep the ground sampling that they were learned at.
    images = ScoreImageProcessor(do_resize=False, max_detections=detections)
    return ScoreProcessor(image_processor=images, tokenizer=tokenizer)


def _tiny_config(tokenizer: CLIPTokenizer) -> ScoreConfig:
    """Every part of SCORE at about a hundredth of its size."""
    return ScoreConfig(
        text_config=_text_config(tokenizer, width=64, layers=3, heads=4),
        general_config={
            "depths": [2, 2, 4, 2],
            "hidden_sizes": [32, 64, 128, 256],
            "layer_norm_eps": 1e-6,
            # Blocks count from the first step; CLIP's 1e-6 is meant for far longer trainings.
            "layer_scale_init_value": 1.0,
        },
        context_config={
            "hidden_size": 96,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 128,
            "patch_size": 16,
            "projection_dim": 64,
        },
        projection_dim=64,
        frozen_trunks=False,
        hidden_size=64,
        num_queries=100,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=256,
        pixel_decoder_layers=2,
        pixel_decoder_intermediate_size=256,
        region_kernel="fixed",
        region_kernel_size=5,
        region_layers=2,
        region_intermediate_size=256,
        context_num_heads=4,
        num_points=1024,
        # Best of 0.4, 0.2 and 0.0, give or take noise, on scenes that are not in the evaluation.
        alpha=0.2,
    )


def _small_config(tokenizer: CLIPTokenizer) -> ScoreConfig:
    """About ten million weights, most of them in the trunk."""
    return ScoreConfig(
        text_config=_text_config(tokenizer, width=128, layers=3, heads=4),
        general_config={
            "depths": [2, 2, 6, 2],
            "hidden_sizes": [48, 96, 192, 384],
            "layer_norm_eps": 1e-6,
            "layer_scale_init_value": 1.0,
        },
        context_config={
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 128,
            "patch_size": 16,
            "projection_dim": 128,
        },
        projection_dim=128,
        frozen_trunks=False,
        hidden_size=96,
        num_queries=100,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
        pixel_decoder_layers=3,
        pixel_decoder_intermediate_size=384,
        region_kernel="fixed",
        region_kernel_size=3,
        region_layers=2,
        region_intermediate_size=256,
        context_num_heads=4,
        num_points=2048,
        alpha=0.2,
    )


def _text_config(tokenizer: CLIPTokenizer, width: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "projection_dim": width,
        "hidden_act": "gelu",
    }
