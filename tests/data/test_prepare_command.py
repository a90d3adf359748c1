"""From the raw files to what training reads, through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.data.loading import class_names, coco_ground_truth, load_split, split_names
from tests.data.drawn_coco import annotation, box_polygon, image, write_coco
from tests.data.drawn_files import draw_image
from tests.data.drawn_isaid import write_devkit_patches

BOX = [box_polygon(5, 10, 25, 20)]
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["prepare", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def own_data(folder: Path) -> tuple[Path, Path]:
    for name in ("a.png", "b.png"):
        draw_image(folder / "images" / name, 60, 40)
    images = [image(1, "a.png"), image(2, "b.png"), image(3, "gone.png")]
    annotations = [
        annotation(1, 1, 1, BOX),
        annotation(2, 1, 2, BOX, iscrowd=1),
        annotation(3, 2, 2, []),
    ]
    path = write_coco(folder / "a.json", images, annotations, {1: "ship", 2: "plane"})
    return folder / "images", path


def test_own_data(tmp_path):
    images, annotations = own_data(tmp_path)
    output = tmp_path / "out"
    command = ["coco", "--images", images, "--annotations", annotations, "--output", output]
    told = run(*command, "--split", "train", "--name", "mine")
    assert "mine train, written to" in told
    assert "images 2 kept of 3: 1 with objects, 1 without" in told
    assert "objects 2, 1 of them crowds" in told
    assert "classes ship 1, plane 1" in told
    assert "left out 1 images: there is no such image file (gone.png)" in told
    assert "left out 1 objects: no mask, at most a box (b.png)" in told
    run(*command, "--split", "val")
    assert split_names(output) == ["train", "val"]
    truth = coco_ground_truth(load_split(output, "val", streaming=True))
    assert [one["iscrowd"] for one in truth["annotations"]] == [0, 1]


def test_a_set_of_which_nothing_can_be_kept(tmp_path):
    images, annotations = own_data(tmp_path)
    for picture in images.iterdir():
        picture.write_bytes(picture.read_bytes()[:50])
    command = ["coco", "--images", images, "--annotations", annotations]
    told = run(*command, "--output", tmp_path / "out", code=1)
    assert "images 0 kept of 3" in told and "left out 2 images: the file cannot be read" in told
    assert told.count("score-hf: ") == 1
    assert "no image of images train could be kept, for the reasons above" in told


def test_drawn_scenes(tmp_path):
    told = run("drawn", "--output", tmp_path, "--images", 2, "--size", 64, "--split", "val")
    assert "drawn val, written to" in told
    assert len(list(load_split(tmp_path, "val", streaming=True))) == 2


def test_isaid_and_what_of_it_is_missing(tmp_path):
    write_devkit_patches(tmp_path / "raw")
    told = run("isaid", "--root", tmp_path / "raw", "--output", tmp_path / "out", code=1)
    assert "isaid train, written to" in told
    assert "3 kept of 3: 2 with objects, 1 without paper 18,732 images" in told
    assert "note the devkit cuts 28,029 patches of train" in told
    assert "has no scenes of val" in told
    assert "`--split` asks for one split only" in told
    assert split_names(tmp_path / "out") == ["train"]
    run("isaid", "--root", tmp_path / "raw", "--output", tmp_path / "out", "--split", "train")


def test_each_set_of_the_release_goes_to_a_folder_of_its_name(tmp_path):
    for name, category in (("SOTA", "helipad"), ("FAST", "Van")):
        folder = tmp_path / "raw" / name / "val"
        draw_image(folder / "images" / "a.png", 60, 40)
        path = folder / "instances_val.json"
        write_coco(path, [image(1, "a.png")], [annotation(1, 1, 5, BOX)], {5: category})
    root, output = ("--root", tmp_path / "raw"), tmp_path / "out"
    told = run("score", *root, "--output", output)
    assert "score-sota val" in told
    assert "paper 3,207 images" in told
    assert len(class_names(load_split(output / "fast", "val", streaming=True))) == 37
    run("score", *root, "--output", tmp_path / "sota", "--subset", "sota")
    assert split_names(tmp_path / "sota") == ["val"]
    (tmp_path / "raw/SOTA/val/images/a.png").unlink()
    told = run("score", *root, "--output", output, code=1)
    assert "lacks 1 of the 1 pictures" in told
    assert "score-fast val" in told
    assert "`--split` must be train or val, but no set that is there has 'train'" in run(
        "score", *root, "--output", output, "--split", "train", code=1
    )
    assert "`--root` is not complete" in run(
        "score", *root, "--output", output, "--subset", "nwpu", "--split", "val", code=1
    )


def test_nwpu(tmp_path):
    base = tmp_path / "raw" / "NWPU VHR-10 dataset"
    draw_image(base / "positive image set" / "001.jpg", 60, 40)
    write_coco(base / "annotations.json", [image(0, "001.jpg")], [], {1: "airplane"})
    told = run("nwpu", "--root", tmp_path / "raw", "--output", tmp_path / "out")
    assert "nwpu whole, written to" in told
    assert len(load_split(tmp_path / "out", "whole", cache_dir=tmp_path / "cache")) == 1
    assert "classes that the file does not list: ship" in told


@pytest.mark.parametrize("name", ["score", "isaid", "nwpu"])
@pytest.mark.parametrize("root", ["nowhere", "."])
def test_a_wrong_root_is_told_in_one_sentence(tmp_path, name, root):
    told = run(name, "--root", tmp_path / root, "--output", tmp_path / "out", code=1)
    assert told.count("score-hf: ") == 1
    assert "`--root`" in told and "`root`" not in told
    assert not (tmp_path / "out").exists()


def test_arguments_of_readers_are_called_what_the_options_are(tmp_path):
    arguments = ["--root", tmp_path, "--output", tmp_path / "out", "--side", 100]
    told = run("isaid", *arguments, "--overlap", 100, code=2)
    assert "`--overlap` must lie between 0 and `--side`" in told


def test_a_json_file_that_is_none(tmp_path):
    images, annotations = own_data(tmp_path)
    annotations.write_text("<html>")
    command = ("coco", "--images", images, "--annotations", annotations, "--output", tmp_path / "o")
    told = run(*command, code=2)
    assert told.startswith("score-hf: '") and told.count("score-hf: ") == 1
    assert "is no complete JSON file" in told


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    told = run("drawn", "--output", tmp_path / "file", "--images", 1, "--size", 64, code=1)
    assert told.count("score-hf: ") == 1


WITHOUT_PACKAGES = """
import sys

