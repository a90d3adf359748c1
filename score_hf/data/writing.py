"""Writes a split to Parquet, shard by shard; a run that was killed goes on where it stopped."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..output_places import exclusively, make_folder
from .checking import row_of_record
from .prepared_folder import (
    agree_on_classes,
    check_split_name,
    read_summaries,
    shard_path,
    summary_path,
    work_folder,
    write_json,
    write_readme,
)
from .records import Dropped, SourceSplit
from .schema import category_feature, features_of
from .tally import Tally

IMAGES_PER_SHARD = 500
# A row group is read as a whole and written from memory.
_ROWS_PER_GROUP = 100
_BYTES_PER_GROUP = 64 * 1024**2
# To be raised when rows of the same source come out differently than before.
_FORM = 1


def write_split(
    source: SourceSplit,
    output: Path,
    images_per_shard: int = IMAGES_PER_SHARD,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Prepares a split: `output/data/*.parquet`, `output/README.md` and a summary.

    Shards are written in a hidden folder, each under another name until it is whole, and moved to
    their place when all are there. If the process is killed at any moment, the same call goes on
    with the shards that are whole; a call with another source or other settings starts anew. A
    split that is finished is not written again.

    Args:
        source: What to write.
        output: Folder of the prepared set; may hold other splits.
        images_per_shard: Number of images in one file.
        advance: Called with the number of images that are done since the last call.

    Returns:
        The summary, as it is in `summary-{split}.json`.

    Raises:
        ValueError: If the source has no images, does not go with the splits that the folder has,
            or two images have the same number; or if another process is at it.
    """
    check_split_name(source.split)
    if images_per_shard < 1:
        raise ValueError(f"`images_per_shard` must be 1 or more, but is {images_per_shard}.")
    if not source.keys:
        raise ValueError(f"The split {source.split!r} of {source.name} has no images.")
    class_names = agree_on_classes(output, source.split, source.kind, source.class_names)
    source = replace(source, class_names=class_names)
    fingerprint = _fingerprint(source, images_per_shard)
    advance = advance or (lambda images: None)
    work = work_folder(output, source.split)
    make_folder(work)
    busy = f"`--output` {str(output)!r}: another process is preparing the split {source.split!r}."
    with exclusively(output / f"{work.name}.lock", busy):
        summary = _finished(output, source.split, fingerprint)
        if summary is None:
            summary = _write(source, output, work, fingerprint, images_per_shard, advance)
        else:
            advance(len(source.keys))
        shutil.rmtree(work)
        write_readme(output)
    return summary


