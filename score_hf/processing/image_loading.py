"""Opens images of all kinds and brings them to 8 bits."""

import base64
import os
import urllib.request
import warnings
from http.client import HTTPException
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .image_sizes import SizeLimit

_EXIF_ORIENTATION = 0x0112
_DOWNLOAD_SECONDS = 60
_DOWNLOAD_BYTES = 2**29
_CHANNELS = (1, 3, 4)
# Modes with colours multiplied by transparency, which little else in Pillow understands.
_STRAIGHT_ALPHA = {"La": "LA", "RGBa": "RGBA"}


def list_images(
    images: Any, batch_dimensions: int = 4, size_limit: SizeLimit | None = None
) -> list[Any]:
    """Makes one flat list of images and opens what is a path or an address.

    Args:
        images: A PIL image, an array or a tensor, a path, an http(s) address, a `data:image/...`
            string, a batch in one array, or lists of these.
        batch_dimensions: An array with so many dimensions is a batch.
        size_limit: What images may become; files that are too large are not even decoded.

    Returns:
        PIL images, arrays and tensors.

    Raises:
        TypeError: If something else is among them.
        ValueError: If a file cannot be read as an image.
    """
    if isinstance(images, str | os.PathLike):
        return [open_image(images, size_limit)]
    if isinstance(images, Image.Image):
        return [images]
    if isinstance(images, np.ndarray | torch.Tensor):
        return list(images) if images.ndim == batch_dimensions else [images]
    if isinstance(images, list | tuple):
        listed = (list_images(item, batch_dimensions, size_limit) for item in images)
        return [image for some in listed for image in some]
    raise TypeError(
        "`images` must be a PIL image, an array, a tensor, a path or an address of an image, or a "
        f"list of these, but got {type(images).__name__}."
    )


def open_image(source: str | os.PathLike[str], size_limit: SizeLimit | None = None) -> Image.Image:
    """Opens an image file, decoded and turned upright.

    Args:
        source: A path, an http(s) address or a `data:image/...;base64,` string.
        size_limit: What the image may become; a file that is too large is not even decoded.

    Returns:
        The image in its own mode; of several frames or pages, the first.

    Raises:
        ValueError: If there is no such file, it is not a complete image, or it says to have more
            pixels than the limit or than Pillow finds safe (`PIL.Image.MAX_IMAGE_PIXELS`).
    """
    location = os.fspath(source)
    name = f"`images` has {location[:200]!r}, which"
    stream = _stream(location, name)
    try:
        with warnings.catch_warnings():
            # Refused below, in a sentence.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(stream)
    except Image.DecompressionBombError as error:
        raise ValueError(_too_large(name)) from error
    # Decoders of damaged files raise whatever they stumble over.
    except Exception as error:
        raise ValueError(_not_decodable(name, error)) from error
    with image:
        safe = Image.MAX_IMAGE_PIXELS
        if safe is not None and image.width * image.height > safe:
            raise ValueError(_too_large(name))
        if size_limit is not None:
            size_limit.check(image.height, image.width, name)
        try:
            return _upright(image)
        except Exception as error:
            raise ValueError(_not_decodable(name, error)) from error


def _stream(location: str, name: str) -> Any:
    """Gives what Pillow can open: the path of a file, or the bytes of an address."""
    if location.lower().startswith(("http://", "https://")):
        try:
            request = urllib.request.Request(location, headers={"User-Agent": "score_hf"})
            with urllib.request.urlopen(request, timeout=_DOWNLOAD_SECONDS) as response:
                received = response.read(_DOWNLOAD_BYTES + 1)
        except (OSError, ValueError, HTTPException) as error:
            raise ValueError(f"{name} cannot be downloaded ({error}).") from error
        if len(received) > _DOWNLOAD_BYTES:
            raise ValueError(
                f"{name} sends more than {_DOWNLOAD_BYTES >> 20} MiB; download it and cut it into "
                "tiles."
            )
    elif location.startswith("data:image/"):
        try:
            received = base64.b64decode(location.partition(",")[2], validate=True)
        except ValueError as error:
            raise ValueError(f"{name} is not valid base64 ({error}).") from error
    else:
        if not os.path.isfile(location):
            raise ValueError(f"{name} is no file; give the path or http(s) address of an image.")
        try:
            with open(location, "rb") as file:
                received = file.read(1)
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror}).") from error
        if received:
            return location
    if not received:
        raise ValueError(f"{name} is empty: it holds no byte; give a complete image file.")
    return BytesIO(received)


def _too_large(name: str) -> str:
    return (
        f"{name} is too large to open at once: it has more than the {Image.MAX_IMAGE_PIXELS:,} "
        "pixels of `PIL.Image.MAX_IMAGE_PIXELS`; cut it into tiles, or raise that limit if you "
        "trust the file."
    )


