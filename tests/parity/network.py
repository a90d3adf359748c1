"""The project's model and processor for one seed of the goldens."""

import gzip
import math
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from score_hf import (
    ScoreConfig,
    ScoreForInstanceSegmentation,
    ScoreImageProcessor,
    ScoreProcessor,
)
from score_hf.conversion.original_keys import from_original

from .golden import Entries, GoldenSeed

_TEXT = "backbone.clip_model."
_GENERAL = "backbone.clip_model.visual.trunk."
_CONTEXT = "clip_rs.clip_model.visual."
_PIXEL = "sem_seg_head.pixel_decoder."
_PREDICTOR = "sem_seg_head.predictor."


def build_model(seed: GoldenSeed) -> ScoreForInstanceSegmentation:
    """Builds the network with the seed's weights, in evaluation mode.

    Args:
        seed: The seed; its weights must be there.

    Returns:
        The model. It has a text tower if the goldens have one with its token embedding.

    Raises:
        ValueError: If the weights do not fill the model exactly.
    """
    weights = seed.weights or {}
    config = read_config(seed.golden.manifest["config"], weights, seed.manifest["spec"])
    model = ScoreForInstanceSegmentation(config)
    ours, unused = from_original(weights)
    loaded = model.load_state_dict(ours, strict=False)
    # The kernel's state is not in the original's checkpoint; the context's text tower is in it
    # but computes nothing; of a text tower without its token embedding nothing can be used.
    missing = [name for name in loaded.missing_keys if "formation." not in name]
    foreign = [
        name
        for name in loaded.unexpected_keys
        if not name.startswith(("context_text_tower.", "context_logit_scale"))
        and (config.text_tower or not name.startswith("text_tower."))
    ]
    unused = [name for name in unused if not name.startswith("criterion.")]
    if missing or foreign or unused:
        raise ValueError(
            f"`weights` of seed {seed.name} do not fill the model: missing {missing}, "
            f"without a place {foreign + unused}."
        )
    return model.eval()


def read_config(sizes: Entries, weights: dict[str, Tensor], spec: Entries) -> ScoreConfig:
    """Reads the network's dimensions off the shapes of its weights.

    Numbers of heads leave no trace in the shapes: they come from the manifest.

    Args:
        sizes: `config` of the manifest.
        weights: Tensors under the original's names.
        spec: `spec` of the seed: the ensemble's weights.

    Returns:
        The configuration.
    """

    def shape(name: str) -> torch.Size:
        return weights[name].shape

    projection, text_layers = shape("void_embedding.weight")[1], f"{_TEXT}transformer.resblocks."
    text = (
        {
            "hidden_size": shape(f"{_TEXT}ln_final.weight")[0],
            "intermediate_size": shape(f"{text_layers}0.mlp.c_fc.weight")[0],
            "num_hidden_layers": _count(weights, text_layers),
            "num_attention_heads": _heads(sizes, "text", shape(f"{_TEXT}ln_final.weight")[0]),
            "max_position_embeddings": shape(f"{_TEXT}positional_embedding")[0],
            "vocab_size": shape(f"{_TEXT}token_embedding.weight")[0],
            "projection_dim": projection,
            "hidden_act": "gelu",
        }
        if _has_text_tower(weights)
        else {"projection_dim": projection}
    )
    stages = range(_count(weights, f"{_GENERAL}stages."))
    general = {
        "num_stages": len(stages),
        "depths": [_count(weights, f"{_GENERAL}stages.{stage}.blocks.") for stage in stages],
        "hidden_sizes": [
            shape(f"{_GENERAL}stages.{stage}.blocks.0.norm.weight")[0] for stage in stages
        ],
        "layer_norm_eps": 1e-6,
    }
    width, _, patch, _ = shape(f"{_CONTEXT}conv1.weight")
    rows = math.isqrt(shape(f"{_CONTEXT}positional_embedding")[0] - 1)
    context = {
        "hidden_size": width,
        "intermediate_size": shape(f"{_CONTEXT}transformer.resblocks.0.mlp.c_fc.weight")[0],
        "num_hidden_layers": _count(weights, f"{_CONTEXT}transformer.resblocks."),
        "num_attention_heads": _heads(sizes, "rs", width),
        "patch_size": patch,
        "image_size": rows * patch,
        "projection_dim": shape(f"{_CONTEXT}proj")[1],
    }
    queries, hidden = shape(f"{_PREDICTOR}query_feat.weight")
    encoder, heads = f"{_PIXEL}transformer.encoder.layers.", sizes["nheads"]
    samples = shape(f"{encoder}0.self_attn.attention_weights.weight")[0]
    levels = shape(f"{_PIXEL}transformer.level_embed")[0]
    region = f"{_PREDICTOR}transformer.layers."
    kernels = shape(f"{_PREDICTOR}kernel_size_logits")[0]
    return ScoreConfig(
        text_config=text,
        text_tower=_has_text_tower(weights),
        general_config=general,
        context_config=context,
        projection_dim=projection,
        hidden_size=hidden,
        num_queries=queries,
        num_hidden_layers=_count(weights, f"{_PREDICTOR}transformer_ffn_layers."),
        num_attention_heads=heads,
        intermediate_size=shape(f"{_PREDICTOR}transformer_ffn_layers.0.linear1.weight")[0],
        pixel_decoder_layers=_count(weights, encoder),
        pixel_decoder_intermediate_size=shape(f"{encoder}0.linear1.weight")[0],
        pixel_decoder_points=samples // (heads * levels),
        region_kernel_sizes=[3 + 2 * index for index in range(kernels)],
        region_layers=_count(weights, region),
        region_intermediate_size=shape(f"{region}0.linear1.weight")[0],
        # Over a single key the number of heads changes nothing; it must divide the width.
        context_num_heads=math.gcd(8, projection),
        num_points=sizes["points"],
        region_dropout=0.0,
        # The goldens were computed with the images of a batch padded to one size.
        batch_padding="together",
        alpha=spec["alpha"],
        beta=spec["beta"],
    )


def build_processor(seed: GoldenSeed) -> ScoreProcessor:
    """Builds the processor, whose seen classes are those of the seed's training."""
    return ScoreProcessor(
        ScoreImageProcessor(do_resize=False), read_tokenizer(), seen_classes=seed.names[0]
    )


def read_tokenizer() -> CLIPTokenizer:
    """Builds CLIP's tokenizer from the vocabulary that OpenCLIP brings along.

    Raises:
        ImportError: If OpenCLIP is not installed.
    """
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        raise ImportError(
            "Checking texts needs OpenCLIP's vocabulary: `pip install open_clip_torch`."
        )
    path = Path(package.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    # The original's vocabulary ends here: 256 bytes, 256 at a word's end, merges, two marks.
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    letters = list(_byte_letters())
    words = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def _byte_letters() -> list[str]:
    """A visible letter for each byte, in the order of GPT-2's vocabulary."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, visible), *(chr(256 + index) for index in range(256 - len(visible)))]


def _has_text_tower(weights: dict[str, Tensor]) -> bool:
    return all(f"{_TEXT}{name}.weight" in weights for name in ("token_embedding", "ln_final"))


def _heads(sizes: Entries, tower: str, width: int) -> int:
    """Heads of a CLIP tower: the manifest's, or one for 64 channels as CLIP has."""
    return sizes.get(tower, Entries({})).get("heads", max(1, width // 64))


def _count(weights: dict[str, Tensor], prefix: str) -> int:
    """Number of layers that follow a prefix."""
    matches = (re.match(re.escape(prefix) + r"(\d+)\.", name) for name in weights)
    return len({match.group(1) for match in matches if match})
