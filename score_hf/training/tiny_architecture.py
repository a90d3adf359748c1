"""The architecture of `score-tiny`, and a tokenizer cut to what it was trained on."""

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from ..drawn_scenes import DRAWN_VOCABULARY
from ..modeling.configuration_score import ScoreConfig
from ..processing.image_processing_score import ScoreImageProcessor
from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import TEMPLATES

# Merges learned from the prompts; letters they do not hold remain single tokens.
VOCABULARY_SIZE = 1000


def tiny_tokenizer() -> CLIPTokenizer:
    """Trains a byte-pair tokenizer on all prompts of the drawn vocabulary.

    CLIP's own vocabulary would make up most of the model's weights.
    """
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    base = CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)}, merges=[], model_max_length=77
    )
    prompts = [
        template.format(name)
        for template in TEMPLATES
        for synonyms in DRAWN_VOCABULARY.values()
        for name in synonyms
    ]
    trained = base.train_new_from_iterator(prompts, vocab_size=VOCABULARY_SIZE)
    return trained


def tiny_processor() -> ScoreProcessor:
    """Makes the processor: no resizing, since drawn scenes have one ground sampling."""
    return ScoreProcessor(
        image_processor=ScoreImageProcessor(do_resize=False, max_detections=100),
        tokenizer=tiny_tokenizer(),
        seen_classes=[", ".join(synonyms) for synonyms in DRAWN_VOCABULARY.values()],
    )


def tiny_config(tokenizer: CLIPTokenizer) -> ScoreConfig:
    """Makes the configuration: every part of SCORE, about a hundredth of its size."""
    return ScoreConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "projection_dim": 64,
            "hidden_act": "gelu",
        },
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
    )
