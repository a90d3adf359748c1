import numpy as np
import torch
from pycocotools import mask as coco_mask

from score_hf.drawn_scenes import DRAWN_VOCABULARY, draw_scene
from score_hf.training.evaluate_drawn import evaluate

NAMES = list(DRAWN_VOCABULARY)


class Oracle:
    """Answers with the true masks of the scenes, but calls every second object a ship."""

    device = torch.device("cpu")

    def __init__(self, seeds, size, mistaken):
        self.scenes = [draw_scene(seed, size) for seed in seeds]
        self.mistaken = mistaken

    def build_classifier(self, input_ids):
        return None

    def __call__(self, classifier):
        return self.scenes.pop(0)

    def tokenize_classes(self, classes):
        return Batch(input_ids=classes)

    def post_process_instance_segmentation(self, scene, threshold, target_sizes, return_rle):
        labels = [NAMES.index(name) for name in scene.class_names]
        if self.mistaken:
            labels[::2] = [NAMES.index("ship")] * len(labels[::2])
        masks = [coco_mask.encode(np.asfortranarray(m, dtype=np.uint8)) for m in scene.masks]
        return [{"scores": torch.ones(len(labels)), "labels": torch.tensor(labels), "masks": masks}]


class Batch(dict):
    def to(self, device):
        return self


class Processor:
    def __init__(self, oracle):
        self.oracle = oracle

    def __getattr__(self, name):
        return getattr(self.oracle, name)

    def __call__(self, images, return_tensors):
        return Batch()


def figures(mistaken):
    seeds = list(range(6))
    oracle = Oracle(seeds, 128, mistaken)
    return evaluate(oracle, Processor(oracle), NAMES, seeds, 128)


def test_the_truth_scores_one():
    assert figures(mistaken=False)["AP"] == 1.0


def test_mistaken_classes_cost_precision():
    found = figures(mistaken=True)
    assert found["AP50"] < 0.8
    assert found["AP50/ship"] < 0.5
