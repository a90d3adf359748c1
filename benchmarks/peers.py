"""Transformers' Mask2Former and SAM 3 with random weights, to time beside SCORE.

Mask2Former gets a ConvNeXt of the size of SCORE's general trunk and is otherwise as its own
configuration makes it (100 queries). SAM 3 is as its own configuration makes it: pictures of 1008²
pixels, one pass of its detector for each class, whose texts are encoded beforehand.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
from PIL import Image

from score_hf.drawn_scenes import draw_scene

from .measure import build_yardstick, cpu_clock, seconds_of, wall_clock
from .memory import peak_memory

PEERS = ("mask2former", "sam3")

Segment = Callable[[], object]


def measure_peer(name: str, size: int, classes: int, cpu_time: bool) -> dict[str, float]:
    """Times a peer on a drawn scene in a process of its own.

    Args:
        name: One of `PEERS`.
        size: Side of the scene, pixels.
        classes: How many classes to look for.
        cpu_time: Whether the work of one thread is told instead of wall time.

    Returns:
        `whole`, in multiples of the yardstick's time, and `peak_above_imports_gb`.
    """
    own_process = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=own_process) as pool:
        return pool.submit(_measure_here, name, size, classes, cpu_time).result()


@torch.inference_mode()
def _measure_here(name: str, size: int, classes: int, cpu_time: bool) -> dict[str, float]:
    if cpu_time:
        torch.set_num_threads(1)
    clock = cpu_clock if cpu_time else wall_clock
    imported = peak_memory()
    segment = build_peer(name, draw_scene(7, size).image, classes)
    segment()
    peak = peak_memory()
    trunk = build_yardstick(torch.device("cpu"))
    pixel_values = torch.randn(1, 3, size, size)
    trunk.forward_features(pixel_values)
    unit = seconds_of(lambda: trunk.forward_features(pixel_values), clock)
    return {
        "whole": seconds_of(segment, clock) / unit,
        "peak_above_imports_gb": peak - imported,
    }


def build_peer(name: str, image: Image.Image, classes: int) -> Segment:
    """Returns what segments the image, from the processor to instances.

    Args:
        name: One of `PEERS`.
        image: What to segment.
        classes: How many classes to look for.
    """
    builders = {"mask2former": _mask2former, "sam3": _sam3}
    return builders[name](image, classes)


def _mask2former(image: Image.Image, classes: int) -> Segment:
    from transformers import (
        ConvNextConfig,
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
    )

    trunk = ConvNextConfig(
        depths=[3, 3, 27, 3],
        hidden_sizes=[192, 384, 768, 1536],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(backbone_config=trunk, num_labels=classes)
    model = Mask2FormerForUniversalSegmentation(config).eval()
    processor = Mask2FormerImageProcessor(do_resize=False)

    def segment() -> object:
        outputs = model(**processor(image, return_tensors="pt"))
        return processor.post_process_instance_segmentation(
            outputs,
            threshold=0.0,
            target_sizes=[image.size[::-1]],
            return_coco_annotation=True,
        )

    return segment


def _sam3(image: Image.Image, classes: int) -> Segment:
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model

    model = Sam3Model(Sam3Config()).eval()
    processor = Sam3ImageProcessor()
    length = model.config.text_config.max_position_embeddings
    texts = [
        model.get_text_features(input_ids=torch.randint(49_000, (1, length)))
        for _ in range(classes)
    ]

    def segment() -> object:
        seen = model.get_vision_features(processor(image, return_tensors="pt")["pixel_values"])
        return [
            processor.post_process_instance_segmentation(
                model(vision_embeds=seen, text_embeds=text),
                threshold=0.0,
                target_sizes=[image.size[::-1]],
            )
            for text in texts
        ]

    return segment
