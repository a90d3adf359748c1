import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.data.loading import coco_ground_truth
from score_hf.output_places import exclusively
from tests.evaluation.made_sets import (
    NAMES,
    instance_rows,
    instance_set,
    made_set,
    noisy_predictions,
    write_set,
)
from tests.evaluation.test_coco_metrics import plain_pycocotools

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "score_hf.training.evaluate"]
TWO = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
    *LAUNCH[1:],
]
IMAGES = 60


@pytest.fixture(scope="module")
def dataset():
    return instance_set(IMAGES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    return write_set(tmp_path_factory.mktemp("sets") / "made", dataset)


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


def options(model: Path, dataset: Path, output: Path) -> list[str]:
    pairs = {
        "--model": model,
        "--dataset": dataset,
        "--split": "val",
        "--output": output / "metrics.json",
        "--predictions": output / "predictions.json",
        "--device": "cpu",
    }
    return [str(part) for pair in pairs.items() for part in pair]


def launch(command: list[str], arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 0, told
    return told


def results(output: Path) -> tuple[dict, list]:
    files = "metrics.json", "predictions.json"
    return tuple(json.loads((output / name).read_text()) for name in files)


def run(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    return result.exit_code, result.output


def predict_noisily(work: Path, dataset) -> list[dict]:
    """Puts predictions that are partly right in the place of the model's."""
    predictions = noisy_predictions(coco_ground_truth(dataset))
    lines = [
        json.dumps(
            {
                "image_id": number,
                "predictions": [
                    {key: entry[key] for key in ("category_id", "segmentation", "score")}
                    for entry in predictions
                    if entry["image_id"] == number
                ],
            }
        )
        for number in dataset["image_id"]
    ]
    for part in work.glob("part-*.jsonl"):
        part.unlink()
    (work / "part-00000.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return predictions


@pytest.fixture(scope="module")
def killed(tiny_folder, folder, tmp_path_factory):
    """What an evaluation leaves that was killed after some images."""
    output = tmp_path_factory.mktemp("killed")
    process = launch(LAUNCH, options(tiny_folder, folder, output))
    deadline = time.monotonic() + 900
    while images_done(output) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 3 <= images_done(output) < IMAGES
    assert not (output / "metrics.json").exists()
    return output


def images_done(output: Path) -> int:
    parts = (output / "metrics-predictions").glob("part-*.jsonl")
    return sum(part.read_bytes().count(b"\n") for part in parts)


def test_killed_evaluation_goes_on_in_two_processes(tiny_folder, folder, killed, tmp_path):
    """And gives what one process gives that nobody disturbs."""
    code, told = run(*options(tiny_folder, folder, tmp_path / "undisturbed"))
    assert code == 0, told
    output = shutil.copytree(killed, tmp_path / "killed")
    finish(launch(TWO, options(tiny_folder, folder, output)))
    assert results(output) == results(tmp_path / "undisturbed")
    assert sorted(os.listdir(output)) == ["metrics.json", "predictions.json"]


@pytest.mark.parametrize("processes", [1, 2])
def test_figures_of_partly_right_predictions(
    tiny_folder, folder, dataset, killed, tmp_path, processes
):
    """What plain pycocotools says of the same predictions, however many processes measure."""
    output = shutil.copytree(killed, tmp_path / "killed")
    expected_predictions = predict_noisily(output / "metrics-predictions", dataset)
    arguments = options(tiny_folder, folder, output)
    told = finish(launch(TWO, arguments)) if processes == 2 else run(*arguments)[1]
    figures, predictions = results(output)
    assert len(predictions) == len(expected_predictions)
    truth = coco_ground_truth(dataset)
    precision = plain_pycocotools(truth, predictions).eval["precision"][:, :, :, 0, 2]
    assert figures["AP"] == precision[precision > -1].mean() > 0.1
    assert figures["num_images"] == IMAGES
    assert f"{100 * figures['AP']:.2f}" in told and told.count("images, figures written") == 1


def test_killed_evaluation_does_not_go_on_with_other_settings(tiny_folder, folder, killed):
    code, told = run(*options(tiny_folder, folder, killed), "--alpha", 0.1)
    assert code == 2 and "unfinished predictions made with `--alpha` 0.4 instead of 0.1" in told


def test_command_line(tiny_folder, tmp_path):
    folder = write_set(tmp_path / "made", instance_set(3))
    names = tmp_path / "prompts.txt"
    names.write_text("ship | boat\ntank\npier\nviaduct\n")
    code, told = run(
        *options(tiny_folder, folder, tmp_path / "new"),
        *("--prompts", names, "--seen-from", folder, "--extra-names", "water, car"),
        *(
            "--alpha",
            0.1,
            "--beta",
            0.3,
            "--sweep",
            "--streaming",
            "--report",
            tmp_path / "new" / "report.html",
        ),
    )
    assert code == 0, told
    figures, _ = results(tmp_path / "new")
    settings = figures["settings"]
    assert settings["prompts"] == ["ship, boat", "tank", "pier", "viaduct"]
    assert settings["seen_classes"] == [True, False, False, False]
    assert settings["extra_names"] == ["water", "car"]
    assert (settings["alpha"], settings["beta"]) == (0.1, 0.3)
    assert settings["model"] == str(tiny_folder) and settings["split"] == "val"
    place = [figures["sweep"][name].index(settings[name[:-1]]) for name in ("alphas", "betas")]
    assert figures["sweep"]["AP"][place[0]][place[1]] == figures["AP"]
    assert (tmp_path / "new" / "report.html").read_text().startswith("<!doctype html>")
    assert all(name in told for name in NAMES) and "harmonic_mean" in told


def test_trunks_in_bfloat16(tiny_folder, tmp_path):
    folder = write_set(tmp_path / "made", instance_set(2))
    written = {}
    for dtype in ("float32", "bfloat16-trunks"):
        code, told = run(*options(tiny_folder, folder, tmp_path / dtype), "--dtype", dtype)
        assert code == 0, told
        figures, written[dtype] = results(tmp_path / dtype)
        assert figures["settings"]["dtype"] == dtype
    assert written["float32"] != written["bfloat16-trunks"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"--dataset": "nothing"}, "`--dataset` 'nothing' is neither a folder"),
        ({"--split": "test"}, "`--split` must be one of val of `--dataset`"),
        ({"--model": "nothing"}, "`--model` must be a folder"),
        ({"--context-text-from": "nothing"}, "`--context-text-from` must be a folder"),
        ({"--alpha": 2}, "`--alpha` must be a number between 0 and 1, but got 2.0"),
        ({"--seen-from": "nothing"}, "`--seen-from` 'nothing' is neither a folder"),
        ({"--prompts": "nothing"}, "`--prompts` must be a text file with class names"),
        ({"--device": "gpu"}, "`--device` must be"),
        (
            {"--dtype": "half"},
            "`--dtype` must be one of float32, bfloat16, float16, bfloat16-trunks",
        ),
        ({"--output": "a.json", "--predictions": "a.json"}, "must be different files, got a.json"),
        ({"--output": "."}, "`--output` must be a file, but '.' is a folder"),
        ({"--report": f"{__file__}/a.html"}, "`--report` needs the folder"),
        ({"--extra-names": ","}, "`--extra-names` must name at least one class"),
        ({"--task": "semantic", "--sweep": None}, "`--sweep` is for the task 'instance'"),
    ],
)
def test_bad_options_are_told_in_one_line(
    tiny_folder, folder, tmp_path, monkeypatch, change, message
):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    arguments = options(tiny_folder, folder, tmp_path)
    for name, value in change.items():
        if name in arguments:
            arguments[arguments.index(name) + 1] = str(value)
        else:
            arguments += [name] if value is None else [name, str(value)]
    code, told = run(*arguments)
    assert code == 2
    line = told.strip().splitlines()[-1]
    assert line.startswith("score-hf: ") and message in line
    assert not (tmp_path / "metrics.json").exists()


def test_two_evaluations_do_not_write_one_file_at_once(tiny_folder, folder, tmp_path):
    with exclusively(tmp_path / ".metrics.json.lock", "the test holds it"):
        code, told = run(*options(tiny_folder, folder, tmp_path))
    assert code == 2 and "`--output`" in told and "another evaluation is at it" in told
    code, told = run(*options(tiny_folder, folder, tmp_path))
    assert code == 0, told
    assert not list(tmp_path.glob(".*"))


def test_module_tells_bad_options_in_one_line(folder, tmp_path):
    process = launch(LAUNCH, options(Path("nothing"), folder, tmp_path))
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 1
    assert told.startswith("score-hf: `model` must be a folder") and told.count("\n") == 1


@pytest.mark.slow
def test_neighbours_of_a_process_that_fails_stop_too(tiny_folder, tmp_path):
    rows = instance_rows(4)
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:60]
    damaged = write_set(tmp_path / "damaged", made_set(rows))
    process = launch(TWO, options(tiny_folder, damaged, tmp_path))
    told, _ = process.communicate(timeout=900)
    assert process.returncode != 0
    assert told.count("The image 'scene_3.png' of `dataset` cannot be decoded") == 1
    assert told.count("score-hf: Another process of this evaluation has stopped") == 1
    assert not (tmp_path / "metrics.json").exists()
