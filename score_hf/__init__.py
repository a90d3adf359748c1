"""SCORE: open-vocabulary instance segmentation of aerial images, for Transformers."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundled import bundled_model
    from .inference import Segmenter, segment
    from .modeling.configuration_score import ScoreConfig
    from .modeling.modeling_score import ScoreForInstanceSegmentation
    from .modeling.pretrained_score import ScorePreTrainedModel
    from .modeling.text_classifier import ScoreClassifier
    from .processing.image_processing_score import ScoreImageProcessor
    from .processing.processing_score import ScoreProcessor

__version__ = "0.1.0"

# Where each public name lives; importing it waits until it is asked for, as torch is slow to load.
_HOMES = {
    "ScoreClassifier": "modeling.text_classifier",
    "ScoreConfig": "modeling.configuration_score",
    "ScoreForInstanceSegmentation": "modeling.modeling_score",
    "ScoreImageProcessor": "processing.image_processing_score",
    "ScorePreTrainedModel": "modeling.pretrained_score",
    "ScoreProcessor": "processing.processing_score",
    "Segmenter": "inference",
    "bundled_model": "bundled",
    "segment": "inference",
}

__all__ = [
    "ScoreClassifier",
    "ScoreConfig",
    "ScoreForInstanceSegmentation",
    "ScoreImageProcessor",
    "ScorePreTrainedModel",
    "ScoreProcessor",
    "Segmenter",
    "bundled_model",
    "segment",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Whoever uses a class of ours may go on with an auto class or another part that looks there.
    importlib.import_module(".auto_classes", __name__).register_auto_classes()
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
