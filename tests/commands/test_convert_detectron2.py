import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation, Segmenter
from score_hf.cli import app
from score_hf.conversion.detectron2.extras import EXTRAS_FILE
from tests.conversion.detectron2.original_checkpoints import fc_clip_checkpoint
from tests.parity.__main__ import main as check_parity
from tests.parity.run import check_folder

pytest.importorskip("open_clip")

GOLDENS = Path(__file__).parents[1] / "fixtures" / "parity"
WEIGHTS = GOLDENS / "seed202" / "weights.safetensors"
WHOLE_SET = Path(__file__).parents[2].parent / "shared" / "parity" / "A"
# The goldens' towers do not follow the rule of one head for 64 channels.
HEADS = ("--context-heads", "4")


def convert(*arguments: object, fails: bool = False) -> str:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "golden"
    convert("--checkpoint", WEIGHTS, *HEADS, "-o", folder)
    return folder


def assert_equal(back: dict, theirs: dict) -> None:
    assert set(back) == set(theirs)
    for name, tensor in theirs.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name


def test_goldens_hold_on_the_converted_folder(folder):
    report = check_folder(GOLDENS, folder)

    assert report.failed == 0, "\n".join(report.lines())
    assert report.groups["training: gradients"].checks > 0
    assert report.groups["ensemble"].checks > 0


def test_goldens_fail_on_another_folder(tmp_path, capsys):
    # As the rule would have it, the context trunk has one head.
    convert("--checkpoint", WEIGHTS, "-o", tmp_path / "one-head")
    goldens = tmp_path / "goldens"
    shutil.copytree(GOLDENS, goldens, ignore=shutil.ignore_patterns("train_*", "optim_*"))

    assert check_parity([str(goldens), "--model", str(tmp_path / "one-head")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("context trunk") and "FAILED" in line for line in lines)
    with pytest.raises(SystemExit):
        check_parity([str(GOLDENS), "--model", str(tmp_path / "nothing")])


def test_the_way_back_is_exact(folder, tmp_path):
    output = convert("--to", "detectron2", "--checkpoint", folder, "-o", tmp_path / "back.pth")

    back = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    assert_equal(back, load_file(WEIGHTS))
    assert f"{len(back)} tensors under the original's names" in output


def test_what_tensors_do_not_tell_makes_the_way_there_and_back(tmp_path):
    exact = ("--context-activation", "gelu")
    convert("--checkpoint", WEIGHTS, *HEADS, *exact, "-o", tmp_path / "model")
    there, back = tmp_path / "there.pth", tmp_path / "back"

    output = convert("--to", "detectron2", "--checkpoint", tmp_path / "model", "-o", there)
    assert "there.json beside it says what tensors do not" in output
    json_file = ("--config-file", tmp_path / "there.json")
    output = convert("--checkpoint", there, *json_file, "-o", back)
    assert "QuickGELU" not in output
    refused = convert("--checkpoint", there, *json_file, *HEADS, "-o", tmp_path / "x", fails=True)
    assert "`--context-heads` is said by" in refused and "there.json already" in refused

    before, after = (
        ScoreForInstanceSegmentation.from_pretrained(folder)
        for folder in (tmp_path / "model", back)
    )
    assert after.config.context_config.to_dict() == before.config.context_config.to_dict()
    # But for what is said of it, the usual activation would be taken.
    output = convert("--checkpoint", there, *HEADS, "-o", tmp_path / "usual")
    assert "The context trunk runs with QuickGELU, as the original always does." in output
    usual = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "usual")
    assert usual.config.context_config.hidden_act == "quick_gelu"


@pytest.mark.skipif(not WHOLE_SET.is_dir(), reason="the whole set of goldens is not at hand")
def test_whole_set_holds_and_comes_back(tmp_path):
    embedding = WHOLE_SET / "token_embedding.safetensors"
    for seed in ("seed101", "seed202"):
        weights = WHOLE_SET / seed / "weights.safetensors"
        files = ("--checkpoint", weights, "--checkpoint", embedding)
        convert(*files, *HEADS, "--text-heads", 2, "-o", tmp_path / seed)
        back = tmp_path / f"{seed}.safetensors"
        convert("--to", "detectron2", "--checkpoint", tmp_path / seed, "-o", back)
        assert_equal(load_file(back), {**load_file(weights), **load_file(embedding)})

    report = check_folder(WHOLE_SET, tmp_path)

    assert report.failed == 0, "\n".join(report.lines())
    assert report.absent == []


