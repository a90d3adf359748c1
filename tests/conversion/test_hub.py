import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from typer.testing import CliRunner

from score_hf import ScoreForInstanceSegmentation
from score_hf.cli import app
from score_hf.conversion.hub import push_folder
from score_hf.conversion.model_card import PLACEHOLDER, ModelCardFacts
from score_hf.conversion.model_folder import write_model_folder
from tests.conversion.hub_stand_in import OWNER, TOKEN, hub_stand_in
from tests.isolated import run_isolated
from tests.tiny import tiny_config, tiny_processor

NAME = f"{OWNER}/score"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config()).eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory, model) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "model"
    return write_model_folder(folder, model, tiny_processor(), ModelCardFacts("Tiny"))


@pytest.fixture
def folder(tmp_path, written) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


@pytest.fixture
def space(tmp_path) -> Path:
    place = tmp_path / "demo"
    (place / "examples").mkdir(parents=True)
    (place / "__pycache__").mkdir()
    (place / "README.md").write_text("---\ntitle: Demo\nsdk: gradio\napp_file: app.py\n---\n")
    for name in ("app.py", "examples/a.png", "__pycache__/app.pyc", ".hidden"):
        (place / name).write_bytes(b"x")
    return place


@pytest.fixture
def hub(monkeypatch):
    """The stand-in, which this process takes for the Hub."""
    with hub_stand_in() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def push(*arguments: object):
    return CliRunner().invoke(app, ["push", *map(str, arguments)])


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_pushed_loads_from_the_hub_where_the_package_is_not(tmp_path, folder, model):
    with hub_stand_in() as server:
        reach = {"HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", "from score_hf.cli import app; app()", "push", folder, NAME],
            env={**os.environ, **reach, "HF_HUB_DISABLE_XET": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"model: {server.url}/{NAME}\n"
        code = """
from transformers import AutoModelForInstanceSegmentation, AutoProcessor

model = AutoModelForInstanceSegmentation.from_pretrained(sys.argv[1], trust_remote_code=True)
AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
print(float(sum(tensor.double().sum() for tensor in model.state_dict().values())))
"""
        printed = run_isolated(code, tmp_path, NAME, **reach)
    expected = sum(tensor.double().sum() for tensor in model.state_dict().values())
    assert float(printed) == pytest.approx(float(expected))


def test_all_files_arrive_in_one_commit_and_the_card_names_the_repository(hub, folder):
    (folder / ".cache").write_text("")
    (folder / "optimizer.pt").write_text("")
    (folder / "step-100").mkdir()
    (folder / "step-100" / "model.safetensors").write_text("")
    assert push_folder(folder, NAME) == [f"{hub.url}/{NAME}"]
    files = hub.files(NAME)
    expected = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    del expected[".cache"], expected["optimizer.pt"]
    card = expected.pop("README.md").decode()
    assert files.pop("README.md").decode() == card.replace(PLACEHOLDER, NAME)
    assert PLACEHOLDER in card
    assert files == expected and len(hub.commits) == 1


def test_a_name_without_owner_goes_to_the_own_account(hub, folder):
    assert push_folder(folder, "score") == [f"{hub.url}/{NAME}"]
    assert NAME in hub.files(NAME)["README.md"].decode()


def test_what_has_not_changed_is_not_sent_again(hub, folder):
    push_folder(folder, NAME)
    push_folder(folder, NAME)
    assert len(hub.sent) == 1 and len(hub.commits) == 1


def test_old_weights_go_with_the_commit_that_brings_the_new(hub, folder, model):
    push_folder(folder, NAME)
    hub.files(NAME)["notes.md"] = b"stays"
    write_model_folder(
        folder, model, tiny_processor(), ModelCardFacts("Tiny"),
        max_shard_size="500KB", overwrite=True,
    )  # fmt: skip
    push_folder(folder, NAME)
    weights = {path for path in hub.files(NAME) if ".safetensors" in path}
    assert weights == {path.name for path in folder.glob("*.safetensors*")}
    assert len(weights) > 2 and "notes.md" in hub.files(NAME)


def test_a_broken_upload_leaves_the_repository_as_it_was_and_goes_on(hub, folder, model):
    write_model_folder(
        folder, model, tiny_processor(), ModelCardFacts("Tiny"),
        max_shard_size="500KB", overwrite=True,
    )  # fmt: skip
    shards = [digest_of(path) for path in sorted(folder.glob("*.safetensors"))]
    assert len(shards) > 1
    hub.refuse.add(shards[-1])
    done = push(folder, NAME)
    assert done.exit_code == 1
    assert f"score-hf: The Hub did not take '{NAME}': it answered 418" in done.stderr
    assert hub.files(NAME) == {} and hub.commits == []
    before = list(hub.sent)
    hub.refuse.clear()
    assert push(folder, NAME).exit_code == 0
    assert hub.sent == [*before, *(shard for shard in shards if shard not in before)]
    assert len(hub.files(NAME)) == len(list(folder.iterdir()))


def test_private_means_private(hub, folder):
    assert push(folder, NAME, "--private").exit_code == 0
    assert hub.repositories["model", NAME]["private"]
    push_folder(folder, f"{OWNER}/open")
    done = push(folder, f"{OWNER}/open", "--private")
    assert done.exit_code == 2 and "is a public model already" in done.stderr
    assert len(hub.commits) == 2


def test_a_space_goes_along(hub, folder, space):
    done = push(folder, NAME, "--space", space)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"model: {hub.url}/{NAME}\nSpace: {hub.url}/spaces/{NAME}\n"
    assert set(hub.files(NAME, "space")) == {"README.md", "app.py", "examples/a.png"}
    assert hub.repositories["space", NAME]["sdk"] == "gradio"


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda place: (place / "README.md").unlink(), "must be the folder of a Space"),
        (lambda place: (place / "README.md").write_text("# Demo"), "must be the folder of a Space"),
        (lambda place: (place / "app.py").unlink(), "has no app.py, which it starts with"),
    ],
)
def test_what_is_no_space_is_told_before_anything_is_sent(hub, folder, space, break_it, message):
    break_it(space)
    done = push(folder, NAME, "--space", space)
    assert done.exit_code == 2 and message in done.stderr
    assert hub.repositories == {}


