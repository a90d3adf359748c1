"""What a visitor may ask for, and the sentences that say so."""

import base64
import math
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ..processing.image_loading import open_image
from ..processing.image_sizes import SizeLimit, fitted_size, padded_size

# Pillow reads more, also programs (PostScript) that it lets others run.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of a machine that many share.

    Args:
        file_megabytes: Largest upload; the server refuses more while it is still sent.
        picture_pixels: Most pixels of an upload.
        network_pixels: Most pixels that the network is given at once.
        classes: Most classes of a vocabulary.
        names: Most names of a vocabulary, synonyms counted.
        name_length: Most letters of a name.
        waiting: How many visitors can wait at a time.
        kept_results: Of how many visitors a result is kept; each takes up to 50 MB.
        kept_seconds: How long uploads and results are kept.
        scene_tiles: Most tiles of a whole scene.
    """

    file_megabytes: int = 20
    picture_pixels: int = 16_000_000
    network_pixels: int = 1_500_000
    classes: int = 100
    names: int = 300
    name_length: int = 80
    waiting: int = 30
    kept_results: int = 60
    kept_seconds: int = 3600
    scene_tiles: int = 64


@dataclass(frozen=True)
class UploadLimit(SizeLimit):
    """The limits of a picture, told in words of the demo.

    Args:
        picture_pixels: Most pixels of the picture as it is uploaded.
    """

    picture_pixels: int

    def check(self, height: int, width: int, name: str) -> None:
        """Checks a picture by its height and width, which files tell before they are decoded.

        Args:
            height: Height of the picture.
            width: Width of the picture.
            name: Not used: a visitor has one picture.

        Raises:
            ValueError: If the picture is too large.
        """
        if height * width > self.picture_pixels:
            raise ValueError(
                f"The picture is {width} x {height}, {_millions(height * width)} million pixels, "
                f"and this demo takes up to {_millions(self.picture_pixels)} million: cut out a "
                "part or make it smaller."
            )
        if height < 1 or width < 1:
            return
        resized = (height, width) if self.size is None else fitted_size(height, width, self.size)
        needed = math.prod(padded_size(*resized, self.divisor))
        if needed > self.max_pixels:
            raise ValueError(
                f"The picture is {width} x {height}, for this model {_millions(needed)} million "
                f"pixels, and the demo computes up to {_millions(self.max_pixels)} million at "
                "once: cut out a part or make it smaller."
            )


def read_picture(upload: str | None, limits: Limits, processor: Any) -> Image.Image:
    """Opens what a visitor uploaded.

    Args:
        upload: Path of the upload as the server stored it, or a `data:image/...` address.
        limits: Of the demo.
        processor: The image processor, which knows what the network will be given.

    Returns:
        The upright picture, in its own mode.

    Raises:
        ValueError: If there is none, it is no picture or it is too large.
    """
    if not upload:
        raise ValueError("There is no picture yet: upload one, paste one or pick an example.")
    # Four letters hold three bytes; files are limited by the server.
    if upload.startswith("data:") and len(upload) * 3 // 4 > limits.file_megabytes << 20:
        raise ValueError(
            f"The picture has more than the {limits.file_megabytes} MB that this demo takes: cut "
            "out a part or make it smaller."
        )
    # Never an address, whatever the name looks like.
    name = upload if upload.startswith("data:") else str(Path(upload).absolute())
    network = processor.size_limit()
    limit = UploadLimit(
        min(network.max_pixels, limits.network_pixels),
        network.size,
        network.divisor,
        limits.picture_pixels,
    )
    try:
        _check_header(name, limit)
        return open_image(name, limit)
    except ValueError as error:
        # Where the server keeps its files is nothing for a visitor.
        message = str(error).replace(f"`images` has {name[:200]!r}, which", "The picture")
        raise ValueError(message) from error


def _check_header(name: str, limit: UploadLimit) -> None:
    """Refuses, before anything is decoded, other formats and what is too large."""
    try:
        is_data = name.startswith("data:")
        file = BytesIO(base64.b64decode(name.partition(",")[2], validate=True)) if is_data else name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            header = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        formats = ", ".join(_FORMATS)
        raise ValueError(f"The picture cannot be decoded: it is none of {formats}.") from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"The picture has far more than the {_millions(limit.picture_pixels)} million pixels "
            "that this demo takes: cut out a part or make it smaller."
        ) from error
    # What else is wrong is told by whoever opens it.
    except (OSError, ValueError):
        return
    with header:
        limit.check(header.height, header.width, name)


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:.3g}"
