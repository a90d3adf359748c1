"""Pictures with sentences about them: captioned images, and objects cropped with their names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..processing.processing_score import ScoreProcessor
from ..processing.prompts import split_synonyms
from .batches import Spread
from .samples import open_image, undecoded
from .seeds import PAIRS

# How much of a captioned image's side a crop shows.
_SHOWN = (0.6, 1.0)
# Side of an object's crop, in longer sides of its box, and at least so many pixels.
_SURROUNDINGS = (1.2, 2.5)
_SMALLEST_CROP = 24


@dataclass(frozen=True, eq=False)
class Pair:
    """A picture and a sentence about it.

    Args:
        pixels: (side, side, 3) uint8.
        text: The sentence.
        label: Pairs with the same label say the same; each sentence fits each of the pictures.
    """

    pixels: np.ndarray
    text: str
    label: int


class CaptionedImages:
    """Whole images with captions that people wrote.

    Args:
        folder: With `captions.jsonl`, one row an image: `file_name` and `captions`.

    Raises:
        ValueError: If there is no such file, or a row is of another form.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "captions.jsonl"
        if not file.is_file():
            raise ValueError(f"`recipe.captions` must be a folder with captions.jsonl: '{folder}'.")
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
            self.rows = [json.loads(line) for line in lines if line.strip()]
        # Also bytes that are no text, and brackets in brackets without end.
        except (ValueError, RecursionError) as error:
            raise ValueError(f"'{file}' must have a row of JSON a line ({error}).") from error
        if not self.rows or not all(map(_is_row, self.rows)):
            raise ValueError(
                f"'{file}' must have rows with a `file_name` and `captions` each, a text and a "
                "list of texts."
            )

    def draw(self, side: int, rng: np.random.Generator) -> Pair:
        """Draws an image, a crop of it and one of its captions.

        Args:
            side: Of the picture.
            rng: Where the draws come from.

        Returns:
            The pair; the label is the image's number.

        Raises:
            ValueError: If its picture cannot be read.
        """
        number = int(rng.integers(len(self.rows)))
        row = self.rows[number]
        captions = row["captions"]
        image = self._open(row["file_name"])
        shown = min(image.size) * rng.uniform(*_SHOWN)
        left, top = (rng.uniform(0, length - shown) for length in image.size)
        pixels = _crop(image, left, top, shown, side, rng)
        return Pair(pixels, captions[int(rng.integers(len(captions)))].lower(), number)

    def _open(self, name: str) -> Image.Image:
        try:
            with Image.open(self.folder / name) as image:
                return image.convert("RGB")
        # Decoders of damaged files raise whatever they stumble over.
        except Exception as error:
            raise ValueError(
                f"`recipe.captions` names the picture {name!r:.200} in '{self.folder}', which "
                f"cannot be read ({error!s:.200})."
            ) from error


class ObjectCrops:
    """Objects of a prepared set with their surroundings, each class as often as another.

    Args:
        dataset: A split, of `score_hf.data.loading.load_split`.
        names: What each class is called, one item a class, a comma inside separates synonyms.
        templates: Sentences with `{}` where the name goes.

    Raises:
        ValueError: If there is no object.
    """

    def __init__(self, dataset: Any, names: Sequence[str], templates: Sequence[str]) -> None:
        self.rows = undecoded(dataset)
        self.names = [split_synonyms(name) for name in names]
        self.templates = templates
        places: dict[int, list[tuple[int, list[float]]]] = {}
        for number, row in enumerate(dataset.select_columns(["objects"])):
            for one in row["objects"]:
                if not one["iscrowd"]:
                    places.setdefault(one["category"], []).append((number, one["bbox"]))
        if not places:
            raise ValueError("`recipe.dataset` has no object to crop.")
        self.places = dict(sorted(places.items()))

    def draw(self, side: int, rng: np.random.Generator) -> Pair:
        """Draws a class, an object of it, a crop around it and a sentence with a name of it.

        Args:
            side: Of the picture.
            rng: Where the draws come from.

        Returns:
            The pair; the label is the class's number.
        """
        label = list(self.places)[int(rng.integers(len(self.places)))]
        number, box = self.places[label][int(rng.integers(len(self.places[label])))]
        row: Mapping[str, Any] = self.rows[number]
        left, top, width, height = box
        shown = max(_SMALLEST_CROP, max(width, height) * rng.uniform(*_SURROUNDINGS))
        shown = min(shown, row["width"], row["height"])
        # Objects at the rim stay whole and are out of the crop's middle.
        left = min(max(0.0, left + (width - shown) / 2), row["width"] - shown)
        top = min(max(0.0, top + (height - shown) / 2), row["height"] - shown)
        pixels = _crop(open_image(row["image"], row), left, top, shown, side, rng)
        names = self.names[label]
        name = names[int(rng.integers(len(names)))]
        template = self.templates[int(rng.integers(len(self.templates)))]
        return Pair(pixels, template.replace("{}", name), label)


class PairBatches(Dataset):
    """What each step contrasts, a function of the seed and the step.

    Args:
        objects: The crops of objects.
        captioned: The captioned images, if any.
        caption_share: Share of these in each process's pairs.
        processor: Normalises and tokenizes.
        side: Of the pictures, in pixels.
        spread: Which pairs are this process's.
        seed: The recipe's.
    """

    def __init__(
        self,
        objects: ObjectCrops,
        captioned: CaptionedImages | None,
        caption_share: float,
        processor: ScoreProcessor,
        side: int,
        spread: Spread,
        seed: int,
    ) -> None:
        self.objects = objects
        self.captioned = captioned
        self.caption_share = caption_share
        self.processor = processor
        self.side = side
        self.spread = spread
        self.seed = seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """Makes the batch of a step: arguments of `ContrastedTowers.forward`."""
        places = self.spread.places(step)
        captions = 0 if self.captioned is None else round(self.caption_share * len(places))
        pairs = []
        for number, place in enumerate(places):
            rng = np.random.default_rng((self.seed, PAIRS, step, place))
            if self.captioned is not None and number < captions:
                pair = self.captioned.draw(self.side, rng)
                pairs.append(Pair(pair.pixels, pair.text, len(self.objects.names) + pair.label))
            else:
                pairs.append(self.objects.draw(self.side, rng))
        images = self.processor.image_processor(
            [pair.pixels for pair in pairs], do_resize=False, return_tensors="pt"
        )
        texts = self.processor.tokenizer(
            [pair.text for pair in pairs], padding=True, truncation=True, return_tensors="pt"
        )
        return {
            "pixel_values": images["pixel_values"],
            "input_ids": texts["input_ids"],
            "attention_mask": texts["attention_mask"],
            "labels": torch.tensor([pair.label for pair in pairs]),
        }


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        return False
    captions = row.get("captions")
    return (
        isinstance(captions, list)
        and len(captions) > 0
        and all(isinstance(one, str) for one in captions)
    )


def _crop(
    image: Image.Image, left: float, top: float, shown: float, side: int, rng: np.random.Generator
) -> np.ndarray:
    """Shows a square of an image, perhaps mirrored and turned: seen from above there is no up."""
    box = (left, top, left + shown, top + shown)
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box))
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, int(rng.integers(4))))
