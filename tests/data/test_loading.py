import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from score_hf.data.loading import (
    class_names,
    coco_ground_truth,
    kind,
    load_split,
    objects_of,
    split_names,
)
from score_hf.data.records import ImageRecord
from score_hf.data.writing import write_split
from tests.data.dataset_hub import dataset_hub
from tests.data.drawn_coco import draw, toy_source
from tests.data.drawn_files import truncate

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_split(toy_source(split="val"), folder, 3)
    write_split(toy_source(split="train"), folder, 3)
    return folder


@pytest.fixture(params=[True, False], ids=["streaming", "stored"])
def loaded(request, folder, tmp_path):
    return load_split(folder, "train", streaming=request.param, cache_dir=tmp_path / "cache")


def records() -> list[ImageRecord]:
    source = toy_source()
    found = [record for key in source.keys for record in source.read(key)]
    return [record for record in found if isinstance(record, ImageRecord)]


def test_names_and_kind(loaded, folder):
    assert kind(loaded) == "instance"
    assert class_names(loaded) == ["ship", "plane"]
    assert split_names(folder) == ["train", "val"]


def test_objects_are_drawn(loaded):
    for row, record in zip(loaded, records(), strict=True):
        masks, labels, crowds = objects_of(row)
        assert masks.shape == (len(record.objects), 40, 60)
        assert (masks.dtype, labels.dtype, crowds.dtype) == (np.bool_, np.int64, np.bool_)
        assert labels.tolist() == [("ship", "plane").index(one.category) for one in record.objects]
        for mask, one in zip(masks, record.objects, strict=True):
            np.testing.assert_array_equal(mask, draw(one.segmentation))


