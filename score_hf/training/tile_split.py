r"""Divides numbered tiles into a training and a validation part that share no scene.

python -m score_hf.training.tile_split tiles/instances.json more_tiles/instances.json \
    --validation 1000-1199 7000-7999 --margin 80 --output split

Tiles that were cut from one scene after another and numbered on the way show the same scene if
their numbers are close. Whole ranges of numbers are therefore held out, and tiles with a number
near such a range are in neither part. `score-hf prepare coco` reads what is written.
"""

import argparse
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NUMBER = re.compile(r"tile_(\d+)")


def split_tiles(
    files: Sequence[Path],
    output: Path,
    validation: Sequence[range],
    margin: int,
    left_out: Sequence[int] = (),
) -> dict[str, int]:
    """Writes `train.json` and `val.json`, with file names relative to the output.

    Args:
        files: COCO files with the same classes, each in the folder that its file names begin at.
        output: Folder to write to.
        validation: Numbers of the tiles that are held out.
        margin: How far a training tile's number must be from any of these.
        left_out: Numbers of tiles that are in neither part.

    Returns:
        Number of images of each part, and of those in neither.

    Raises:
        ValueError: If a file is no COCO file, the files differ in their classes, a tile has no
            number, or a part is empty.
    """
    parts: dict[str, dict[str, Any]] = {}
    neither = 0
    for file in files:
        source = _read_coco(file)
        if not parts:
            parts = {
                name: {"categories": source["categories"], "images": [], "annotations": []}
                for name in ("train", "val")
            }
        elif source["categories"] != parts["train"]["categories"]:
            raise ValueError(f"`files` must have the same classes, but those of '{file}' differ.")
        part_of_image: dict[int, tuple[str, int]] = {}
        for image in source["images"]:
            part = _part_of(_number_of(image["file_name"]), validation, margin, left_out)
            if part is None:
                neither += 1
                continue
            images = parts[part]["images"]
            path = os.path.relpath(file.parent / image["file_name"], output)
            part_of_image[image["id"]] = part, len(images) + 1
            images.append({**image, "id": len(images) + 1, "file_name": path})
        for annotation in source["annotations"]:
            if annotation["image_id"] in part_of_image:
                part, image_id = part_of_image[annotation["image_id"]]
                annotations = parts[part]["annotations"]
                numbered = {"id": len(annotations) + 1, "image_id": image_id}
                annotations.append({**annotation, **numbered})
    output.mkdir(parents=True, exist_ok=True)
    for name, part_values in parts.items():
        if not part_values["images"]:
            raise ValueError(f"`validation` leaves no tile for {name}.json.")
        (output / f"{name}.json").write_text(json.dumps(part_values), encoding="utf-8")
    return {**{name: len(one["images"]) for name, one in parts.items()}, "neither": neither}


def _read_coco(file: Path) -> dict[str, Any]:
    try:
        source = json.loads(file.read_text(encoding="utf-8"))
        for key, needed in (
            ("categories", ()),
            ("images", ("id", "file_name")),
            ("annotations", ("image_id",)),
        ):
            for entry in source[key]:
                # Numbers are looked up, so that they must be some.
                _ = [hash(entry[name]) for name in needed]
    except KeyError as error:
        raise ValueError(f"`files` must be COCO files, but '{file}' lacks {error}.") from error
    # Brackets in brackets without end; entries of other kinds.
    except (RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"`files` must be COCO files, but '{file}' is none ({error}).") from error
    return source


def _number_of(file_name: str) -> int:
    found = _NUMBER.search(str(file_name))
    if found is None:
        raise ValueError(f"`files` must name tiles like 'tile_000123.jpg', but has {file_name!r}.")
    return int(found[1])


def _part_of(
    number: int, validation: Sequence[range], margin: int, left_out: Sequence[int]
) -> str | None:
    if number in left_out:
        return None
    if any(number in held_out for held_out in validation):
        return "val"
    near = any(
        held_out.start - margin <= number < held_out.stop + margin for held_out in validation
    )
    return None if near else "train"


def _range_of(text: str) -> range:
    found = re.fullmatch(r"(\d+)-(\d+)", text)
    if found is None or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"must be a range like 1000-1199, but is {text!r}")
    return range(int(found[1]), int(found[2]) + 1)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Divides numbered tiles by scene.")
    parser.add_argument("files", type=Path, nargs="+", help="COCO files beside their pictures")
    parser.add_argument(
        "--validation", type=_range_of, nargs="+", required=True, help="numbers held out: 1000-1199"
    )
    parser.add_argument(
        "--margin", type=int, default=80, help="numbers beside them that are in neither part"
    )
    parser.add_argument("--leave-out", type=int, nargs="*", default=[], help="further ones")
    parser.add_argument("--output", type=Path, required=True, help="folder of the two json files")
    options = parser.parse_args()
    try:
        counts = split_tiles(
            options.files, options.output, options.validation, options.margin, options.leave_out
        )
    except (OSError, ValueError) as error:
        raise SystemExit(f"tile_split: {error}") from None
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
