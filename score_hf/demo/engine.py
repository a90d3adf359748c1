"""The demo's model: pictures and vocabularies of many visitors in, stored results out."""

from dataclasses import dataclass, field
from pathlib import PurePath
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from ..bundled import DEFAULT_MODEL
from ..drawn_scenes import DRAWN_VOCABULARY
from ..inference import NamedClass
from ..loading import load_model
from ..modeling.modeling_score import ScoreForInstanceSegmentation
from ..processing.image_loading import to_8_bits
from ..processing.processing_score import ScoreProcessor
from ..results import as_picture
from .found import Ensemble, StoredResult
from .gpu import on_gpu
from .limits import Limits, read_picture
from .network import Arrays, NetworkResult, encode_names, run_network
from .vocabulary import Vocabulary, VocabularyCache, read_vocabulary

_ENCODE_SECONDS, _NETWORK_SECONDS = 30, 20


@dataclass(frozen=True)
class About:
    """What the demo tells of its model.

    Args:
        name: Folder, bundled name or hub id.
        is_demonstration: Whether it was trained on drawn scenes only.
        training_classes: What it was trained on; None if it does not say.
        ensemble: How it mixes scores by itself.
        trunks: Which trunks can score out of the vocabulary.
        max_detections: How many instances a picture can have.
        stored_classes: All that it can look for, if it cannot encode names; else None.
    """

    name: str
    is_demonstration: bool
    training_classes: list[str] | None
    ensemble: Ensemble
    trunks: tuple[str, ...]
    max_detections: int
    stored_classes: tuple[NamedClass, ...] | None = field(default=None)


@dataclass(frozen=True, eq=False)
class OpenedPicture:
    """A picture, ready for the network.

    Args:
        name: Its file's name.
        picture: RGB picture, upright.
        pixel_values: (1, 3, height, width), as the processor prepares it.
        pixel_mask: (1, height, width), likewise.
    """

    name: str
    picture: Image.Image
    pixel_values: np.ndarray
    pixel_mask: np.ndarray


class DemoEngine:
    """A model that visitors share. Nothing of a visitor stays in it but encoded names.

    Args:
        model: A loaded model.
        processor: Its processor.
        name: What the model is called.
        limits: Of the demo.
    """

    def __init__(
        self,
        model: ScoreForInstanceSegmentation,
        processor: ScoreProcessor,
        name: str = DEFAULT_MODEL,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.about = _about(model, processor, name)
        self._processor = processor
        self._vocabularies = VocabularyCache()
        # One pass at a time: a visitor who cancels leaves one running for moments.
        self._turn = Lock()

        def encode(tokens: Arrays) -> Arrays:
            return encode_names(model, tokens)

        def run(pixels: Any, mask: Any, classifier: Arrays | None) -> NetworkResult:
            return run_network(model, pixels, mask, classifier)

        self._encode = on_gpu(encode, _ENCODE_SECONDS)
        self._run = on_gpu(run, _NETWORK_SECONDS)

    @classmethod
    def load(cls, model: str, device: str | None = None) -> "DemoEngine":
        """Loads a model.

        Args:
            model: Folder, bundled name or hub id.
            device: Such as "cpu"; None takes a GPU if there is one.

        Returns:
            The engine.

        Raises:
            ValueError: If it cannot be loaded.
        """
        loaded, processor = load_model(model, device)
        return cls(loaded, processor, model)

    def read_vocabulary(self, text: str) -> Vocabulary:
        """Reads what a visitor typed.

        Args:
            text: Class names.

        Returns:
            The classes; the model's stored ones if it cannot encode others.

        Raises:
            ValueError: If the text names nothing or exceeds a limit.
        """
        if self.about.stored_classes is not None:
            return Vocabulary(self.about.stored_classes)
        return read_vocabulary(text, self.about.training_classes, self.limits)

    def encode(self, vocabulary: Vocabulary) -> Arrays | None:
        """Encodes a vocabulary, or remembers it.

        Args:
            vocabulary: The classes.

        Returns:
            What `segment` needs; None if the model has its own.
        """
        if self.about.stored_classes is not None:
            return None
        return self._vocabularies.get(vocabulary, self._encode_names)

    def open(self, upload: str | None) -> OpenedPicture:
        """Opens what a visitor uploaded.

        Args:
            upload: Path of the upload as the server stored it, or a `data:image/...` address.

        Returns:
            The picture, ready for the network.

        Raises:
            ValueError: If there is none, it cannot be read or it is too large.
        """
        processor: Any = self._processor.image_processor
        opened = read_picture(upload, self.limits, processor)
        # What the visitor called it is told, and never opened.
        name = "picture" if not upload or upload.startswith("data:") else PurePath(upload).name
        image = to_8_bits(opened, "The picture")
        inputs = processor(image, return_tensors="pt")
        return OpenedPicture(
            name, as_picture(image), inputs["pixel_values"].numpy(), inputs["pixel_mask"].numpy()
        )

    def segment(
        self, opened: OpenedPicture, vocabulary: Vocabulary, classifier: Arrays | None
    ) -> StoredResult:
        """Segments a picture.

        Args:
            opened: The picture.
            vocabulary: The classes.
            classifier: The same, encoded.

        Returns:
            The result.
        """
        with self._turn:
            network = self._run(opened.pixel_values, opened.pixel_mask, classifier)
        return StoredResult(opened.name, opened.picture, vocabulary.classes, network)

    @property
    def image_processor(self) -> Any:
        """The image processor, whose post-processing reads what the network says."""
        return self._processor.image_processor

    def _encode_names(self, class_names: list[str]) -> Arrays:
        tokens = self._processor.tokenize_classes(class_names)
        with self._turn:
            return self._encode({key: tensor.numpy() for key, tensor in tokens.items()})


def _about(model: ScoreForInstanceSegmentation, processor: ScoreProcessor, name: str) -> About:
    config: Any = model.config
    trunk = config.out_of_vocabulary
    drawn = [", ".join(names) for names in DRAWN_VOCABULARY.values()]
    stored = None
    if not config.text_tower:
        seen: Any = model.stored_seen_classes
        names = [config.id2label[index] for index in range(len(seen))]
        split = [tuple(part.strip() for part in one.split(",")) for one in names]
        stored = tuple(
            NamedClass(one[0], one, known) for one, known in zip(split, seen.tolist(), strict=True)
        )
    has_both = trunk == "context" and stored is None
    return About(
        name=name,
        is_demonstration=processor.seen_classes == drawn,
        training_classes=processor.seen_classes,
        ensemble=Ensemble(config.alpha, config.beta, trunk),
        trunks=("context", "general") if has_both else (trunk,),
        max_detections=processor.image_processor.max_detections,
        stored_classes=stored,
    )
