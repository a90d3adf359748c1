"""Which inputs are scenes, to be read window by window, and which are plain pictures."""

import os
import warnings
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from PIL import Image

from ..processing.image_sizes import SizeLimit
from .extras import import_rasterio
from .stac import raster_of_item

_ADDRESSES = ("/vsi", "s3://", "gs://", "az://")
_RASTER_SUFFIXES = (".vrt", ".img", ".jp2")
_GEOTIFF_TAGS = (33550, 33922, 34264, 34735)


def expand(sources: Sequence[str]) -> list[str]:
    """Replaces patterns, lists such as `@scenes.txt`, and STAC items by what they name.

    Args:
        sources: As typed by a person.

    Returns:
        Paths and addresses.

    Raises:
        ValueError: If a pattern fits nothing, or a list or STAC item cannot be read.
    """
    expanded: list[str] = []
    for source in sources:
        if source.startswith("@") and not os.path.exists(source):
            try:
                lines = Path(source[1:]).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(
                    f"`IMAGE` is the list {source!r}, which cannot be read."
                ) from error
            expanded += [line.strip() for line in lines if line.strip()]
        elif has_magic(source) and "://" not in source and not os.path.exists(source):
            found = sorted(glob(source, recursive=True))
            if not found:
                raise ValueError(f"`IMAGE` is the pattern {source!r}, which fits no file.")
            expanded += found
        elif source.partition("#")[0].partition("?")[0].lower().endswith(".json"):
            expanded.append(raster_of_item(source))
        else:
            expanded.append(source)
    return expanded


def is_scene(source: str, limit: SizeLimit) -> bool:
    """Tells whether an input is a scene: georeferenced, or too large to be seen at once.

    What cannot be opened is left to those who open it.

    Args:
        source: A path or address.
        limit: What the model takes at once.

    Returns:
        Whether it should go through tiles.

    Raises:
        ImportError: If it is a scene and rasterio is missing.
    """
    path = source.partition("?")[0].lower()
    if source.startswith(_ADDRESSES) or path.endswith(_RASTER_SUFFIXES):
        import_rasterio()
        return True
    if path.startswith(("http://", "https://")):
        return path.endswith((".tif", ".tiff"))
    if not os.path.isfile(source):
        return False
    size = _size(source)
    if size is not None:
        height, width, is_placed = size
        if is_placed or _is_too_large(height, width, limit):
            import_rasterio()
            return True
    try:
        rasterio = import_rasterio()
    except ImportError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with rasterio.open(source) as dataset:
                if dataset.crs is not None or dataset.gcps[0]:
                    return True
                return size is None and _is_too_large(dataset.height, dataset.width, limit)
        # Names that are no text are among what Pillow opens and GDAL does not.
        except (rasterio.errors.RasterioError, UnicodeError):
            return False


def _size(source: str) -> tuple[int, int, bool] | None:
    """Height, width and whether Pillow sees the tags of a GeoTIFF; None if it cannot open it."""
    safe = Image.MAX_IMAGE_PIXELS
    try:
        # Nothing is decoded here.
        Image.MAX_IMAGE_PIXELS = None
        with Image.open(source) as image:
            tags = getattr(image, "tag_v2", {})
            return image.height, image.width, any(tag in tags for tag in _GEOTIFF_TAGS)
    # Decoders of damaged files raise whatever they stumble over.
    except Exception:
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = safe


def _is_too_large(height: int, width: int, limit: SizeLimit) -> bool:
    safe = Image.MAX_IMAGE_PIXELS
    if safe is not None and height * width > safe:
        return True
    try:
        limit.check(height, width, "the image")
    except ValueError:
        return True
    return False
