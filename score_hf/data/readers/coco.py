"""Plain COCO: a folder of pictures and a json file, with the oddities that such files have."""

import os
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from ..checking import NO_FILE, UNREADABLE
from ..records import Dropped, ImageRecord, ObjectRecord, SourceSplit
from .coco_categories import CocoCategories
from .coco_index import CocoImage, CocoIndex
from .segmentations import compress

TO_BE_IGNORED = "marked to be ignored"


def read_coco(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    split: str,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    allow_missing: bool = True,
    paper_count: int | None = None,
    notes: Sequence[str] = (),
) -> SourceSplit:
    """Reads a COCO file of instances and its folder of pictures.

    Masks may be polygons or run lengths, compressed or not. Classes go by name, never by number.
    Images without annotations are kept. A category "background" with number 0 is no class.

    Args:
        images: Folder to which the `file_name` of an image is relative.
        annotations: The json file.
        split: Name that the split should have.
        name: Name of the data set; without, that of the folder.
        class_names: Classes that the set is known to have, in the order of their numbers; names in
            the file may differ in case, blanks, `-` and `_`. Without: those of the file, in the
            order of its numbers.
        allow_missing: Whether images whose file is not there are left out. If no file at all is
            there, that is an error in any case.
        paper_count: Number of images that the paper states.
        notes: Sentences for the summary.

    Returns:
        The split.

    Raises:
        FileNotFoundError: If the folder, the json file or pictures are not there.
        ValueError: If the json file is not a COCO file of instances, or has other classes.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f"`images` must be a folder of pictures, but '{folder}' is none.")
    index = CocoIndex(Path(annotations))
    categories = CocoCategories(index, class_names)
    keys = _find_files(folder, index, allow_missing)
    return SourceSplit(
        name=name or folder.resolve().name,
        split=split,
        class_names=categories.class_names,
        kind="instance",
        keys=keys,
        read=_CocoReader(folder, index, categories).read,
        paper_count=paper_count,
        notes=(*notes, *index.notes, *categories.notes),
        settings={"annotations": index.digest()},
    )


def _find_files(folder: Path, index: CocoIndex, allow_missing: bool) -> list[Hashable]:
    """Keys: place of the image, path in the folder (None if missing) and size of its file."""
    keys: list[Hashable] = []
    missing: list[str] = []
    for place, image in enumerate(index.images):
        for file_name in dict.fromkeys((image.file_name, image.file_name.rpartition("/")[2])):
            path = folder / file_name
            # Names may be anything; of one that is too long `Path.is_file` fails.
            if os.path.isfile(path):
                keys.append((place, file_name, path.stat().st_size))
                break
        else:
            missing.append(image.file_name)
            keys.append((place, None, 0))
    if missing and (len(missing) == len(keys) or not allow_missing):
        raise FileNotFoundError(
            f"'{folder}' lacks {len(missing):,} of the {len(keys):,} pictures that "
            f"'{index.path}' lists, '{missing[0]}' first; download them, or name the folder in "
            "which they are."
        )
    return keys


class _CocoReader:
    def __init__(self, folder: Path, index: CocoIndex, categories: CocoCategories) -> None:
        self._folder = folder
        self._index = index
        self._categories = categories

    def read(self, key: tuple[int, str | None, int]) -> Iterator[ImageRecord | Dropped]:
        place, file_name, _ = key
        image = self._index.images[place]
        if file_name is None:
            yield Dropped(image.file_name, NO_FILE)
            return
        path = self._folder / file_name
        size = _size_of(image, path)
        if size is None:
            yield Dropped(image.file_name, UNREADABLE)
            return
        objects: list[ObjectRecord] = []
        dropped: list[str] = []
        altered: list[str] = []
        for annotation in self._index.annotations_of(place):
            found = self._object_of(annotation, *size, altered)
            if isinstance(found, str):
                dropped.append(found)
            else:
                objects.append(found)
        yield ImageRecord(
            image_id=image.image_id,
            file_name=image.file_name,
            image=path,
            width=size[1],
            height=size[0],
            objects=tuple(objects),
            dropped=tuple(dropped),
            altered=tuple(altered),
        )

    def _object_of(
        self, annotation: dict[str, Any], height: int, width: int, altered: list[str]
    ) -> ObjectRecord | str:
        """Reads one object; a text says why it is left out."""
        if annotation.get("ignore"):
            return TO_BE_IGNORED
        category, remark = self._categories.category_of(annotation)
        if category is None:
            return str(remark)
        if remark is not None:
            altered.append(remark)
        segmentation, remark = compress(annotation.get("segmentation"), height, width)
        if segmentation is None:
            return str(remark)
        if remark is not None:
            altered.append(remark)
        area = annotation.get("area")
        is_area = isinstance(area, int | float) and 0 < area <= height * width
        return ObjectRecord(
            category=category,
            segmentation=segmentation,
            iscrowd=bool(annotation.get("iscrowd")),
            id=annotation["id"] if self._index.unique_ids else None,
            area=area if is_area else None,
        )


def _size_of(image: CocoImage, path: Path) -> tuple[int, int] | None:
    """Height and width as the json file states them, else as the picture is shown."""
    if image.height is not None and image.width is not None:
        return image.height, image.width
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    # Decoders of damaged files raise whatever they stumble over.
    except Exception:
        return None
    return (width, height) if turned else (height, width)
