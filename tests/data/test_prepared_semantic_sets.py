"""From the raw files to what evaluation reads, through the command line."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.data.loading import class_names, kind, load_split, objects_of
from tests.data.drawn_files import draw_image, draw_label
from tests.data.drawn_samrs import CAR, HEIGHT, POOL, WIDTH, instance, write_annotation


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["prepare", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def rows_of(folder: Path, split: str) -> list[dict]:
    return list(load_split(folder, split, streaming=True))


def test_floodnet(tmp_path):
    root, output = tmp_path / "raw", tmp_path / "floodnet"
    for split, stem in (("val", "1"), ("test", "2")):
        draw_image(root / split / f"{split}-org-img" / f"{stem}.jpg", 2, 2)
        draw_label(root / split / f"{split}-label-img" / f"{stem}_lab.png", [[0, 1], [9, 77]])
    told = run("floodnet", "--root", root, "--output", output)
    assert "2 kept of 2" in told
    assert "898 images" in told
    assert "label with values that are no class, ignored there (1.jpg, 2.jpg)" in told
    dataset = load_split(output, "val_test", streaming=True)
    assert kind(dataset) == "semantic"
    assert class_names(dataset)[0] == "Building-Flooded"
    row = rows_of(output, "val_test")[0]
    assert np.asarray(row["label"]).tolist() == [[255, 0], [8, 255]]
    assert row["classes"] == [0, 8]


def test_samrs(tmp_path):
    base, output = tmp_path / "fair1m_1024" / "trainval", tmp_path / "fast"
    for stem in ("train_1_0000", "train_1_0001"):
        draw_image(base / "images" / f"{stem}.png", WIDTH, HEIGHT)
    empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
    write_annotation(
        base / "rhbox_segs_init",
        "train_1_0000",
        [
            instance(36, CAR, "Warship", rotated=True),
            instance(35, empty, "Van", rotated=True),
            instance(0, POOL, "A220", rotated=True),
        ],
    )
    (base / "train.txt").write_text("train_1_0001\n")
    (base / "valid.txt").write_text("train_1_0000\n")
    told = run(
        "samrs", "--root", tmp_path, "--output", output, "--subset", "fast", "--split", "val"
    )
    assert "1 objects: empty mask" in told
    row = rows_of(output, "val")[0]
    masks, labels, _ = objects_of(row)
    assert labels.tolist() == [36, 0]
    assert np.array_equal(masks, [CAR, POOL])
    # The source box is what SAM was given; the mask has its own.
    assert row["objects"][0]["bbox"] == [3.0, 2.0, 5.0, 3.0]
    assert row["objects"][0]["area"] == CAR.sum()

    labels_output = tmp_path / "fast-semantic"
    run(
        "samrs", "--root", tmp_path, "--output", labels_output, "--subset", "fast",
        "--split", "val", "--semantic",
    )  # fmt: skip
    assert rows_of(labels_output, "val")[0]["classes"] == [0, 36]
    summary = json.loads((labels_output / "summary-val.json").read_text())
    assert (summary["name"], summary["paper_images"]) == ("samrs-fast", 3_207)


def test_a_wrong_root_is_one_sentence(tmp_path):
    for name, more in (
        ("samrs", ("--subset", "sior")),
        ("landdiscover", ()),
        ("flair", ()),
        ("potsdam", ()),
        ("floodnet", ()),
    ):
        told = run(name, "--root", tmp_path, "--output", tmp_path / "out", *more, code=1)
        assert told.startswith("score-hf: `--root` "), told
        assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_image_list_belongs_to_a_split(tmp_path):
    told = run(
        "samrs", "--root", tmp_path, "--output", tmp_path / "out", "--subset", "sior",
        "--image-list", tmp_path / "list.txt", code=2,
    )  # fmt: skip
    assert told == "score-hf: `--image-list` needs `--split`: train or val.\n"