def _not_decodable(name: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        reason = "its format is not known"
    return f"{name} cannot be decoded ({reason}); give a complete image file that Pillow reads."


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    turned = image.getexif().get(_EXIF_ORIENTATION, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def read_pixels(
    image: Any, name: str, in_colour: bool, channel_order: str | None = None
) -> torch.Tensor:
    """Turns an image into a tensor of pixels, channels first.

    Args:
        image: See [`to_8_bits`].
        name: What the caller calls it; named in the errors.
        in_colour: Whether to bring it to 3 channels: grey is repeated, transparency becomes
            white, as in Transformers' own processors.
        channel_order: "channels_first" or "channels_last" of an array; None: first if that is
            possible.

    Returns:
        `(channels, height, width)`, uint8 or float32.

    Raises:
        TypeError: If it is not of numbers.
        ValueError: If it is damaged, has no pixels or wrong dimensions, or holds values that
            are no colours.
    """
    image = to_8_bits(image, name)
    if isinstance(image, Image.Image):
        try:
            image = _over_white(image) if in_colour else image
            pixels = torch.from_numpy(np.array(image))
        # Such as a palette that lacks colours.
        except Exception as error:
            raise ValueError(_not_decodable(name, error)) from error
        channel_order = "channels_last"
    else:
        pixels = image
    if pixels.ndim == 2:
        pixels = pixels[None]
    elif channel_order == "channels_last" or (
        channel_order is None and pixels.shape[0] not in _CHANNELS
    ):
        pixels = pixels.permute(2, 0, 1)
    if in_colour and pixels.shape[0] == 1:
        pixels = pixels.expand(3, -1, -1)
    elif in_colour and pixels.shape[0] == 4:
        pixels = _blend_with_white(pixels, name)
    return pixels.contiguous()


def _over_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _blend_with_white(pixels: torch.Tensor, name: str) -> torch.Tensor:
    white = 255 if pixels.dtype == torch.uint8 else 1
    if pixels.min() < 0 or pixels.max() > white:
        raise ValueError(
            f"{name} has four channels of floats, which must lie between 0 and 1, but got "
            f"{pixels.min():.4g} to {pixels.max():.4g}."
        )
    colour, opacity = pixels[:3].float(), pixels[3:].float() / white
    blended = colour * opacity + white * (1 - opacity)
    return blended.round().to(torch.uint8) if white == 255 else blended


def to_8_bits(image: Any, name: str) -> Image.Image | torch.Tensor:
    """Checks an image and brings it to 8 bits a channel, or to float32 where it is of floats.

    EXIF orientation is applied. 16-bit values (of uint16 arrays and 16-bit grey files) are
    divided by 257, so that the full range 0..65535 becomes 0..255, as Pillow itself does with
    16-bit colour files: stretch data that uses less of the range beforehand. Booleans become 0
    and 255. Other integers must lie in 0..255. Floats keep their values.

    Args:
        image: A PIL image, an array or a tensor with 1, 3 or 4 channels first or last, or without
            a channel dimension.
        name: What the caller calls it; named in the errors.

    Returns:
        A PIL image of 8 bits, else a tensor, uint8 or float32, in the layout received.

    Raises:
        TypeError: If it is no image, or not of numbers.
        ValueError: If it is damaged, has no pixels or wrong dimensions, or holds values that
            are no colours.
    """
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise ValueError(f"{name} has no pixels: its width and height are {image.size}.")
        try:
            image = _upright(image)
            if image.mode in _STRAIGHT_ALPHA:
                image = image.convert(_STRAIGHT_ALPHA[image.mode])
        # Decoders of damaged files raise whatever they stumble over.
        except Exception as error:
            raise ValueError(_not_decodable(name, error)) from error
        if not image.mode.startswith(("I", "F")):
            return image
        image = np.asarray(image)
    if isinstance(image, np.ndarray):
        try:
            native = image.astype(image.dtype.newbyteorder("="), copy=False)
            image = torch.from_numpy(np.require(native, requirements=["C", "W"]))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} must be an array of numbers, but got dtype {image.dtype}."
            ) from error
    if not isinstance(image, torch.Tensor):
        raise TypeError(
            f"{name} must be a PIL image, an array or a tensor, but got {type(image).__name__}."
        )
    _check_shape(image, name)
    return _tensor_to_8_bits(image.detach(), name)


def _check_shape(image: torch.Tensor, name: str) -> None:
    shape = tuple(image.shape)
    if 0 in shape:
        raise ValueError(f"{name} has no pixels: its shape is {shape}.")
    if image.ndim not in (2, 3):
        raise ValueError(
            f"{name} must have 2 or 3 dimensions, (height, width) and perhaps channels first or "
            f"last, but got shape {shape}."
        )
    if image.ndim == 3 and {shape[0], shape[-1]}.isdisjoint(_CHANNELS):
        raise ValueError(
            f"{name} must have 1, 3 or 4 channels, first or last, but got shape {shape}; pick "
            "three bands."
        )


def _tensor_to_8_bits(image: torch.Tensor, name: str) -> torch.Tensor:
    if image.dtype == torch.uint8:
        return image
    if image.dtype == torch.bool:
        return image.to(torch.uint8) * 255
    if image.dtype == torch.uint16:
        return ((image.to(torch.int32) + 128) // 257).to(torch.uint8)
    if image.is_complex():
        raise TypeError(f"{name} must be an array of real numbers, but got {image.dtype}.")
    if image.is_floating_point():
        if not image.isfinite().all():
            raise ValueError(
                f"{name} holds NaN or infinite pixels; fill them first, for example with 0."
            )
        return image.float()
    image = image.to(torch.int64)
    lowest, highest = int(image.min()), int(image.max())
    if lowest < 0 or highest > 255:
        raise ValueError(
            f"{name} holds integers from {lowest} to {highest}; give uint8 values 0 to 255, or "
            "uint16 values 0 to 65535."
        )
    return image.to(torch.uint8)
