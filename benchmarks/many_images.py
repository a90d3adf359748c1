"""Whether memory stays flat over many images of different sizes.

python -m benchmarks.many_images [--images 50] [--as-a-library]

Prints the peak of memory while the first and the last fifth of the images were segmented,
with the paper's model (random weights), in a process that keeps its memory steady as the command
line does.
"""

import argparse

import numpy as np

from score_hf import (
    ScoreConfig,
    ScoreForInstanceSegmentation,
    ScoreImageProcessor,
    ScoreProcessor,
    Segmenter,
)
from score_hf.drawn_scenes import draw_scene
from score_hf.steady_memory import keep_memory_steady

from .memory import forget_peak, peak_memory


def run(images: int, steady: bool) -> list[float]:
    """Segments images and returns the peak of memory of each, in GB."""
    rng = np.random.default_rng(0)
    names = {index: f"class {index}" for index in range(20)}
    config = ScoreConfig(text_tower=False, stored_synonyms=len(names), id2label=names)
    model = ScoreForInstanceSegmentation(config)
    if steady:
        keep_memory_steady(model)
    # The vocabulary is stored: any tokenizer does.
    tokenizer = Segmenter("score-tiny").processor.tokenizer
    processor = ScoreProcessor(ScoreImageProcessor(), tokenizer)
    segmenter = Segmenter(model, processor=processor)
    peaks = []
    for number in range(images):
        height, width = rng.integers(256, 640, 2)
        image = draw_scene(number, 640).image.crop((0, 0, int(width), int(height)))
        forget_peak()
        list(segmenter.segment(image, threshold=0.0, return_rle=True))
        peaks.append(peak_memory())
        print(f"{number + 1:4} {height} x {width}: {peaks[-1]:.3f} GB", flush=True)
    return peaks


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument(
        "--as-a-library", action="store_true", help="leave the memory as the C library has it"
    )
    options = parser.parse_args()
    peaks = run(options.images, not options.as_a_library)
    part = max(1, len(peaks) // 5)
    first, last = max(peaks[:part]), max(peaks[-part:])
    print(f"first {part}: {first:.3f} GB, last {part}: {last:.3f} GB, ratio {last / first:.3f}")


if __name__ == "__main__":
    main()