for name in ("datasets", "pyarrow"):
    sys.modules[name] = None
from typer.testing import CliRunner
from score_hf.cli import app

for arguments in (["prepare", "--help"], ["prepare", "drawn", "--output", sys.argv[1]]):
    result = CliRunner().invoke(app, arguments)
    print(result.exit_code, result.stderr)
"""


def test_without_the_packages_that_write_there_is_help_and_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES, tmp_path / "out"],
        check=True,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n") == [
        "0 ",
        "1 score-hf: preparing needs datasets and pyarrow: run `pip install 'score-hf[train]'`.",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "images", "objects"), [("nwpu_vhr10", 440, 2593), ("isaid_tiles512", 433, 7027)]
)
def test_real_sets(tmp_path, name, images, objects):
    if not (SHARED / name / "instances.json").is_file():
        pytest.skip("the real sets lie beside the repository or not at all")
    run(
        "coco", "--images", SHARED / name, "--annotations", SHARED / name / "instances.json",
        "--output", tmp_path, "--split", "val",
    )  # fmt: skip
    summary = json.loads((tmp_path / "summary-val.json").read_text())
    assert (summary["images"], summary["objects"]) == (images, objects)
    assert summary["dropped_images"] == summary["dropped_objects"] == summary["altered"] == {}
    original = json.loads((SHARED / name / "instances.json").read_text())
    names = {one["id"]: one["name"] for one in original["categories"]}
    truth = coco_ground_truth(load_split(tmp_path, "val", streaming=True))
    written = {one["id"]: one["name"] for one in truth["categories"]}
    found, expected = (
        sorted(
            (one["image_id"], table[one["category_id"]], round(one["area"])) for one in annotations
        )
        for annotations, table in (
            (truth["annotations"], written),
            (original["annotations"], names),
        )
    )
    assert found == expected
