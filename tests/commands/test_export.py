import numpy as np
import pytest
from typer.testing import CliRunner, Result

from score_hf.cli import app


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_classes_for_a_graph(tiny_folder, tmp_path):
    file = tmp_path / "new" / "port.npz"
    done = run("classes", tiny_folder, "--classes", "ship, pier | harbor", "-o", file)
    assert done.exit_code == 0, done.output
    assert "2 classes (ship, pier)" in done.stdout
    assert np.load(file)["names"].tolist() == ["ship", "pier"]
    assert np.load(file)["class_ids"].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["onnx", "FOLDER", "--size", "512.5", "-o", "made"], "`--size` must be such as 512"),
        (["torch", "FOLDER", "--size", "1x2x3", "-o", "made"], "`--size` must be such as 512"),
        (["torch", "FOLDER", "--size", "500", "-o", "made"], "`--size` must be a height and a"),
        (["torch", "FOLDER", "--classes", "a, a", "-o", "made"], "`--classes`"),
        (["torch", "FOLDER", "-o", "there"], "`--output` "),
        (["torch", "nothing", "-o", "made"], "there is no 'nothing'"),
        (["classes", "FOLDER", "-o", "port.json"], "`--output` must end in .npz"),
    ],
    ids=str,
)
def test_mistakes_are_told_in_one_sentence(words, message, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    done = run(*(tiny_folder if word == "FOLDER" else word for word in words))
    assert done.exit_code == 2
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
