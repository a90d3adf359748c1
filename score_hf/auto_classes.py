"""Tells Transformers' auto classes of SCORE.

`score_hf` calls this when one of its public names is first used. That keeps `import score_hf`
cheap; hooks on the import system, which could do it earlier, break imports of the parts.
"""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageSegmentation,
    AutoModelForInstanceSegmentation,
    AutoModelForUniversalSegmentation,
    AutoProcessor,
)

from .modeling.configuration_score import ScoreConfig
from .modeling.modeling_score import ScoreForInstanceSegmentation
from .processing.image_processing_score import ScoreImageProcessor
from .processing.processing_score import ScoreProcessor


def register_auto_classes() -> None:
    """Registers configuration, model and processors under the model type `score`."""
    AutoConfig.register("score", ScoreConfig, exist_ok=True)
    for auto_model in (
        AutoModel,
        AutoModelForInstanceSegmentation,
        AutoModelForImageSegmentation,
        AutoModelForUniversalSegmentation,
    ):
        auto_model.register(ScoreConfig, ScoreForInstanceSegmentation, exist_ok=True)
    AutoImageProcessor.register(
        ScoreConfig, image_processor_classes={"torchvision": ScoreImageProcessor}, exist_ok=True
    )
    AutoProcessor.register(ScoreConfig, ScoreProcessor, exist_ok=True)
