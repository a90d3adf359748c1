"""Mask average precision on drawn scenes that no training has seen.

python -m score_hf.training.evaluate_drawn --model score-tiny --scenes 200
"""

import argparse
import contextlib
import io
import json
from collections.abc import Sequence

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm.auto import tqdm

from .. import ScoreForInstanceSegmentation, ScoreProcessor, bundled_model
from ..drawn_scenes import DRAWN_VOCABULARY, draw_scene, drawn_scenes_as_coco
from .drawn_batches import FIRST_TRAINING_SEED


def evaluate(
    model: ScoreForInstanceSegmentation,
    processor: ScoreProcessor,
    classes: Sequence[str],
    seeds: Sequence[int],
    size: int = 256,
) -> dict[str, float]:
    """Measures COCO's mask average precision.

    Args:
        model: The model, in evaluation mode.
        processor: Its processor.
        classes: One name (or several, separated by commas) for each class of the drawn
            vocabulary, in its order.
        seeds: Seeds of the scenes.
        size: Side of a scene in pixels.

    Returns:
        `AP` (IoU 0.50 to 0.95), `AP50`, `AP75` and `AP50/<class>` for each class
        that is in the scenes.
    """
    truth = COCO()
    truth.dataset = drawn_scenes_as_coco(seeds, size)
    results = []
    with torch.inference_mode(), contextlib.redirect_stdout(io.StringIO()):
        classifier = model.build_classifier(
            **processor.tokenize_classes(list(classes)).to(model.device)
        )
        for seed in tqdm(seeds, desc="scenes"):
            image = draw_scene(seed, size).image
            inputs = processor(images=image, return_tensors="pt").to(model.device)
            found = processor.post_process_instance_segmentation(
                model(**inputs, classifier=classifier),
                threshold=0.0,
                target_sizes=[(size, size)],
                return_rle=True,
            )[0]
            results += [
                {
                    "image_id": seed,
                    "category_id": int(label) + 1,
                    "segmentation": mask,
                    "score": float(score),
                }
                for score, label, mask in zip(
                    found["scores"], found["labels"], found["masks"], strict=True
                )
            ]
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU thresholds, recalls, classes, areas, detections): all areas, 100 detections.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    valid = np.where(precision < 0, np.nan, precision)
    shown = [index for index in range(len(DRAWN_VOCABULARY)) if (precision[:, :, index] >= 0).any()]
    names = list(DRAWN_VOCABULARY)
    return {
        "AP": float(np.nanmean(valid)),
        "AP50": float(np.nanmean(valid[0])),
        "AP75": float(np.nanmean(valid[5])),
        **{f"AP50/{names[index]}": float(np.nanmean(valid[0, :, index])) for index in shown},
    }


def main() -> None:
    """Evaluates a model and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measures mask AP on held-out drawn scenes.")
    parser.add_argument("--model", default="score-tiny", help="bundled name or folder")
    parser.add_argument("--scenes", type=int, default=200, help="number of scenes")
    parser.add_argument("--first-seed", type=int, default=0, help=f"below {FIRST_TRAINING_SEED}")
    parser.add_argument("--size", type=int, default=256, help="side of a scene, pixels")
    parser.add_argument(
        "--synonym",
        type=int,
        default=0,
        help="which name of each class to ask for; beyond its last one, the last",
    )
    arguments = parser.parse_args()
    folder = bundled_model("score-tiny") if arguments.model == "score-tiny" else arguments.model
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
    classes = [
        synonyms[min(arguments.synonym, len(synonyms) - 1)]
        for synonyms in DRAWN_VOCABULARY.values()
    ]
    figures = evaluate(
        ScoreForInstanceSegmentation.from_pretrained(folder),
        ScoreProcessor.from_pretrained(folder),
        classes,
        list(seeds),
        arguments.size,
    )
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
