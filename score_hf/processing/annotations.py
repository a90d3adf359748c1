"""Objects marked in training images: from users' forms to masks and class indices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from .coco_masks import decode_mask
from .image_loading import list_images

# Masks (objects, height, width), uint8 of 0 and 1, and class indices (objects,), int64.
Objects = tuple[torch.Tensor, torch.Tensor]


def read_objects(
    image_sizes: Sequence[tuple[int, int]],
    segmentation_maps: Any,
    instance_id_to_semantic_id: Mapping[int, int] | Sequence[Mapping[int, int]] | None,
    annotations: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    ignore_index: int | None,
    do_reduce_labels: bool,
) -> list[Objects] | None:
    """Reads the objects of a batch of images in either of the two forms.

    Args:
        image_sizes: Height and width of each image, after EXIF orientation.
        segmentation_maps: Maps of ids; see [`objects_of_map`].
        instance_id_to_semantic_id: Their mapping, one for all images or one for each.
        annotations: Dictionaries; see [`objects_of_annotation`].
        ignore_index: An id of the maps that is no object.
        do_reduce_labels: Whether id 0 of the maps is background and class ids count from 1.

    Returns:
        Masks at the size of the image and labels, for each image; None if nothing was given.

    Raises:
        ValueError: If both forms are given, or they do not fit the images.
    """
    if annotations is not None and segmentation_maps is not None:
        raise ValueError("Give either `annotations` or `segmentation_maps`, but got both.")
    if annotations is not None:
        listed = [annotations] if isinstance(annotations, Mapping) else list(annotations)
        _check_number("annotations", len(listed), len(image_sizes))
        return [
            objects_of_annotation(annotation, size, f"annotations[{index}]")
            for index, (annotation, size) in enumerate(zip(listed, image_sizes, strict=True))
        ]
    if segmentation_maps is None:
        return None
    maps = list_segmentation_maps(segmentation_maps)
    _check_number("segmentation_maps", len(maps), len(image_sizes))
    for index, (ids, size) in enumerate(zip(maps, image_sizes, strict=True)):
        if tuple(ids.shape) != size:
            raise ValueError(
                f"`segmentation_maps[{index}]` must have the size of its image, {size}, but got "
                f"{tuple(ids.shape)}."
            )
    mappings: Sequence[Mapping[int, int] | None]
    if instance_id_to_semantic_id is None or isinstance(instance_id_to_semantic_id, Mapping):
        mappings = [instance_id_to_semantic_id] * len(maps)
    else:
        mappings = instance_id_to_semantic_id
        _check_number("instance_id_to_semantic_id", len(mappings), len(image_sizes))
    return [
        objects_of_map(ids, mapping, ignore_index, do_reduce_labels)
        for ids, mapping in zip(maps, mappings, strict=True)
    ]


def _check_number(argument: str, given: int, images: int) -> None:
    if given != images:
        raise ValueError(
            f"`{argument}` has {given} entries for {images} images; give one an image."
        )


def objects_of_annotation(
    annotation: Mapping[str, Any], image_size: tuple[int, int], argument: str
) -> Objects:
    """Reads the objects of one image; their masks may overlap.

    Args:
        annotation: `masks`, an array `(objects, height, width)` or a list with a mask
            `(height, width)`, a COCO run-length encoding or a list of polygons for each object;
            and `class_labels`, one class index an object.
        image_size: Height and width of the image, as it is after EXIF orientation.
        argument: What the caller calls it; named in the errors.

    Returns:
        Masks `(objects, height, width)`, uint8 of 0 and 1, and labels `(objects,)`, int64.

    Raises:
        TypeError: If the annotation is not a dictionary.
        ValueError: If something is missing or sizes or numbers do not go together.
    """
    if not isinstance(annotation, Mapping):
        raise TypeError(
            f"`{argument}` must be a dictionary with `masks` and `class_labels`, but got "
            f"{type(annotation).__name__}."
        )
    if not {"masks", "class_labels"} <= annotation.keys():
        raise ValueError(
            f"`{argument}` must have the keys `masks` and `class_labels`, but has "
            f"{sorted(annotation)}."
        )
    masks = annotation["masks"]
    if isinstance(masks, list | tuple):
        drawn = [
            _draw(mask, image_size, f"{argument}['masks'][{index}]")
            for index, mask in enumerate(masks)
        ]
        masks = torch.stack(drawn) if drawn else torch.zeros(0, *image_size)
    else:
        masks = torch.as_tensor(masks)
    if masks.ndim != 3 or tuple(masks.shape[1:]) != image_size:
        raise ValueError(
            f"`{argument}['masks']` must have shape (objects, {image_size[0]}, {image_size[1]}), "
            f"the size of the image, but got {tuple(masks.shape)}."
        )
    try:
        labels = torch.as_tensor(annotation["class_labels"])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{argument}['class_labels']` must be class indices ({error})."
        ) from error
    if labels.numel() == 0:
        labels = labels.long()
    if labels.shape != (len(masks),) or labels.is_floating_point() or (labels < 0).any():
        raise ValueError(
            f"`{argument}['class_labels']` must be one class index (0, 1, ...) for each of the "
            f"{len(masks)} masks, but got {annotation['class_labels']!r:.200}."
        )
    return (masks != 0).to(torch.uint8), labels.long()


def _draw(mask: Any, image_size: tuple[int, int], argument: str) -> torch.Tensor:
    if not isinstance(mask, np.ndarray | torch.Tensor | Image.Image):
        return decode_mask(mask, image_size, argument)
    drawn = torch.as_tensor(np.array(mask) if isinstance(mask, Image.Image) else mask)
    if tuple(drawn.shape) != image_size:
        raise ValueError(
            f"`{argument}` must have the size of the image, {image_size}, but got "
            f"{tuple(drawn.shape)}."
        )
    return drawn != 0


def list_segmentation_maps(segmentation_maps: Any) -> list[torch.Tensor]:
    """Reads maps of ids: PIL images, arrays, tensors, paths, or a list of these.

    Args:
        segmentation_maps: One map an image, `(height, width)`.

    Returns:
        The maps as int64 tensors of shape `(height, width)`.

    Raises:
        ValueError: If one is not a single channel of integers.
    """
    maps = []
    for index, item in enumerate(list_images(segmentation_maps, batch_dimensions=3)):
        ids = torch.as_tensor(np.array(item) if isinstance(item, Image.Image) else item)
        if ids.ndim != 2 or ids.is_floating_point():
            raise ValueError(
                f"`segmentation_maps[{index}]` must hold one integer a pixel, (height, width), "
                f"but got shape {tuple(ids.shape)} of {ids.dtype}."
            )
        maps.append(ids.long())
    return maps


def objects_of_map(
    segmentation_map: torch.Tensor,
    instance_id_to_semantic_id: Mapping[int, int] | None,
    ignore_index: int | None,
    do_reduce_labels: bool,
) -> Objects:
    """Takes a map of ids apart, as Mask2Former's processor does.

    Args:
        segmentation_map: `(height, width)` of instance ids, or of class ids without a mapping.
        instance_id_to_semantic_id: The class id of each instance id.
        ignore_index: An id that is no object.
        do_reduce_labels: Whether id 0 is background and class ids count from 1.

    Returns:
        Masks `(objects, height, width)`, uint8 of 0 and 1, and labels `(objects,)`, int64.

    Raises:
        ValueError: If an instance has no class, or `do_reduce_labels` has no `ignore_index`.
    """
    ids = segmentation_map.unique()
    if do_reduce_labels:
        if ignore_index is None:
            raise ValueError("`do_reduce_labels=True` needs an `ignore_index`, but it is None.")
        # An id that is ignored after reduction was one higher before.
        ids = ids[(ids != 0) & (ids != ignore_index + 1)]
    elif ignore_index is not None:
        ids = ids[ids != ignore_index]
    masks = (segmentation_map == ids[:, None, None]).to(torch.uint8)
    if instance_id_to_semantic_id is None:
        labels = ids
    else:
        missing = [index for index in ids.tolist() if index not in instance_id_to_semantic_id]
        if missing:
            raise ValueError(
                f"`instance_id_to_semantic_id` has no class for the ids {missing[:10]} of "
                "`segmentation_maps`; add them, or set `ignore_index` to the id of the background."
            )
        labels = torch.tensor(
            [instance_id_to_semantic_id[index] for index in ids.tolist()], dtype=torch.int64
        )
    return masks, labels - 1 if do_reduce_labels else labels
