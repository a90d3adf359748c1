"""The folder that the Hub would run, started in an environment with its requirements alone."""

import os
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from huggingface_hub import constants

from score_hf import bundled_model
from score_hf.conversion.hub import push_folder
from tests.conversion.hub_stand_in import OWNER, TOKEN, StandIn, hub_stand_in
from tests.demo.conftest import NAMES, SCENE

NAME = f"{OWNER}/score"
DEMO = Path(__file__).parents[2] / "demo"
STARTING_SECONDS = 180


@pytest.fixture
def hub(monkeypatch) -> Iterator[StandIn]:
    with hub_stand_in() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@contextmanager
def running(folder: Path, python: Path, hub: StandIn, log: Path) -> Iterator[str]:
    """Runs a Space as the Hub does: its `app_file`, in its folder, with what it set up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "HF_HOME": str(log.parent / "hub"),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(log.parent / "uploads"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    address = f"http://127.0.0.1:{port}/"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, "app.py"], cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                httpx.get(f"{address}config", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_what_is_pushed_runs_with_its_requirements_alone(hub, engine, tmp_path):
    addresses = push_folder(bundled_model("score-tiny"), NAME, space=DEMO)
    assert addresses == [f"{hub.url}/{NAME}", f"{hub.url}/spaces/{NAME}"]
    folder = tmp_path / "space"
    for path, content in hub.files(NAME, "space").items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    assert not list(folder.rglob("*.safetensors"))

    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-r", folder / "requirements.txt"], check=True
    )
    with running(folder, python, hub, tmp_path / "log.txt") as address:
        client = Client(address, verbose=False)
        answer = client.predict(handle_file(SCENE), NAMES, 0.3, api_name="/segment")
        page = httpx.get(address, timeout=60).text
    assert f"{NAME}" in page
    vocabulary = engine.read_vocabulary(NAMES)
    expected = engine.segment(engine.open(str(SCENE)), vocabulary, engine.encode(vocabulary))
    assert answer["image"]["width"] == expected.picture.width
    assert [one["name"] for one in answer["classes"]] == [one.name for one in vocabulary.classes]
    assert len(answer["instances"]) > 10