def _fingerprint(source: SourceSplit, images_per_shard: int) -> str:
    keys = hashlib.sha256()
    for key in source.keys:
        keys.update(repr(key).encode() + b"\n")
    facts = [
        _FORM, source.name, source.split, source.kind, source.class_names,
        sorted(source.settings.items()), images_per_shard, keys.hexdigest(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _finished(output: Path, split: str, fingerprint: str) -> dict[str, Any] | None:
    summary = read_summaries(output).get(split)
    if summary is None or summary["fingerprint"] != fingerprint:
        return None
    sizes = summary["shard_bytes"]
    paths = [shard_path(output, split, shard, len(sizes)) for shard in range(len(sizes))]
    whole = all(_has_size(path, size) for path, size in zip(paths, sizes, strict=True))
    return summary if whole else None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _write(
    source: SourceSplit,
    output: Path,
    work: Path,
    fingerprint: str,
    images_per_shard: int,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    mark = work / "source.json"
    if not mark.is_file() or json.loads(mark.read_text(encoding="utf-8")) != fingerprint:
        shutil.rmtree(work)
        work.mkdir()
        write_json(mark, fingerprint)
    starts = range(0, len(source.keys), images_per_shard)
    targets = [shard_path(output, source.split, i, len(starts)) for i in range(len(starts))]
    tally, sizes = Tally(), []
    for target, start in zip(targets, starts, strict=True):
        keys = source.keys[start : start + images_per_shard]
        made, counts = work / target.name, work / f"{target.name}.json"
        if not _is_whole(counts, made, target):
            shard_tally = _write_shard(source, start, len(keys), made, advance)
            write_json(counts, {"bytes": made.stat().st_size, **vars(shard_tally)})
        else:
            advance(len(keys))
        fields = json.loads(counts.read_text(encoding="utf-8"))
        sizes.append(fields.pop("bytes"))
        tally.add(Tally.from_json(fields))
    _check_image_ids(source, [work / target.name for target in targets], targets)
    return _move_to_place(source, output, work, targets, tally, sizes, fingerprint)


def _is_whole(counts: Path, made: Path, target: Path) -> bool:
    """A shard is whole once its counts are written; it may have been moved to its place since."""
    if not counts.is_file():
        return False
    size = json.loads(counts.read_text(encoding="utf-8"))["bytes"]
    return _has_size(made, size) or _has_size(target, size)


def _write_shard(
    source: SourceSplit, start: int, images: int, path: Path, advance: Callable[[int], None]
) -> Tally:
    features = features_of(source.kind, source.class_names)
    schema = features.arrow_schema
    part = path.with_name(path.name + ".part")
    tally = Tally()
    with pq.ParquetWriter(part, schema, compression="snappy") as writer:
        rows: list[dict[str, Any]] = []
        pending = 0
        for row in _rows(source, start, images, tally, advance):
            rows.append(features.encode_example(row))
            pending += len(row["image"]["bytes"])
            if len(rows) >= _ROWS_PER_GROUP or pending >= _BYTES_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows, pending = [], 0
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    os.replace(part, path)
    return tally


def _rows(
    source: SourceSplit, start: int, images: int, tally: Tally, advance: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    names = category_feature(features_of(source.kind, source.class_names))
    for number in range(start, start + images):
        for record in source.read(source.keys[number]):
            result = (
                record
                if isinstance(record, Dropped)
                else row_of_record(record, source.kind, source.class_names, number)
            )
            if isinstance(result, Dropped):
                tally.add_dropped(result)
                continue
            row, kept = result
            if source.kind == "semantic":
                tally.add_image(kept, names.int2str(row["classes"]))
            else:
                tally.add_image(kept, [one.category for one in kept.objects])
            yield row
        advance(1)


def _check_image_ids(source: SourceSplit, made: list[Path], targets: list[Path]) -> None:
    seen: set[int] = set()
    for path, target in zip(made, targets, strict=True):
        whole = path if path.is_file() else target
        for image_id in pq.read_table(whole, columns=["image_id"])["image_id"].to_pylist():
            if image_id in seen:
                raise ValueError(
                    f"The split {source.split!r} of {source.name} has two images with the number "
                    f"{image_id}; predictions could not be told apart."
                )
            seen.add(image_id)


def _move_to_place(
    source: SourceSplit,
    output: Path,
    work: Path,
    targets: list[Path],
    tally: Tally,
    sizes: list[int],
    fingerprint: str,
) -> dict[str, Any]:
    summary_path(output, source.split).unlink(missing_ok=True)
    targets[0].parent.mkdir(exist_ok=True)
    for old in targets[0].parent.glob(f"{source.split}-*-of-*.parquet"):
        if not (old in targets and not (work / old.name).exists()):
            old.unlink()
    for target in targets:
        if (work / target.name).exists():
            os.replace(work / target.name, target)
    summary = {
        "name": source.name,
        "split": source.split,
        "kind": source.kind,
        "class_names": list(source.class_names),
        "paper_images": source.paper_count,
        "source_images": len(source.keys),
        **vars(tally),
        "notes": list(source.notes),
        "settings": dict(source.settings),
        "fingerprint": fingerprint,
        "shard_bytes": sizes,
    }
    write_json(summary_path(output, source.split), summary)
    return summary
