"""Images and class names in, instances out: what command line, evaluation and demo all call."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .bundled import DEFAULT_MODEL
from .loading import load_model
from .modeling.modeling_score import (
    ScoreForInstanceSegmentation,
    ScoreForInstanceSegmentationOutput,
)
from .modeling.text_classifier import ScoreClassifier
from .processing.image_loading import open_image, to_8_bits
from .processing.image_sizes import height_and_width
from .processing.predictions import check_count, check_fraction
from .processing.processing_score import ScoreProcessor
from .processing.prompts import check_class_names, shortened
from .reading_ahead import ahead

ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
Progress = Callable[[int, int | None], None]
DEFAULT_THRESHOLD = 0.3


@dataclass(frozen=True)
class NamedClass:
    """One class of a vocabulary.

    Args:
        name: What results call it: its first synonym.
        synonyms: All its names, the first included.
        seen: Whether the model was trained on it; None if the model does not say what it was
            trained on.
    """

    name: str
    synonyms: tuple[str, ...]
    seen: bool | None

    @classmethod
    def of(cls, names: str, seen: bool | None) -> "NamedClass":
        """Makes a class of its names, which commas separate."""
        synonyms = tuple(synonym.strip() for synonym in names.split(","))
        return cls(synonyms[0], synonyms, seen)


@dataclass(frozen=True)
class SegmentedImage:
    """What became of one image.

    Args:
        name: Its path as given, or "image 3" for the fourth of images in memory.
        image: The picture, upright; None if it could not be read.
        instances: As `post_process_instance_segmentation` returns them, at the picture's size;
            None if it could not be read.
        error: Why it could not be read, in one sentence; else None.
    """

    name: str
    image: Image.Image | Tensor | None = None
    instances: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class _PreparedImage:
    name: str
    image: Image.Image | Tensor
    pixel_values: Tensor
    pixel_mask: Tensor


# Pictures of one size, or one that could not be read.
_Batch = list[_PreparedImage] | SegmentedImage


class Segmenter:
    """A model and a vocabulary that is encoded once, for any number of images.

    Args:
        model: A folder, bundled name or hub id, see `load_model`; or a loaded model.
        classes: One item a class, a comma inside an item separates synonyms. None: the vocabulary
            that the model stores.
        processor: The processor of a loaded model; else it is loaded with the model.
        device: Such as "cpu" or "cuda"; None takes a GPU if there is one. A loaded model stays
            where it is.
        dtype: "float32", "bfloat16-trunks", "bfloat16" or "float16"; see `load_model`. A loaded
            model stays as it is.

    Raises:
        TypeError: If `model` is none, or a loaded model comes without its processor.
        ValueError: If the model cannot be loaded, the class names are not valid, or there are
            none and the model stores none.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ScoreForInstanceSegmentation = DEFAULT_MODEL,
        classes: Sequence[str] | None = None,
        processor: ScoreProcessor | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "float32",
    ) -> None:
        if classes is not None:
            # Loading can take minutes; a slip in the names is told before.
            classes = check_class_names(classes)
        if isinstance(model, str | os.PathLike):
            self.model, loaded_processor = load_model(model, device, dtype)
            self.processor = processor or loaded_processor
        elif not hasattr(model, "build_classifier"):
            raise TypeError(
                "`model` must be the name of a model or a loaded ScoreForInstanceSegmentation, but "
                f"got {type(model).__name__}."
            )
        elif processor is None:
            raise TypeError("`processor` must be given with a `model` that is loaded already.")
        else:
            self.model, self.processor = model.eval(), processor
        if untrained := ", ".join(self.model.config.untrained_parts):
            warnings.warn(
                "What this model finds means nothing yet: random numbers stand in its "
                f"{untrained}, which are still to be trained.",
                stacklevel=2,
            )
        self.classes: list[NamedClass] = []
        self._classifier: ScoreClassifier | None = None
        self.set_classes(classes)

    @torch.inference_mode()
    def set_classes(self, classes: Sequence[str] | None) -> None:
        """Encodes another vocabulary.

        Args:
            classes: As for the class.

        Raises:
            ValueError: As for the class.
        """
        if classes is None:
            self.classes, self._classifier = self._stored_classes(), None
            return
        checked = check_class_names(classes)
        tokens = self.processor.tokenize_classes(checked).to(self.model.device)
        classifier = self.model.build_classifier(**tokens)
        seen: Sequence[bool | None] = tokens["seen_classes"].tolist()
        if self.processor.seen_classes is None:
            seen = [None] * len(checked)
        self.classes = [NamedClass.of(*pair) for pair in zip(checked, seen, strict=True)]
        self._classifier = classifier

    def _stored_classes(self) -> list[NamedClass]:
        config: Any = self.model.config
        if not config.stored_synonyms:
            raise ValueError(
                "`classes` must name what to look for, got none, and the model stores no "
                "vocabulary of its own; on the command line they are `--classes`."
            )
        stored: Any = self.model.stored_seen_classes
        seen, labels = stored.tolist(), config.id2label
        if self.processor.seen_classes is None:
            seen = [None] * len(seen)
        names = [labels[index] for index in range(len(seen))]
        return [NamedClass.of(*pair) for pair in zip(names, seen, strict=True)]

    def segment(
        self,
        images: ImageSource | Iterable[ImageSource],
        threshold: float = DEFAULT_THRESHOLD,
        max_detections: int | None = None,
        batch_size: int = 1,
        return_rle: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[SegmentedImage]:
        """Segments images, one after the other.

        The next image is read, and the last one finished, while the network computes. An image
        that cannot be read gives a result that says so, and the rest goes on. Only
        neighbours of the same padded size are computed together, so that the result of an image
        does not depend on the others.

        Args:
            images: Paths, http(s) addresses, PIL images, arrays or tensors; one, or an iterable
                of them, which is read as results are asked for, two or three ahead.
            threshold: Lowest score of an instance.
            max_detections: How many instances an image can have; None: what the processor says.
            batch_size: How many images are computed together at most.
            return_rle: Whether masks are COCO run-length encodings, which need little memory.
            progress: Called after each image with the number of images done and of all, None if
                `images` does not tell.

        Returns:
            An iterator of results in the order of the images.

        Raises:
            TypeError: If `images` is nothing of the kind.
            ValueError: If an argument is out of its range.
        """
        check_fraction(threshold, "threshold")
        check_count(batch_size, "batch_size")
        if max_detections is not None:
            check_count(max_detections, "max_detections")
        is_single = isinstance(images, str | os.PathLike | Image.Image) or (
            isinstance(images, np.ndarray | Tensor) and images.ndim < 4
        )
        if isinstance(images, bytes | Mapping) or not (is_single or isinstance(images, Iterable)):
            raise TypeError(
                "`images` must be a path, an address, a PIL image, an array, a tensor or several "
                f"of these, but got {type(images).__name__}."
            )
        options = {
            "threshold": threshold,
            "max_detections": max_detections,
            "return_rle": return_rle,
            "class_names": [entry.name for entry in self.classes],
        }
        # Taken along now: another vocabulary may be set before the results are asked for.
        sources: Any = [images] if is_single else images
        results = self._results(sources, self._classifier, batch_size, options)
        return results if progress is None else _reporting(results, _length(sources), progress)

    def _results(
        self,
        sources: Iterable[ImageSource],
        classifier: ScoreClassifier | None,
        batch_size: int,
        options: dict[str, Any],
    ) -> Iterator[SegmentedImage]:
        prepared = ahead(lambda numbered: self._prepare(*numbered), enumerate(sources))
        computed = (
            (batch, self._compute(batch, classifier)) for batch in _batches(prepared, batch_size)
        )
        for results in ahead(lambda pair: self._finish(*pair, options), computed):
            yield from results

    def _prepare(self, index: int, source: ImageSource) -> _PreparedImage | SegmentedImage:
        """Reads and resizes one image; what is wrong with it becomes its result."""
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        if path is None:
            name, argument = f"image {index}", f"`images[{index}]`"
        else:
            name = shortened(path) if path.startswith("data:") else path
            argument = f"`images` has {path[:200]!r}, which"
        processor = self.processor.image_processor
        limit = processor.size_limit()
        try:
            opened = source if path is None else open_image(path, limit)
            limit.check_image(opened, argument)
            image = to_8_bits(opened, argument)
            inputs = processor(image, return_tensors="pt")
        except (TypeError, ValueError) as error:
            # The processor is given one image and counts from 0.
            return SegmentedImage(name, error=str(error).replace("`images[0]`", argument))
        return _PreparedImage(name, image, inputs["pixel_values"], inputs["pixel_mask"])

    @torch.inference_mode()
    def _compute(
        self, batch: _Batch, classifier: ScoreClassifier | None
    ) -> ScoreForInstanceSegmentationOutput | None:
        """Passes a batch through the network; None if it does not fit into memory."""
        if isinstance(batch, SegmentedImage):
            return None
        device, dtype = self.model.device, self.model.dtype
        try:
            return self.model(
                pixel_values=torch.cat([item.pixel_values for item in batch]).to(device, dtype),
                pixel_mask=torch.cat([item.pixel_mask for item in batch]).to(device),
                classifier=classifier,
            )
        except (MemoryError, torch.cuda.OutOfMemoryError):
            return None

    @torch.inference_mode()
    def _finish(
        self,
        batch: _Batch,
        outputs: ScoreForInstanceSegmentationOutput | None,
        options: dict[str, Any],
    ) -> list[SegmentedImage]:
        """Makes the results of a batch."""
        if isinstance(batch, SegmentedImage):
            return [batch]
        try:
            if outputs is None:
                raise MemoryError
            found = self.processor.post_process_instance_segmentation(
                outputs, target_sizes=[height_and_width(item.image) for item in batch], **options
            )
        except (MemoryError, torch.cuda.OutOfMemoryError):
            return [SegmentedImage(item.name, error=_too_large(item, len(batch))) for item in batch]
        return [
            SegmentedImage(item.name, item.image, instances)
            for item, instances in zip(batch, found, strict=True)
        ]


def segment(
    images: ImageSource | Iterable[ImageSource],
    classes: Sequence[str] | None = None,
    model: str | os.PathLike[str] | ScoreForInstanceSegmentation = DEFAULT_MODEL,
    threshold: float = DEFAULT_THRESHOLD,
    **options: Any,
) -> list[SegmentedImage]:
    """Segments images in one call; for more than one call, a `Segmenter` loads the model once.

    Args:
        images: One or several; see `Segmenter.segment`.
        classes: One item a class, a comma inside an item separates synonyms; None: the vocabulary
            that the model stores.
        model: A folder, bundled name or hub id, or a loaded model.
        threshold: Lowest score of an instance.
        **options: Other arguments of `Segmenter` (`processor`, `device`, `dtype`) and of its
            `segment`.

    Returns:
        One result an image.

    Raises:
        TypeError: If an option is not known.
        ValueError: If an argument is not valid.
    """
    loading = {key: options.pop(key) for key in ("processor", "device", "dtype") if key in options}
    return list(Segmenter(model, classes, **loading).segment(images, threshold, **options))


def _batches(prepared: Iterable[_PreparedImage | SegmentedImage], limit: int) -> Iterator[_Batch]:
    """Puts neighbours of one size together; what could not be read stands alone."""
    batch: list[_PreparedImage] = []
    for item in prepared:
        if batch and not _fits(item, batch, limit):
            yield batch
            batch = []
        if isinstance(item, SegmentedImage):
            yield item
        else:
            batch.append(item)
    if batch:
        yield batch


def _fits(item: _PreparedImage | SegmentedImage, batch: list[_PreparedImage], limit: int) -> bool:
    return (
        isinstance(item, _PreparedImage)
        and len(batch) < limit
        and item.pixel_values.shape == batch[0].pixel_values.shape
    )


def _too_large(item: _PreparedImage, batch_size: int) -> str:
    height, width = height_and_width(item.image)
    return (
        f"`images` has {item.name!r}, {width} pixels wide and {height} high, for which there is "
        f"not enough memory in a batch of {batch_size}; cut it into tiles, or lower `batch_size`."
    )


def _length(images: Iterable[ImageSource]) -> int | None:
    try:
        return len(images)  # type: ignore[arg-type]
    except TypeError:
        return None


def _reporting(
    results: Iterator[SegmentedImage], total: int | None, progress: Progress
) -> Iterator[SegmentedImage]:
    for done, result in enumerate(results, start=1):
        yield result
        progress(done, total)
