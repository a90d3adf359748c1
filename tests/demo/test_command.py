import signal
import socket
import sys

import pytest
from gradio_client import Client
from typer.testing import CliRunner

from benchmarks.demo_load import running_demo
from score_hf.cli import app
from tests.demo.conftest import EXAMPLES


def run(*arguments: str):
    return CliRunner().invoke(app, ["demo", *arguments])


@pytest.fixture
def interruptible():
    """Processes of a shell's background ignore Ctrl-C, and so would what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_serves_the_model_on_the_port_until_it_is_stopped(tiny_folder, interruptible):
    options = ("--model", str(tiny_folder), "--device", "cpu", "--examples", str(EXAMPLES))
    with running_demo(*options) as (address, process):
        config = Client(address, verbose=False, httpx_kwargs={"timeout": 300}).config
        introduction = next(
            one for one in config["components"] if one["props"].get("elem_id") == "introduction"
        )
        assert str(tiny_folder) in introduction["props"]["value"]
        assert "A demonstration" not in introduction["props"]["value"]
        process.send_signal(signal.SIGINT)
        # Minutes on a machine that does much else.
        assert process.wait(300) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "score-hf: `--model` must be a folder"),
        (["--device", "nowhere"], "score-hf: `--device` must be one"),
        (["--examples", "/nowhere"], "score-hf: `--examples` must be a folder"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2 and "port" in done.stderr and "Traceback" not in done.stderr


def test_without_gradio_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = run()
    assert done.exit_code == 1
    assert done.stderr == "score-hf: the demo needs gradio: run `pip install 'score-hf[demo]'`.\n"