def test_fc_clip_is_ready_to_use(tmp_path):
    checkpoint = tmp_path / "fcclip_cocopan.pth"
    state = fc_clip_checkpoint(queries=20)
    # What detectron2 keeps beside the weights, and numpy arrays among them.
    state["criterion.empty_weight"] = state["criterion.empty_weight"].numpy()
    content = {"model": state, "iteration": np.int64(9), "scheduler": {"lr": np.float64(0.1)}}
    torch.save(content, checkpoint)
    folder = tmp_path / "fc-clip"

    output = convert("--checkpoint", checkpoint, "--classes", "ship, plane | jet", "-o", folder)

    assert "FC-CLIP checkpoint" in output and "trained on 133 classes" in output
    assert "outputs of the towers compared with open_clip's" in output
    segmenter = Segmenter(folder)
    assert [entry.name for entry in segmenter.classes] == ["ship", "plane"]
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    (result,) = segmenter.segment([picture], 0.0)
    assert result.error is None and len(result.instances["scores"]) == 40
    card = (folder / "README.md").read_text()
    assert "FC-CLIP" in card and "label_ids_to_fuse=range(80, 133)" in card
    assert "license: apache-2.0" in card


def test_yaml_file_beside_the_checkpoint(tmp_path):
    recipe = tmp_path / "score.yaml"
    recipe.write_text(
        "_BASE_: coco/base.yaml\n"
        "MODEL:\n  SCORE: {GEOMETRIC_ENSEMBLE_BETA: 0.25}\n  MASK_FORMER: {NHEADS: 4}\n"
        "DATASETS:\n  TRAIN: ('isaid_train_instance',)\n"
    )

    output = convert(
        *("--checkpoint", WEIGHTS, *HEADS, "--config-file", recipe, "-o", tmp_path / "out"),
        *("--drop-unused", "--dtype", "float16", "--no-verify"),
    )

    assert "which is not there" in output and "criterion.empty_weight: left out" in output
    assert "compared with" not in output
    model = ScoreForInstanceSegmentation.from_pretrained(tmp_path / "out")
    assert (model.config.beta, model.config.num_attention_heads) == (0.25, 4)
    assert model.void_embedding.weight.dtype == torch.float16
    assert not (tmp_path / "out" / EXTRAS_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--checkpoint", "GONE.pth"], "does not exist"),
        (["--checkpoint", WEIGHTS, "--checkpoint", WEIGHTS], "once more"),
        (["--checkpoint", WEIGHTS, "--context", "ViT-B-32"], "`--context` names an OpenCLIP"),
        (["--checkpoint", WEIGHTS, "--dtype", "int8"], "`--dtype` must be one of"),
        (["--checkpoint", WEIGHTS, "--general-activation", "relu"], "`--general-activation` must"),
        (["--checkpoint", WEIGHTS, "--context-heads", "7"], "7 attention heads of the context"),
        (["--checkpoint", WEIGHTS, "--seen-classes", "a, b"], "`--seen-classes` has 2 classes"),
        (["--checkpoint", WEIGHTS, "--config-file", "GONE.yaml"], "cannot be read as detectron2"),
        (["--checkpoint", GOLDENS / "text.safetensors"], "must be a detectron2 checkpoint"),
        (["--config-file", "recipe.yaml"], "`--config-file` needs `--checkpoint`"),
        (["--to", "detectron2"], "needs `--checkpoint` with one model's folder, got 0"),
        (["--to", "mmdet", "--checkpoint", GOLDENS], "must be detectron2, got 'mmdet'"),
        (["--to", "detectron2", "--checkpoint", GOLDENS], "must be a model's folder"),
        (["--to", "detectron2", "--text-heads", "2"], "`--text-heads` has no use with `--to`"),
    ],
)
def test_errors_are_one_sentence_and_leave_nothing(tmp_path, arguments, said):
    output = convert(*arguments, "-o", tmp_path / "deep" / "out", fails=True)

    assert said in " ".join(output.split())
    assert "Traceback" not in output and len(output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