@pytest.mark.parametrize(
    "token, name, message",
    [
        ("hf_wrong", NAME, "it does not accept your token: run `hf auth login`"),
        (TOKEN, "someone/score", "your token may not write there"),
    ],
)
def test_who_may_not_write_is_told(hub, folder, monkeypatch, token, name, message):
    monkeypatch.setenv("HF_TOKEN", token)
    done = push(folder, name)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert message in line


def test_without_network_one_sentence(hub, folder, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    done = push(folder, NAME)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "broke off" in line and "run the same command again" in line


def test_offline_and_logged_out_are_told_when_the_rest_is_right(hub, monkeypatch, folder, tmp_path):
    monkeypatch.setattr("score_hf.conversion.hub.get_token", lambda: None)
    done = push(tmp_path / "nowhere", NAME)
    assert done.exit_code == 2 and "`DIR` must be a folder with a model" in done.stderr
    done = push(folder, "no/such/name")
    assert done.exit_code == 2 and "`REPO_ID` must be a name" in done.stderr
    done = push(folder, NAME)
    assert done.exit_code == 1 and "not logged in to the Hub: run `hf auth login`" in done.stderr
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = push(folder, NAME)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "HF_HUB_OFFLINE" in line and "unset it" in line


def test_ctrl_c_says_how_to_go_on(hub, folder, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("huggingface_hub.HfApi.create_commit", interrupted)
    done = push(folder, NAME)
    assert done.exit_code == 130 and "run it again to go on where it stopped" in done.stderr


def _truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])


def _index(name: str, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"void_embedding.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _change(**fields):
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda folder: shutil.rmtree(folder), "`folder` must .* a model, but there is no"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "README.md").unlink(), "has no README.md .its model card"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda folder: (folder / "processor_config.json").unlink(), "has no processor_config"),
        (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors nor"),
        (
            partial(_index, "model-00001-of-00001.safetensors"),
            "model-00001-of-00001.safetensors is missing, which model.safetensors.index",
        ),
        (partial(_index, "../b.safetensors"), r"lists '\.\./b.*', which is no file beside it"),
        (_truncate, "model.safetensors is damaged"),
        (lambda folder: (folder / "modeling_score.py").unlink(), "that is not there, modeling_sc"),
        (lambda folder: (folder / "layers.py").unlink(), r"imports layers\.py, which is not there"),
        (lambda folder: (folder / "layers.py").write_text("def"), r"layers\.py is no Python"),
        (lambda folder: (folder / "prompts.py").unlink(), r"prompts\.py, which is not there"),
        (
            lambda folder: (folder / "modeling_score.py").write_text(""),
            "names ScoreForInstanceSegmentation, which its modeling_score.py does not define",
        ),
        (lambda folder: (folder / "README.md").write_text("# A model"), "begin with metadata"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not complete"),
        (lambda folder: (folder / "config.json").write_text("[]"), "says `model_type` None"),
        (lambda folder: (folder / "processor_config.json").write_text("[]"), "is not complete"),
        (_change(model_type="clip"), "says `model_type` 'clip' instead of 'score'"),
        (_change(num_hidden_layers=3), "of its weights are missing, such as mask_decoder.layers.2"),
        (_change(num_queries=9), r"another shape than .* \(\(8, 32\) instead of \(9, 32\)\)"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_complete_is_refused(hub, folder, break_it, message):
    break_it(folder)
    with pytest.raises(ValueError, match=message):
        push_folder(folder, NAME)
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["", "a/b/c", "me/with space", "me/-x", "https://hf.co/me/x"])
def test_a_name_that_is_none_is_refused(hub, folder, name):
    done = push(folder, name)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "`REPO_ID` must be a name such as 'owner/name', of letters" in line
    assert line.endswith(f"got {name!r}.")


def test_a_folder_without_code_is_pushed_with_a_warning(hub, folder):
    for path in folder.glob("*.py"):
        path.unlink()
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        fields = json.loads((folder / name).read_text())
        for part in (fields, fields.get("image_processor", {})):
            part.pop("auto_map", None)
        (folder / name).write_text(json.dumps(fields))
    done = push(folder, NAME)
    assert done.exit_code == 0, done.stderr
    assert "holds no modelling code" in done.stderr