def test_objects_in_the_form_of_older_datasets(folder):
    for row in load_split(folder, "train", streaming=True):
        keys = ("id", "category", "segmentation", "bbox", "area", "iscrowd")
        columns = {key: [one[key] for one in row["objects"]] for key in keys}
        for found, expected in zip(
            objects_of({**row, "objects": columns}), objects_of(row), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def test_ground_truth_is_what_pycocotools_takes(loaded, capsys):
    truth = coco_ground_truth(loaded)
    assert truth["categories"] == [{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}]
    assert [one["id"] for one in truth["annotations"]] == list(range(1, 7))
    assert [one["id"] for one in truth["images"]] == [0, 1, 2, 4, 5, 6]
    api = COCO()
    api.dataset = json.loads(json.dumps(truth))
    api.createIndex()
    fields = ("image_id", "category_id", "segmentation")
    results = [{**{key: one[key] for key in fields}, "score": 1.0} for one in truth["annotations"]]
    evaluation = COCOeval(api, api.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_ground_truth_decodes_no_picture(folder, monkeypatch):
    dataset = load_split(folder, "train", streaming=True)

    def decode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(datasets.Image, "decode_example", decode)
    assert len(coco_ground_truth(dataset)["images"]) == 6
    with pytest.raises(AssertionError, match="decoded"):
        next(iter(dataset))


def test_a_set_that_was_prepared_anew_is_not_taken_from_the_cache(tmp_path):
    for images in (5, 7):
        write_split(toy_source(images), tmp_path / "toy")
        rows = load_split(tmp_path / "toy", "train", cache_dir=tmp_path / "cache")
        assert len(rows) == images - 1


def test_only_the_split_asked_for_is_unpacked(folder, tmp_path):
    load_split(folder, "train", cache_dir=tmp_path)
    assert [path.name for path in tmp_path.rglob("*.arrow")] == ["parquet-train.arrow"]


def test_semantic_sets_have_no_ground_truth_of_instances(tmp_path):
    source = toy_source(3)

    def read(number):
        (record,) = source.read(number)
        yield replace(record, objects=(), label=np.zeros((40, 60), dtype=np.uint8))

    write_split(replace(source, kind="semantic", read=read), tmp_path)
    dataset = load_split(tmp_path, "train", streaming=True)
    assert (kind(dataset), class_names(dataset)) == ("semantic", ["ship", "plane"])
    with pytest.raises(ValueError, match="must be an instance set, but it has label images"):
        coco_ground_truth(dataset)


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_split_that_is_not_there(folder):
    with pytest.raises(
        ValueError, match=r"must be one of train, val of .*, but is 'test'"
    ) as error:
        load_split(folder, "test")
    sentence(error)


def test_what_is_no_prepared_set(tmp_path):
    with pytest.raises(ValueError, match=r"has no README\.md and no data") as error:
        load_split(tmp_path, "train")
    sentence(error)
    (tmp_path / ".preparing-train").mkdir()
    with pytest.raises(ValueError, match=r"not finished \(\.preparing-train\); run the same"):
        load_split(tmp_path, "train")
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must be a folder or a name on the Hub.*is a file"):
        load_split(tmp_path / "a.parquet", "train")


@pytest.mark.parametrize("streaming", [True, False])
def test_other_columns(tmp_path, streaming):
    other = datasets.Dataset.from_dict({"picture": [1], "label": [2]})
    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "README.md").write_text("# other\n")
    other.to_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(ValueError, match=r"its columns are picture, label\. Prepare it"):
        load_split(tmp_path / "set", "train", streaming, cache_dir=tmp_path / "cache")


def test_columns_that_are_almost_right(tmp_path):
    row = {"image": None, "image_id": 1, "width": 2, "height": 2, "objects": {"category": [1]}}
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("# other\n")
    datasets.Dataset.from_list([row]).to_parquet(tmp_path / "data" / "train-0.parquet")
    with pytest.raises(ValueError, match=r"not of the form that `score-hf prepare` writes"):
        load_split(tmp_path, "train", streaming=True)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_damaged_file(tmp_path, streaming):
    write_split(toy_source(), tmp_path / "toy")
    truncate(tmp_path / "toy/data/train-00000-of-00001.parquet")
    with pytest.raises(ValueError, match="'train' cannot be read") as error:
        load_split(tmp_path / "toy", "train", streaming, cache_dir=tmp_path / "cache")
    sentence(error)


FROM_THE_HUB = """
import sys
from score_hf.data.loading import class_names, load_split, objects_of

for streaming in (True, False):
    rows = load_split("me/toy", "train", streaming)
    print(class_names(rows), sum(len(objects_of(row)[0]) for row in rows))
for name, split in (("me/toy", "test"), ("me/none", "train")):
    try:
        load_split(name, split)
    except ValueError as error:
        print(error)
"""


def run_with_hub(code: str, place: Path, **environment: str) -> list[str]:
    changed = {"HF_HOME": str(place), "HF_TOKEN": "", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **changed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_set_on_the_hub(folder, tmp_path):
    with dataset_hub("me/toy", folder) as url:
        told = run_with_hub(FROM_THE_HUB, tmp_path, HF_ENDPOINT=url, HF_HUB_OFFLINE="0")
    assert told == [
        "['ship', 'plane'] 6",
        "['ship', 'plane'] 6",
        "`split` must be one of train, val of `dataset` 'me/toy', but is 'test'.",
        "`dataset` 'me/none' is neither a folder with a prepared set nor a data set on the Hub "
        "that can be read (Dataset 'me/none' doesn't exist on the Hub or cannot be accessed).",
    ]


def test_offline(tmp_path):
    code = """
from score_hf.data.loading import load_split
try:
    load_split("me/toy", "train")
except ValueError as error:
    print(error)
"""
    assert run_with_hub(code, tmp_path, HF_HUB_OFFLINE="1") == [
        "`dataset` 'me/toy' is neither a folder with a prepared set nor a data set on the Hub that "
        "can be read (HF_HUB_OFFLINE is set, so only folders can be read)."
    ]


def test_reading_a_folder_asks_no_server(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.load, "get_session", lambda: asked.append("a count"))
    before = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    assert "train" in split_names(folder)
    load_split(folder, "train", streaming=True)
    assert asked == [] and before == datasets.config.HF_UPDATE_DOWNLOAD_COUNTS


def test_damaged_masks_of_a_set_are_told():
    mask = {"size": [40, 60], "counts": "b1"}
    row = {"height": 40, "width": 60, "objects": [{"category": 0, "iscrowd": False}]}
    row["objects"][0]["segmentation"] = mask
    with pytest.raises(ValueError, match=r"`dataset` is no valid COCO .* do not fill 40 x 60"):
        objects_of(row)
