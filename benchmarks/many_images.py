"""Whether memory stays flat over many images of different sizes.

python -m benchmarks.many_images [--images 50]

Prints the peak of memory while the first and the last fifth of the images were segmented,
with the paper's model (random weights).
"""

import argparse

import numpy as np
import torch

from score_hf import ScoreImageProcessor
from score_hf.drawn_scenes import draw_scene

from .inference import build_model, random_vocabulary
from .memory import forget_peak, peak_memory


@torch.inference_mode()
def run(images: int) -> list[float]:
    """Segments images and returns the peak of memory of each, in GB."""
    rng = np.random.default_rng(0)
    device = torch.device("cpu")
    model, processor = build_model("float32", device, text_tower=False), ScoreImageProcessor()
    vocabulary = random_vocabulary(20, model.config.projection_dim, device)
    peaks = []
    for number in range(images):
        height, width = rng.integers(256, 640, 2)
        image = draw_scene(number, 640).image.crop((0, 0, int(width), int(height)))
        forget_peak()
        inputs = processor(image, return_tensors="pt")
        outputs = model(**inputs, classifier=vocabulary)
        processor.post_process_instance_segmentation(
            outputs, threshold=0.0, target_sizes=[(int(height), int(width))], return_rle=True
        )
        peaks.append(peak_memory())
        print(f"{number + 1:4} {height} x {width}: {peaks[-1]:.3f} GB", flush=True)
    return peaks


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50)
    peaks = run(parser.parse_args().images)
    part = max(1, len(peaks) // 5)
    first, last = max(peaks[:part]), max(peaks[-part:])
    print(f"first {part}: {first:.3f} GB, last {part}: {last:.3f} GB, ratio {last / first:.3f}")


if __name__ == "__main__":
    main()
