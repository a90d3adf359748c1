import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from score_hf.data import writing
from score_hf.data.loading import load_split
from score_hf.data.records import IGNORED, ImageRecord
from score_hf.data.writing import write_split
from tests.data.drawn_coco import toy_source

REPOSITORY = Path(__file__).parents[2]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def rows_of(folder: Path, split: str = "train") -> list[dict]:
    return list(load_split(folder, split, streaming=True))


def contents_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_in(folder)}


def test_files_and_summary(tmp_path):
    steps = []
    summary = write_split(
        toy_source(paper_count=9, notes=("drawn",)),
        tmp_path,
        3,
        lambda images: steps.append(images),
    )
    assert files_in(tmp_path) == [
        "README.md",
        *(f"data/train-{shard:05d}-of-00003.parquet" for shard in range(3)),
        "summary-train.json",
    ]
    assert sum(steps) == 7
    assert json.loads((tmp_path / "summary-train.json").read_text()) == summary
    expected = {
        "name": "toy",
        "split": "train",
        "kind": "instance",
        "class_names": ["ship", "plane"],
        "paper_images": 9,
        "source_images": 7,
        "images": 6,
        "images_without_objects": 2,
        "objects": 6,
        "objects_of_class": {"ship": 4, "plane": 2},
        "dropped_images": {"no good": 1},
        "dropped_objects": {},
        "examples": {"no good": ["3.png"]},
        "notes": ["drawn"],
    }
    assert {key: summary[key] for key in expected} == expected


def test_rows_come_back_as_they_were_written(tmp_path):
    source = toy_source()
    write_split(source, tmp_path, 3)
    rows = rows_of(tmp_path)
    records = [one for key in source.keys for one in source.read(key)]
    records = [one for one in records if isinstance(one, ImageRecord)]
    assert [row["file_name"] for row in rows] == [one.file_name for one in records]
    for row, record in zip(rows, records, strict=True):
        assert row["image"].getpixel((0, 0)) == (row["image_id"], 0, 0)
        assert [one["segmentation"] for one in row["objects"]] == [
            one.segmentation for one in record.objects
        ]


def test_plain_datasets_reads_the_folder(tmp_path):
    write_split(toy_source(), tmp_path / "toy", 3)
    write_split(toy_source(split="val"), tmp_path / "toy", 3)
    loaded = datasets.load_dataset(str(tmp_path / "toy"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6, "val": 6}
    assert loaded["train"].features["objects"].feature["category"].names == ["ship", "plane"]


def test_splits_gather_in_the_readme_which_keeps_what_a_user_wrote(tmp_path):
    write_split(toy_source(split="val"), tmp_path)
    readme = tmp_path / "README.md"
    text = readme.read_text().replace("---\n\n# toy", "license: mit\n---\n\nMine.\n\n# toy")
    readme.write_text(text)
    write_split(toy_source(split="train"), tmp_path)
    text = readme.read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "mit"
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "val", "path": "data/val-*.parquet"},
    ]
    assert "Mine." in text
    assert text.count("| train |") == text.count("| val |") == text.count("| split |") == 1


def test_a_finished_split_is_not_written_again(tmp_path):
    first = write_split(toy_source(), tmp_path, 3)
    before = contents_of(tmp_path)

    def read(number):
        raise AssertionError("read again")

    assert write_split(replace(toy_source(), read=read), tmp_path, 3) == first
    assert contents_of(tmp_path) == before


@pytest.mark.parametrize("shard", range(3))
def test_a_finished_split_whose_shard_was_damaged_is_written_again(tmp_path, shard):
    write_split(toy_source(), tmp_path, 3)
    path = tmp_path / f"data/train-{shard:05d}-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    write_split(toy_source(), tmp_path, 3)
    assert len(rows_of(tmp_path)) == 6


