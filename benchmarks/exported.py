"""What exported graphs lose in mask AP, their size and time, against PyTorch on the same images.

score-hf prepare drawn --split val --images 40 -o drawn
score-hf export onnx score-tiny -o exported && score-hf export onnx score-tiny --int8 -o small
python -m benchmarks.exported drawn exported small
"""

import argparse
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from score_hf import ScoreForInstanceSegmentation
from score_hf.data.loading import load_split
from score_hf.evaluation.evaluator import evaluate_model
from score_hf.export.model_folder import GRAPHS
from score_hf.export.onnx_graph import OnnxSession
from score_hf.loading import load_model
from score_hf.modeling.batch_padding import image_sizes_of
from score_hf.modeling.modeling_score import ScoreForInstanceSegmentationOutput
from score_hf.modeling.text_classifier import ScoreClassifier


class GraphInPlace:
    """Stands in for a model's `forward`, by an exported graph; counts its seconds.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.seconds = 0.0

    def __call__(
        self, pixel_values: Tensor, pixel_mask: Tensor, classifier: ScoreClassifier
    ) -> ScoreForInstanceSegmentationOutput:
        start = time.perf_counter()
        class_logits, mask_logits = self.graph({"pixel_values": pixel_values, **classifier})
        self.seconds += time.perf_counter() - start
        return ScoreForInstanceSegmentationOutput(
            class_queries_logits=class_logits,
            masks_queries_logits=mask_logits,
            image_sizes=image_sizes_of(pixel_values, pixel_mask),
            seen_classes=classifier.seen_classes.long().expand(len(pixel_values), -1),
        )


def measure(model_name: str, folder: Path | None, rows: Any) -> dict[str, float]:
    """Evaluates a model on rows of a dataset, by PyTorch or by an exported graph in `folder`."""
    model, processor = load_model(model_name, "cpu")
    size = sum(parameter.nbytes for parameter in image_parameters(model))
    in_place = GraphInPlace(plain_forward(model))
    if folder is not None:
        path = folder / GRAPHS["onnx"]
        in_place.graph = OnnxSession(path)
        size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    model.forward = in_place
    figures = evaluate_model(model, processor, rows)
    return {
        "AP": 100 * figures["AP"],
        "AP50": 100 * figures["AP50"],
        "seconds": in_place.seconds / figures["num_images"],
        "MB": size / 1e6,
    }


def image_parameters(model: ScoreForInstanceSegmentation) -> list[Tensor]:
    """Lists the weights of the image half."""
    return [one for name, one in model.named_parameters() if "text_tower" not in name]


def plain_forward(model: ScoreForInstanceSegmentation) -> Any:
    """Gives PyTorch's own forward pass in the form of an exported graph."""
    forward = model.forward

    def run(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        pixel_values = inputs.pop("pixel_values")
        outputs = forward(pixel_values=pixel_values, classifier=ScoreClassifier(**inputs))
        return outputs.class_queries_logits, outputs.masks_queries_logits

    return run


def main(arguments: list[str] | None = None) -> None:
    """Prints a line for PyTorch and one for each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="folder that `score-hf prepare` wrote")
    parser.add_argument("folders", nargs="*", type=Path, help="that `score-hf export onnx` wrote")
    parser.add_argument("--model", default="score-tiny", help="what they were exported from")
    parser.add_argument("--split", default="val")
    options = parser.parse_args(arguments)
    rows = load_split(options.dataset, options.split)
    print(f"{'':20} {'AP':>6} {'AP50':>6} {'s/image':>8} {'MB':>8}")
    for folder in (None, *options.folders):
        row = measure(options.model, folder, rows)
        name = "PyTorch" if folder is None else str(folder)
        print(
            f"{name:20} {row['AP']:6.2f} {row['AP50']:6.2f} {row['seconds']:8.3f} {row['MB']:8.1f}"
        )


if __name__ == "__main__":
    main()
