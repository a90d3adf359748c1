"""What training and evaluation read: a prepared set from a folder or from the Hub."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy as np

from ..processing.coco_masks import decode_mask
from .prepared_folder import work_folder
from .records import Kind
from .schema import category_feature, kind_of

PreparedSet: TypeAlias = datasets.Dataset | datasets.IterableDataset


def load_split(
    dataset: str | os.PathLike[str],
    split: str,
    streaming: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    argument: str = "dataset",
) -> PreparedSet:
    """Loads one split of a set that `score-hf prepare` wrote.

    Without `streaming`, `datasets` unpacks the split once into an Arrow file of about the same
    size, from which any row can be read at once: in `cache_dir`, else where the environment
    variable `HF_DATASETS_CACHE` says, else in `~/.cache/huggingface/datasets`. A stream needs no
    such space, but can only be read in order.

    Args:
        dataset: A folder, or the name of a data set on the Hub.
        split: Name of the split.
        streaming: Whether to read while iterating instead of unpacking first.
        cache_dir: Where to unpack.
        argument: What the user calls the data set; named in the errors.

    Returns:
        Rows as [`features_of`] describes them.

    Raises:
        ValueError: If there is no such data set or split, it cannot be read, or it is of another
            form.
    """
    name = os.fspath(dataset)
    files = _data_files(name, argument)
    if split not in files:
        raise ValueError(
            f"`split` must be one of {', '.join(files)} of `{argument}` {name!r}, but is {split!r}."
        )
    try:
        with _uncounted():
            loaded = datasets.load_dataset(
                "parquet",
                data_files={split: files[split]},
                split=split,
                streaming=streaming,
                cache_dir=None if cache_dir is None else os.fspath(cache_dir),
            )
    # A damaged or half-downloaded file fails in many ways, deep in Arrow or in the network.
    except Exception as error:
        raise ValueError(
            f"`{argument}` {name!r}: the split {split!r} cannot be read ({_first_line(error)})."
        ) from error
    if kind_of(loaded.features) is None:
        columns = ", ".join(loaded.features or ())
        raise ValueError(
            f"`{argument}` {name!r} is not of the form that `score-hf prepare` writes: its columns "
            f"are {columns}. Prepare it first, for example with `score-hf prepare coco`."
        )
    return loaded


def split_names(dataset: str | os.PathLike[str], argument: str = "dataset") -> list[str]:
    """Lists the splits of a prepared set.

    Args:
        dataset: A folder, or the name of a data set on the Hub.
        argument: What the user calls it; named in the errors.

    Raises:
        ValueError: If there is no such data set.
    """
    return list(_data_files(os.fspath(dataset), argument))


@contextmanager
def _uncounted() -> Iterator[None]:
    """Keeps `datasets` from telling a server that something is read, even from a local folder."""
    before = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = before


def _data_files(name: str, argument: str) -> dict[str, list[str]]:
    folder = Path(name)
    if folder.is_dir():
        _check_folder(folder, argument)
    elif folder.exists():
        raise ValueError(
            f"`{argument}` must be a folder or a name on the Hub, but {name!r} is a file."
        )
    try:
        with _uncounted():
            builder = datasets.load_dataset_builder(name)
    # Whatever goes wrong on the way to the Hub.
    except Exception as error:
        hint = (
            "HF_HUB_OFFLINE is set, so only folders can be read"
            if datasets.config.HF_HUB_OFFLINE
            else _first_line(error)
        )
        raise ValueError(
            f"`{argument}` {name!r} is neither a folder with a prepared set nor a data set on the "
            f"Hub that can be read ({hint})."
        ) from error
    files = {str(split): list(paths) for split, paths in (builder.config.data_files or {}).items()}
    if not all(path.endswith(".parquet") for paths in files.values() for path in paths):
        raise ValueError(
            f"`{argument}` {name!r} is not of the form that `score-hf prepare` writes: it has "
            "other files than Parquet. Prepare it first, for example with `score-hf prepare coco`."
        )
    return files


def _check_folder(folder: Path, argument: str) -> None:
    if (folder / "README.md").is_file() and any((folder / "data").glob("*.parquet")):
        return
    unfinished = sorted(folder.glob(f"{work_folder(folder, '').name}*"))
    state = (
        f"its preparation was not finished ({unfinished[0].name}); run the same command again"
        if unfinished
        else "it has no README.md and no data/*.parquet; write them with `score-hf prepare`"
    )
    raise ValueError(f"`{argument}` {str(folder)!r} is no prepared set: {state}.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def kind(dataset: PreparedSet) -> Kind:
    """Tells whether objects or label images are marked.

    Args:
        dataset: What [`load_split`] gave.

    Raises:
        ValueError: If the columns are others.
    """
    found = kind_of(dataset.features)
    if found is None:
        raise ValueError(
            "`dataset` must have the columns of a prepared set, but has "
            f"{', '.join(dataset.features or ())}."
        )
    return found


def class_names(dataset: PreparedSet) -> list[str]:
    """Returns the names of the classes in the order of their numbers.

    Args:
        dataset: What [`load_split`] gave.

    Raises:
        ValueError: If the columns are others.
    """
    kind(dataset)
    return list(category_feature(dataset.features).names)


def _listed(objects: Any) -> list[Mapping[str, Any]]:
    """Older versions of `datasets` give a dictionary of lists for a list of dictionaries."""
    if isinstance(objects, Mapping):
        return [
            dict(zip(objects, values, strict=True))
            for values in zip(*objects.values(), strict=True)
        ]
    return list(objects)


def objects_of(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws the objects of a row of an instance set.

    Args:
        row: A row of what [`load_split`] gave.

    Returns:
        Masks (objects, height, width), bool; class numbers (objects,), int64; and whether each is
        a group that was not taken apart (objects,), bool.

    Raises:
        ValueError: If a mask is damaged, or of another size than the row.
    """
    objects = _listed(row["objects"])
    labels = np.array([one["category"] for one in objects], dtype=np.int64)
    crowds = np.array([one["iscrowd"] for one in objects], dtype=bool)
    if not objects:
        return np.zeros((0, row["height"], row["width"]), dtype=bool), labels, crowds
    size = (row["height"], row["width"])
    masks = [decode_mask(one["segmentation"], size, "dataset").numpy() for one in objects]
    return np.stack(masks).astype(bool), labels, crowds


def coco_ground_truth(dataset: PreparedSet) -> dict[str, list[dict[str, Any]]]:
    """Returns what pycocotools compares predictions with; no picture is decoded.

    Annotations are numbered from 1, because pycocotools takes a match with number 0 for none.

    Args:
        dataset: What [`load_split`] gave, of an instance set.

    Returns:
        A COCO dictionary with `images`, `annotations` with compressed run lengths, and
        `categories`, whose numbers are the class numbers plus one.

    Raises:
        ValueError: If it is a semantic set.
    """
    names = class_names(dataset)
    if kind(dataset) != "instance":
        raise ValueError("`dataset` must be an instance set, but it has label images.")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    columns = ["image_id", "file_name", "width", "height", "objects"]
    for row in dataset.select_columns(columns):
        size = {"height": row["height"], "width": row["width"]}
        images.append({"id": row["image_id"], "file_name": row["file_name"], **size})
        for one in _listed(row["objects"]):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row["image_id"],
                    "category_id": one["category"] + 1,
                    "segmentation": one["segmentation"],
                    "bbox": one["bbox"],
                    "area": one["area"],
                    "iscrowd": int(one["iscrowd"]),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}
