import base64
import errno
import json
import re
import struct
import zlib
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from typer.testing import CliRunner, Result

from score_hf import Segmenter, __version__
from score_hf.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def results_in(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in {"a.png": (64, 64, 3), "b.jpg": (60, 90, 3), "c.png": (64, 64)}.items():
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_version():
    assert run("--version").stdout == f"score-hf {__version__}\n"


def test_help_names_the_commands():
    assert "segment" in run("--help").stdout
    assert "--classes" in run("segment", "--help").stdout


def test_folder_of_pictures(pictures, tiny_folder, tmp_path):
    out = tmp_path / "deep" / "out"
    done = run(
        "segment", pictures, "--model", tiny_folder, "--classes", "ship; Storage Tank|oil tank",
        "--threshold", 0, "-o", out, "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "a_instances.png",
        "b_instances.png",
        "c_instances.png",
        "results.json",
    ]
    with Image.open(out / "b_instances.png") as overlay:
        assert overlay.width > 90 and overlay.height >= 60
    results = results_in(out)
    assert results["categories"] == [
        {"id": 1, "name": "ship", "synonyms": ["ship"], "seen": True},
        {"id": 2, "name": "Storage Tank", "synonyms": ["Storage Tank", "oil tank"], "seen": True},
    ]
    assert results["failed"] == [] and results["info"]["model"] == str(tiny_folder)
    assert "oil tank" in done.stdout
    assert f"{len(results['annotations'])} instances in 3 of 3 images" in done.stdout


def test_coco_tools_open_the_results(pictures, tiny_folder, tmp_path):
    run("segment", pictures, "--model", tiny_folder, "--threshold", 0, "-o", tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "results.json"))
    images = coco.loadImgs(coco.getImgIds())
    assert [(image["width"], image["height"]) for image in images] == [(64, 64), (90, 60), (64, 64)]
    # `loadRes` changes what it is given.
    detections = coco.loadRes(deepcopy(coco.dataset["annotations"]))
    assert detections.getAnnIds() == coco.getAnnIds() != []
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation)
        assert annotation["area"] == mask.sum()
        left, top, width, height = annotation["bbox"]
        if mask.any():
            rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
            assert (left, top) == (columns[0], rows[0])
            assert (width, height) == (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)


def test_results_are_those_of_python(pictures, tiny_folder, tmp_path):
    run("segment", pictures / "b.jpg", "--model", tiny_folder, "--threshold", 0, "-o", tmp_path)
    (expected,) = Segmenter(tiny_folder).segment(pictures / "b.jpg", threshold=0)
    annotations = results_in(tmp_path)["annotations"]
    assert [one["category_id"] - 1 for one in annotations] == expected.instances["labels"].tolist()
    scores = expected.instances["scores"].tolist()
    assert [one["score"] for one in annotations] == pytest.approx(scores, abs=1e-5)