@pytest.mark.parametrize(
    ("source", "images_per_shard"),
    [
        (toy_source(8), 3),
        (toy_source(settings={"annotations": "another"}), 3),
        (toy_source(class_names=("plane", "ship")), 3),
        (toy_source(), 2),
    ],
)
def test_another_source_or_setting_replaces_the_split(tmp_path, source, images_per_shard):
    write_split(toy_source(), tmp_path, 3)
    summary = write_split(source, tmp_path, images_per_shard)
    shards = -(-len(source.keys) // images_per_shard)
    assert files_in(tmp_path / "data") == [
        f"train-{shard:05d}-of-{shards:05d}.parquet" for shard in range(shards)
    ]
    assert len(rows_of(tmp_path)) == summary["images"] == len(source.keys) - 1


class Stop(Exception):
    pass


def reads_until(last: int):
    """A source that is stopped before an image, and one that counts what it reads."""
    source, read = toy_source(10), []

    def stopping(number):
        if number == last:
            raise Stop
        yield from source.read(number)

    def counting(number):
        read.append(number)
        yield from source.read(number)

    return replace(source, read=stopping), replace(source, read=counting), read


@pytest.mark.parametrize("last", [0, 2, 3, 7, 9])
def test_after_a_stop_only_the_unfinished_shards_are_read(tmp_path, last):
    stopping, counting, read = reads_until(last)
    with pytest.raises(Stop):
        write_split(stopping, tmp_path / "a", 3)
    assert not (tmp_path / "a" / "data").exists()
    steps = []
    write_split(counting, tmp_path / "a", 3, steps.append)
    assert read == list(range(last // 3 * 3, 10))
    assert sum(steps) == 10
    write_split(toy_source(10), tmp_path / "b", 3)
    assert contents_of(tmp_path / "a") == contents_of(tmp_path / "b")


def test_shards_of_another_source_are_not_taken_over(tmp_path):
    stopping, counting, read = reads_until(7)
    with pytest.raises(Stop):
        write_split(stopping, tmp_path, 3)
    write_split(replace(counting, settings={"annotations": "another"}), tmp_path, 3)
    assert read == list(range(10))


def test_a_shard_that_was_cut_short_is_written_again(tmp_path):
    stopping, counting, read = reads_until(7)
    with pytest.raises(Stop):
        write_split(stopping, tmp_path, 3)
    path = tmp_path / ".preparing-train" / "train-00000-of-00004.parquet"
    path.write_bytes(path.read_bytes()[:-7])
    write_split(counting, tmp_path, 3)
    assert read == [0, 1, 2, 6, 7, 8, 9]


@pytest.mark.parametrize("moved", range(4))
def test_a_stop_between_the_moves_to_their_place(tmp_path, monkeypatch, moved):
    write_split(toy_source(11), tmp_path / "a", 3)
    replace_file, moves = os.replace, []

    def stopping(old, new):
        if Path(new).parent.name == "data":
            if len(moves) == moved:
                raise Stop
            moves.append(new)
        replace_file(old, new)

    monkeypatch.setattr(os, "replace", stopping)
    with pytest.raises(Stop):
        write_split(toy_source(10), tmp_path / "a", 3)
    monkeypatch.undo()
    *_, counting, read = reads_until(0)
    write_split(counting, tmp_path / "a", 3)
    assert read == []
    write_split(toy_source(10), tmp_path / "b", 3)
    assert contents_of(tmp_path / "a") == contents_of(tmp_path / "b")


KILLED = """
import sys, time
from dataclasses import replace
from pathlib import Path
from score_hf.data.writing import write_split
from tests.data.drawn_coco import toy_source

source = toy_source(60)
def read(number):
    time.sleep(0.005)
    yield from source.read(number)
write_split(replace(source, read=read), Path(sys.argv[1]), 5)
"""


def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path):
    write_split(toy_source(60), tmp_path / "b", 5)
    work = tmp_path / "a" / ".preparing-train"
    for wanted in (1, 3, 5):
        process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "a"], cwd=REPOSITORY)
        deadline = time.monotonic() + 600
        while len(list(work.glob("*.parquet"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.007 * wanted)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "a" / "data").exists()
        assert len(list(work.glob("*.parquet"))) >= wanted
    write_split(toy_source(60), tmp_path / "a", 5)
    assert contents_of(tmp_path / "a") == contents_of(tmp_path / "b")


def test_two_processes_do_not_write_one_split_at_once(tmp_path):
    source = toy_source()

    def read(number):
        if number == 4:
            with pytest.raises(ValueError, match="another process is preparing the split 'train'"):
                write_split(source, tmp_path, 3)
            write_split(toy_source(split="val"), tmp_path, 3)
        yield from source.read(number)

    write_split(replace(source, read=read), tmp_path, 3)
    assert len(rows_of(tmp_path)) == len(rows_of(tmp_path, "val")) == 6
    assert not list(tmp_path.glob(".*"))


def test_numbers_of_classes_are_the_same_in_all_splits(tmp_path):
    write_split(toy_source(split="train", class_names=("ship", "plane", "car")), tmp_path)
    write_split(toy_source(split="val", class_names=("plane", "ship")), tmp_path)
    features = load_split(tmp_path, "val", streaming=True).features
    category = features["objects"].feature["category"]
    assert category.names == ["ship", "plane", "car"]
    names = [category.int2str(one["category"]) for one in rows_of(tmp_path, "val")[1]["objects"]]
    assert names == ["plane"]


@pytest.mark.parametrize(
    ("class_names", "hint"),
    [(("ship", "dragon"), "prepare the split with most classes first"), (("Ship",), "spell them")],
)
def test_a_split_with_other_classes_is_refused(tmp_path, class_names, hint):
    write_split(toy_source(split="train"), tmp_path)
    with pytest.raises(ValueError, match=f"holds the split 'train' without the classes.*{hint}"):
        write_split(toy_source(split="val", class_names=class_names), tmp_path)
    # The split itself may get others.
    write_split(toy_source(split="train", class_names=class_names), tmp_path)


def test_kinds_are_not_mixed(tmp_path):
    write_split(toy_source(split="train"), tmp_path)
    with pytest.raises(ValueError, match="holds the instance split 'train' and can take no sem"):
        write_split(replace(toy_source(split="val"), kind="semantic"), tmp_path)


def test_semantic_sets(tmp_path):
    source = toy_source()

    def read(number):
        label = np.full((40, 60), IGNORED, dtype=np.uint8)
        label[:10] = number % 2
        (record,) = source.read(number)
        yield replace(record, objects=(), label=label if number else np.full_like(label, IGNORED))

    summary = write_split(replace(source, kind="semantic", keys=range(3), read=read), tmp_path)
    assert summary["images_without_objects"] == 1
    assert summary["objects_of_class"] == {"plane": 1, "ship": 1}
    assert [row["classes"] for row in rows_of(tmp_path)] == [[], [1], [0]]


def test_two_images_of_one_number(tmp_path):
    source = toy_source(3)
    read = lambda number: (replace(one, image_id=1) for one in source.read(number))  # noqa: E731
    with pytest.raises(ValueError, match="two images with the number 1"):
        write_split(replace(source, read=read), tmp_path, 2)


@pytest.mark.parametrize(
    ("source", "images_per_shard", "message"),
    [
        (toy_source(0), 3, "'train' of toy has no images"),
        (toy_source(), 0, "`images_per_shard` must be 1 or more, but is 0"),
        (toy_source(split="../train"), 3, r"`split` must be of letters.*'\.\./train'"),
        (toy_source(split="train-1"), 3, "`split` must be of letters"),
        (toy_source(split="all"), 3, "and not 'all', but is 'all'"),
    ],
)
def test_wrong_arguments(tmp_path, source, images_per_shard, message):
    with pytest.raises(ValueError, match=message):
        write_split(source, tmp_path / "out", images_per_shard)
    assert not (tmp_path / "out").exists()


def test_row_groups_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_ROWS_PER_GROUP", 2)
    write_split(toy_source(8), tmp_path / "a", 100)
    monkeypatch.setattr(writing, "_BYTES_PER_GROUP", 1)
    write_split(toy_source(8), tmp_path / "b", 100)
    groups = [
        pq.ParquetFile(tmp_path / folder / "data/train-00000-of-00001.parquet").num_row_groups
        for folder in ("a", "b")
    ]
    assert groups == [4, 7]
