"""Image processor of SCORE: pictures in, instances and maps out."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_processing_base import BatchFeature
from transformers.image_utils import (
    ChannelDimension,
    ImageInput,
    PILImageResampling,
    SizeDict,
)
from transformers.processing_utils import ImagesKwargs
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.utils.generic import TensorType
from typing_extensions import Unpack

from .annotations import Objects, read_objects
from .image_loading import list_images, read_pixels
from .image_sizes import SizeLimit, fitted_size, padded_size
from .post_processing import ScorePostProcessing
from .predictions import check_count


class ScoreImageProcessorKwargs(ImagesKwargs, total=False):
    """What can be set beside Transformers' common options.

    Args:
        size_divisor: Padded heights and widths are multiples of this.
        ignore_index: Id of `segmentation_maps` that is no object.
        do_reduce_labels: Whether id 0 of `segmentation_maps` is background and class ids count
            from 1; then `ignore_index` must be set.
        max_detections: How many (query, class) pairs, the best, post-processing considers.
        max_pixels: Most pixels of an image, resized and padded, that the network is given at once.
            At the default, 4096 x 4096, the bundled three million weights take 6 GB of memory and
            a minute or two on a CPU; larger models take more and are meant to resize.
    """

    size_divisor: int
    ignore_index: int | None
    do_reduce_labels: bool
    max_detections: int
    max_pixels: int


class ScoreImageProcessor(TorchvisionBackend, ScorePostProcessing):
    """Prepares images for SCORE and turns its outputs into instances and maps.

    Images are brought to RGB (transparency becomes white), resized, normalised with CLIP's mean
    and deviation, and padded at the right and bottom with zeros to a common multiple of
    `size_divisor`. Arguments are those of Transformers' image processors and those of
    [`ScoreImageProcessorKwargs`]; the defaults are the original's evaluation settings.
    """

    valid_kwargs = ScoreImageProcessorKwargs
    model_input_names = ["pixel_values", "pixel_mask"]  # noqa: RUF012

    do_convert_rgb = True
    do_resize = True
    size = {"shortest_edge": 512, "longest_edge": 800}  # noqa: RUF012
    default_to_square = False
    resample = PILImageResampling.BILINEAR
    do_rescale = True
    rescale_factor = 1 / 255
    do_normalize = True
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD
    do_pad = True
    size_divisor = 32
    ignore_index = None
    do_reduce_labels = False
    max_detections = 300
    max_pixels = 4096 * 4096

    def __init__(self, **kwargs: Unpack[ScoreImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)  # type: ignore[misc]

    def preprocess(
        self,
        images: ImageInput,
        segmentation_maps: ImageInput | None = None,
        instance_id_to_semantic_id: Mapping[int, int] | Sequence[Mapping[int, int]] | None = None,
        annotations: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Unpack[ScoreImageProcessorKwargs],
    ) -> BatchFeature:
        """Prepares images, and what is marked in them for training.

        Args:
            images: One or several: PIL images, arrays, tensors, paths or http(s) addresses. uint8
                of 0..255 is the rule; 16-bit values are divided by 257; floats in 0..1 need
                `do_rescale=False`. EXIF orientation is applied.
            segmentation_maps: Objects as a map of instance ids for each image, as Mask2Former's
                processor takes them.
            instance_id_to_semantic_id: Class index of each instance id, one dictionary for all
                images or one for each; without it the map holds class indices.
            annotations: Objects as a dictionary for each image, which unlike a map can say that
                objects overlap: `masks`, an array (objects, height, width) or a list of masks,
                COCO run lengths or polygon lists, and `class_labels`, their class indices.
            **kwargs: Any option of the processor, for this call.

        Returns:
            `pixel_values` (batch, 3, height, width) and `pixel_mask` (batch, height, width) with
            1 for image and 0 for padding; with objects also lists of tensors `mask_labels`,
            (objects, height, width) float32 at the padded size, and `class_labels`, (objects,).
            Objects that resizing leaves without a pixel are left out.

        Raises:
            TypeError: If an argument is of the wrong kind.
            ValueError: If an image cannot be read, is larger than `max_pixels` or holds no
                colours, or objects do not fit it.
        """
        return super().preprocess(
            images, segmentation_maps, instance_id_to_semantic_id, annotations, **kwargs
        )

    def _preprocess_image_like_inputs(  # type: ignore[override]
        self,
        images: ImageInput,
        segmentation_maps: ImageInput | None,
        instance_id_to_semantic_id: Mapping[int, int] | Sequence[Mapping[int, int]] | None,
        annotations: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
        **kwargs: Any,
    ) -> BatchFeature:
        prepared = self._read_images(images, **kwargs)
        objects = read_objects(
            [(image.shape[-2], image.shape[-1]) for image in prepared],
            segmentation_maps,
            instance_id_to_semantic_id,
            annotations,
            kwargs["ignore_index"],
            kwargs["do_reduce_labels"],
        )
        return self._preprocess(prepared, objects=objects, **kwargs)

    def size_limit(self, **options: Any) -> SizeLimit:
        """Tells how large images may be; large files are refused by it before they are decoded.

        Args:
            **options: Those of a call, if they differ from the processor's own.

        Returns:
            The limit.

        Raises:
            ValueError: If `max_pixels` or `size_divisor` is no positive integer.
        """
        do_resize, size, divisor, max_pixels = (
            options.get(name, getattr(self, name))
            for name in ("do_resize", "size", "size_divisor", "max_pixels")
        )
        return SizeLimit(
            check_count(max_pixels, "max_pixels"),
            size if do_resize else None,
            check_count(divisor, "size_divisor"),
        )

    def _read_images(self, images: ImageInput, **kwargs: Any) -> list[torch.Tensor]:
        limit = self.size_limit(**kwargs)
        listed = list_images(images, size_limit=limit)
        if not listed:
            raise ValueError("`images` is empty; give at least one image.")
        prepared = []
        for index, image in enumerate(listed):
            name = f"`images[{index}]`"
            limit.check_image(image, name)
            prepared.append(self.process_image(image, name=name, **kwargs))
        return prepared

    def process_image(
        self,
        image: ImageInput,
        do_convert_rgb: bool | None = None,
        input_data_format: str | ChannelDimension | None = None,
        device: str | torch.device | None = None,
        name: str = "`images`",
        **kwargs: Any,
    ) -> torch.Tensor:
        """Turns one image into a tensor (channels, height, width) of uint8 or float32."""
        order = None if input_data_format is None else ChannelDimension(input_data_format).value
        return read_pixels(image, name, bool(do_convert_rgb), order).to(device)

    def _preprocess(  # type: ignore[override]
        self,
        images: list[torch.Tensor],
        objects: list[Objects] | None,
        do_resize: bool,
        size: SizeDict,
        resample: PILImageResampling | int | None,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | list[float],
        image_std: float | list[float],
        do_pad: bool,
        pad_size: SizeDict | None,
        size_divisor: int,
        max_pixels: int,
        do_center_crop: bool | None,
        return_tensors: str | TensorType | None,
        **kwargs: Any,
    ) -> BatchFeature:
        if do_center_crop:
            raise ValueError(
                "`do_center_crop` must be off, but got True: results refer to whole images; crop "
                "them beforehand."
            )
        pixels = []
        for image in images:
            if do_rescale and image.is_floating_point() and 0 < image.max() <= 1:
                warnings.warn(
                    "`images` holds floats between 0 and 1, which `do_rescale=True` divides by "
                    "255; set `do_rescale=False` for such images, or give them in 8 bits.",
                    stacklevel=2,
                )
            if do_resize:
                image = self.resize(image, size, resample)
            pixels.append(
                self.rescale_and_normalize(
                    image, do_rescale, rescale_factor, do_normalize, image_mean, image_std
                )
            )
        sizes = [(image.shape[-2], image.shape[-1]) for image in pixels]
        if do_pad:
            pad_size = self._common_size(sizes, pad_size, size_divisor, max_pixels)
            padded, pixel_mask = self.pad(pixels, pad_size=pad_size, return_mask=True)
        else:
            padded, pixel_mask = pixels, [torch.ones(size, dtype=torch.int64) for size in sizes]
        features = BatchFeature(
            {"pixel_values": padded, "pixel_mask": pixel_mask}, tensor_type=return_tensors
        )
        if objects is not None:
            labels = [
                self._fit_objects(masks, classes, size, image)
                for (masks, classes), size, image in zip(objects, sizes, padded, strict=True)
            ]
            features["mask_labels"] = [masks for masks, _ in labels]
            features["class_labels"] = [classes for _, classes in labels]
        return features

    @staticmethod
    def _common_size(
        sizes: list[tuple[int, int]], pad_size: SizeDict | None, divisor: int, max_pixels: int
    ) -> SizeDict:
        """Finds the size that all images of a batch are padded to."""
        if pad_size is not None:
            height, width = pad_size.height or 0, pad_size.width or 0
        else:
            rows, columns = zip(*sizes, strict=True)
            height, width = padded_size(max(rows), max(columns), divisor)
        if height * width > max_pixels:
            raise ValueError(
                f"`images` are padded to a common height and width of {height} and {width}, more "
                f"pixels than `max_pixels` = {max_pixels}; give images of very different shape "
                "one at a time, or a smaller `pad_size`."
            )
        return SizeDict(height=height, width=width)

    @staticmethod
    def _fit_objects(
        masks: torch.Tensor, classes: torch.Tensor, size: tuple[int, int], image: torch.Tensor
    ) -> Objects:
        """Resizes masks to `size` and pads them to the shape of the finished image."""
        masks = masks.to(image.device)
        if len(masks) == 0:
            masks = masks.new_zeros(0, *size)
        elif tuple(masks.shape[-2:]) != size:
            masks = torch.nn.functional.interpolate(masks[None], size=size, mode="nearest-exact")[0]
        kept = masks.flatten(1).any(1).bool()
        fitted = image.new_zeros(int(kept.sum()), *image.shape[-2:], dtype=torch.float32)
        fitted[:, : size[0], : size[1]] = masks[kept]
        return fitted, classes.to(image.device)[kept]

    def resize(
        self,
        image: torch.Tensor,
        size: SizeDict,
        resample: PILImageResampling | tvF.InterpolationMode | int | None = None,
        antialias: bool = True,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Resizes an image.

        8-bit images in main memory go through Pillow, as in the original: torchvision's rounding
        differs from it by one level here and there. Floats, images on an accelerator and filters
        named in torchvision's way go through torchvision.

        Args:
            image: `(channels, height, width)`.
            size: `shortest_edge` and perhaps `longest_edge`, or `height` and `width`, or
                `max_height` and `max_width`.
            resample: The filter, Pillow's or torchvision's; Pillow's bilinear one if None.
            antialias: Whether torchvision filters when it shrinks; Pillow always does.
            **kwargs: Ignored, as in the base class.

        Returns:
            The resized image, of the same dtype.
        """
        new_size = fitted_size(image.shape[-2], image.shape[-1], size)
        if resample is None:
            resample = PILImageResampling.BILINEAR
        by_pillow = image.dtype == torch.uint8 and image.device.type == "cpu"
        if not by_pillow or isinstance(resample, tvF.InterpolationMode):
            return super().resize(
                image, SizeDict(height=new_size[0], width=new_size[1]), resample, antialias
            )
        # Channel by channel: Pillow would treat a fourth channel as transparency.
        channels = [
            tvF.pil_to_tensor(Image.fromarray(channel.numpy()).resize(new_size[::-1], resample))
            for channel in image
        ]
        return torch.cat(channels)


ScoreImageProcessor.register_for_auto_class()