def test_classes_file_and_chosen_format(pictures, tiny_folder, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("ship\nstorage tank | oil tank\n\n")
    done = run(
        "segment", pictures / "a.png", "--model", tiny_folder, "--classes-file", names,
        "--format", "coco", "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]
    assert [one["name"] for one in results_in(tmp_path / "out")["categories"]] == [
        "ship",
        "storage tank",
    ]


def test_a_forgotten_name_is_told_and_the_rest_understood(pictures, tiny_folder, tmp_path):
    given = (pictures / "a.png", "--model", tiny_folder, "-o", tmp_path)
    done = run("segment", *given, "--classes", "ship,,harbor,")
    assert done.exit_code == 0
    assert done.stderr.startswith("score-hf: warning: `--classes` has 1 empty name ")
    assert [one["name"] for one in results_in(tmp_path)["categories"]] == ["ship", "harbor"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_classes_file_of_any_editor(pictures, tiny_folder, tmp_path, encoding):
    names = tmp_path / "names.txt"
    names.write_bytes("château d'eau,\r\n\r\n船\r\n".encode(encoding))
    given = (pictures / "a.png", "--model", tiny_folder, "-o", tmp_path)
    done = run("segment", *given, "--classes-file", names)
    assert done.exit_code == 0 and done.stderr == ""
    categories = results_in(tmp_path)["categories"]
    assert [one["name"] for one in categories] == ["château d'eau", "船"]


def test_sample_pictures(tiny_folder, tmp_path):
    done = run("segment", "--sample", "--model", tiny_folder, "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert len(results_in(tmp_path)["images"]) == 2
    assert len(list(tmp_path.glob("*_instances.png"))) == 2


def test_samples_come_without_a_note_that_the_model_is_a_demonstration(tmp_path):
    done = run("segment", "--sample", "--classes", "plane", "-o", tmp_path)
    assert done.exit_code == 0 and done.stderr == ""


def test_pictures_of_one_name_do_not_overwrite_each_other(pictures, tiny_folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "A.png").write_bytes((pictures / "a.png").read_bytes())
    out = tmp_path / "out"
    run("segment", pictures / "a.png", other / "A.png", "--model", tiny_folder, "-o", out)
    overlays = sorted(path.name for path in out.glob("*.png"))
    assert overlays == ["A-2_instances.png", "a_instances.png"]


def test_a_picture_named_twice_is_segmented_once(pictures, tiny_folder, tmp_path):
    run("segment", pictures, pictures / "a.png", pictures, "--model", tiny_folder, "-o", tmp_path)
    assert len(results_in(tmp_path)["images"]) == 3


def test_overlays_do_not_replace_pictures_beside_them(pictures, tiny_folder):
    (pictures / "a_instances.png").write_bytes((pictures / "c.png").read_bytes())
    given = [pictures / "a.png", pictures / "a_instances.png"]
    done = run("segment", *given, "--model", tiny_folder, "-o", pictures)
    assert done.exit_code == 0
    assert (pictures / "a_instances.png").read_bytes() == (pictures / "c.png").read_bytes()
    assert (pictures / "a-2_instances.png").is_file()


def test_folders_within_a_folder_are_left_out(pictures, tiny_folder, tmp_path):
    (pictures / "folder.png").mkdir()
    (pictures / "itself.png").symlink_to(pictures)
    assert run("segment", pictures, "--model", tiny_folder, "-o", tmp_path).exit_code == 0


def test_file_names_of_every_kind(pictures, tiny_folder, tmp_path):
    names = ["new\nline", "[bold] {}%s", "船 é", "l" * 251, "日" * 83, "-o", "\udcff"]
    folder = tmp_path / "named"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.png").write_bytes((pictures / "a.png").read_bytes())
    out = tmp_path / "out \udcff"
    done = run("segment", folder, "--model", tiny_folder, "-o", out)
    assert done.exit_code == 0, done.stderr
    assert "in 7 of 7 images" in done.stdout and r"out \udcff" in done.stdout
    assert len(list(out.glob("*_instances.png"))) == 7
    read = {Path(image["file_name"]).stem for image in results_in(out)["images"]}
    assert read == set(names)


def test_picture_as_a_data_address(pictures, tiny_folder, tmp_path):
    encoded = base64.b64encode((pictures / "a.png").read_bytes()).decode()
    given = (f"data:image/png;base64,{encoded}", "--model", tiny_folder, "-o", tmp_path)
    assert run("segment", *given).exit_code == 0
    [image] = results_in(tmp_path)["images"]
    assert image["file_name"].startswith("data:image/png") and len(image["file_name"]) == 60


def test_names_in_brackets_are_printed_as_they_are(pictures, tiny_folder, tmp_path):
    given = (pictures / "a.png", "--model", tiny_folder, "-o", tmp_path)
    done = run("segment", *given, "--classes", "[bold]ship")
    assert "[bold]ship" in done.stdout


def test_too_long_a_name_is_warned_of(pictures, tiny_folder, tmp_path):
    given = (pictures / "a.png", "--model", tiny_folder, "-o", tmp_path)
    done = run("segment", *given, "--classes", "ship " * 90)
    assert done.exit_code == 0
    assert "score-hf: warning: The class 'ship ship" in done.stderr
    assert len(done.stderr.splitlines()[0]) < 200 and done.stdout.count("ship") < 90


def test_unreadable_picture_is_told_and_the_rest_written(pictures, tiny_folder, tmp_path):
    (pictures / "b.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    done = run("segment", pictures, "--model", tiny_folder, "-o", out)
    assert done.exit_code == 1
    results = results_in(out)
    assert [Path(image["file_name"]).name for image in results["images"]] == ["a.png", "c.png"]
    assert [Path(image["file_name"]).name for image in results["failed"]] == ["b.jpg"]
    assert "b.jpg" in done.stderr and "1 of 3 images could not be read" in done.stderr
    assert "Traceback" not in done.stderr


def png_that_says_to_have(width: int, height: int) -> bytes:
    """A file of a few bytes whose decoder would ask for gigabytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_huge_pictures_are_told_and_the_rest_written(pictures, tmp_path):
    # Above what the model takes, what Pillow warns of, and what Pillow refuses.
    for name, side in {"big": 5000, "bomb": 10_000, "larger bomb": 60_000}.items():
        (pictures / f"{name}.png").write_bytes(png_that_says_to_have(side, side))
    done = run("segment", pictures, "-o", tmp_path, "--classes", "ship", "--format", "coco")
    assert done.exit_code == 1
    results = results_in(tmp_path)
    assert [Path(image["file_name"]).name for image in results["images"]] == [
        "a.png",
        "b.jpg",
        "c.png",
    ]
    # They would be seen in tiles, if there were anything in them.
    lines = [line for line in done.stderr.splitlines() if "cannot be decoded" in line]
    assert len(lines) == 3 and "warning" not in done.stderr.lower()
    assert done.stderr.count("score-tiny is a demonstration") == 1
    for name, line in zip(("big", "bomb", "larger bomb"), lines, strict=True):
        assert f"{name}.png" in line


def test_unwritable_files_are_told_and_the_rest_written(pictures, tiny_folder, tmp_path):
    (tmp_path / "a_instances.png").mkdir()
    given = (pictures, "--model", tiny_folder, "-o", tmp_path)
    done = run("segment", *given)
    assert done.exit_code == 1
    assert "a_instances.png' cannot be written (Is a directory)" in done.stderr
    assert "1 of the files could not be written" in done.stderr
    assert len(results_in(tmp_path)["images"]) == 3
    assert len([path for path in tmp_path.glob("*_instances.png") if path.is_file()]) == 2


def test_full_disk_is_told(pictures, tiny_folder, tmp_path, monkeypatch):
    def write_half(path, text, **options):
        path.write_bytes(b"{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    done = run("segment", pictures, "--model", tiny_folder, "-o", tmp_path, "--format", "coco")
    assert done.exit_code == 1 and "in 3 of 3 images" in done.stdout
    assert "results.json' cannot be written (No space left on device)" in done.stderr
    assert list(tmp_path.glob("results.json*")) == []


def test_interruption_keeps_what_is_done(pictures, tiny_folder, tmp_path, monkeypatch):
    prepare = Segmenter._prepare

    def interrupted(self, index, source):
        if index == 2:
            raise KeyboardInterrupt
        return prepare(self, index, source)

    monkeypatch.setattr(Segmenter, "_prepare", interrupted)
    done = run("segment", pictures, "--model", tiny_folder, "-o", tmp_path)
    assert done.exit_code == 130
    read = results_in(tmp_path)["images"]
    assert len(read) >= 1 and Path(read[0]["file_name"]).name == "a.png"
    assert f"stopped by the user; {len(read)} of 3 images are done" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Give at least one `IMAGE`, or `--sample`"),
        (["{empty}"], "`IMAGE` is the folder .* in which there is no picture"),
        (["{pictures}", "-o", "{pictures}"], "`--output-dir` must be another folder"),
        (
            ["{pictures}", "--format", "png,gif"],
            "`--format` must be of png, coco, gpkg, parquet, fgb, geojson, got 'png,gif'",
        ),
        (["{pictures}", "--format", ","], "`--format` must be of png, coco"),
        (["{pictures}", "--classes", "a", "--classes-file", "b"], "Give `--classes` or"),
        (["{pictures}", "--classes", ""], "`--classes` must name at least one class, but got ''"),
        (["{pictures}", "--classes", " ,; "], "`--classes` must name at least one class"),
        (["{pictures}", "--classes-file", "{latin}"], r"`--classes-file` must be in UTF-8.*byte 2"),
        (["{pictures}", "--classes", "ship, Ship"], "holds 'ship' twice"),
        (
            ["{pictures}", "--classes-file", "nowhere.txt"],
            "`--classes-file` .* 'nowhere.txt'",
        ),
        (["{pictures}", "--classes-file", "{empty}"], "`--classes-file` .*empty' cannot be read"),
        (["{pictures}", "--classes", "a,\udcff"], r"`classes\[1\]` is '.udcff', which is no text"),
        ([""], "`IMAGE` must be a picture, a folder or an address, but got ''"),
        (["{pictures}", "-o", "{latin}"], "`--output-dir` must be .* cannot .File exists."),
        (["{pictures}", "-o", "{latin}/below"], "`--output-dir` must be .* cannot .Not a dir"),
        (["{pictures}", "--model", ""], "`--model` must be a folder, .* there is no ''"),
        (["{pictures}", "--device", "meta"], "`--device` must be one .* got 'meta'"),
        (["{pictures}", "--model", "nowhere"], "`--model` must be a folder, .* 'nowhere'"),
        (["{pictures}", "--threshold", "2"], "`--threshold` must be a number between 0 and 1"),
        (["{pictures}", "--device", "gpu"], "`--device` must be one that PyTorch can use"),
        (["{pictures}", "--dtype", "int8"], "`--dtype` must be one of float32, bfloat16, float16"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments, message, pictures, tiny_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.txt").write_bytes("château".encode("latin-1"))
    places = {"pictures": pictures, "empty": tmp_path / "empty", "latin": tmp_path / "latin.txt"}
    given = [argument.format(**places) for argument in arguments]
    if "--model" not in given:
        given += ["--model", tiny_folder]
    if "-o" not in given:
        given += ["-o", tmp_path / "out"]
    done = run("segment", *given)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("score-hf: ")
    assert re.search(message, line)
    assert not (tmp_path / "out").exists()
