"""The running demo as scripts meet it."""

import ast
import asyncio
import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from PIL import Image

from score_hf.demo.handlers import Handlers
from tests.demo.conftest import NAMES, SCENE

SECRET = "a secret of the server"


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False)


def ask(client: Client, picture=SCENE, names: str = NAMES, **options):
    return client.predict(handle_file(picture), names, api_name="/segment", **options)


def test_the_endpoint_is_the_only_one_and_typed(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert list(named) == ["/segment"]
    given = {
        one["parameter_name"]: (one["python_type"]["type"], one["parameter_has_default"])
        for one in named["/segment"]["parameters"]
    }
    assert given == {
        "image": ("filepath", False),
        "classes": ("str", False),
        "threshold": ("float", True),
        "alpha": ("float", True),
        "beta": ("float", True),
        "max_instances": ("int", True),
    }


def test_it_answers_what_the_handler_answers(client, engine):
    assert ask(client) == json.loads(json.dumps(Handlers(engine).segment(str(SCENE), NAMES)))
    assert ask(client, threshold=0.8, alpha=1.0, beta=1.0, max_instances=7) == json.loads(
        json.dumps(Handlers(engine).segment(str(SCENE), NAMES, 0.8, 1.0, 1.0, 7))
    )


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("", {}, "There are no class names yet"),
        ("a" * 81, {}, "has 81 letters"),
        (", ".join(f"class {n}" for n in range(101)), {}, "There are 101 classes"),
        ("<i>x</i>, <I>x</I>", {}, "'<i>x</i>' twice"),
        ("ship", {"threshold": 7}, "`threshold` must be a number between 0 and 1"),
    ],
)
def test_an_error_is_our_sentence(client, names, options, message):
    with pytest.raises(AppError) as caught:
        ask(client, names=names, **options)
    assert message in str(caught.value) and "Traceback" not in str(caught.value)


def test_what_is_no_picture_is_told(client, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(AppError, match=r"The picture cannot be decoded"):
        ask(client, tmp_path / "a.png")


def test_a_huge_picture_is_told(client, tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "a.png")
    with pytest.raises(AppError, match=r"The picture is 9000 x 9000, 81 million pixels"):
        ask(client, tmp_path / "a.png")


def join_queue(address: str, image: object, names: object = "ship", most: object = 10) -> str:
    """Calls the endpoint as somebody would who writes requests by hand."""
    called = httpx.post(
        f"{address}gradio_api/call/segment",
        json={"data": [image, names, 0.3, None, None, most]},
        timeout=60,
    )
    if called.status_code != 200:
        return called.text
    event = called.json()["event_id"]
    return httpx.get(f"{address}gradio_api/call/segment/{event}", timeout=60).text


def test_a_picture_in_base64_is_taken(address):
    encoded = base64.b64encode(SCENE.read_bytes()).decode()
    image = {"url": f"data:image/png;base64,{encoded}", "meta": {"_type": "gradio.FileData"}}
    answer = join_queue(address, image)
    assert "event: complete" in answer and '"width": 400' in answer


# Gradio looks only at paths of which their sender says that they are files.
@pytest.mark.parametrize("said", [{"meta": {"_type": "gradio.FileData"}}, {"meta": {}}, {}])
@pytest.mark.parametrize("key", ["path", "url"])
def test_a_path_of_the_server_is_not_read(address, tmp_path, key, said):
    secret = tmp_path / "secret.png"
    secret.write_text(SECRET)
    for path in (str(secret), str(SCENE), "/etc/passwd", "../../etc/passwd", f"file://{secret}"):
        answer = join_queue(address, {key: path, **said})
        assert "event: error" in answer and SECRET not in answer
        # Not even whether it is a picture.
        assert "decoded" not in answer
    fetched = httpx.get(f"{address}gradio_api/file={secret}", timeout=60)
    assert fetched.status_code in (403, 404)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a.png", "ship", 10), "`image` must be a file that was sent, but got str"),
        ((None, ["ship", "harbor"], 10), "`classes` must be one text of names, but got ["),
        ((None, "ship", "many"), "`max_instances` must be a positive integer, but got 'many'."),
    ],
)
def test_values_of_wrong_types_are_told_in_a_sentence(address, values, message):
    assert f'"error": "{message}' in join_queue(address, *values)


def test_an_upload_too_large_is_refused(address):
    files = {"files": ("a.png", b"0" * (21 << 20))}
    answer = httpx.post(f"{address}gradio_api/upload", files=files, timeout=120)
    assert answer.status_code == 413


def test_clients_at_once_get_what_each_would_get_alone(address):
    vocabularies = ["plane", "ship, vehicle", "roundabout, zebra", "storage tank | oil tank, plane"]
    clients = [Client(address, verbose=False) for _ in vocabularies]
    alone = [ask(one, names=names) for one, names in zip(clients, vocabularies, strict=True)]
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(ask, one, names=names)
            for _ in range(2)
            for one, names in zip(clients, vocabularies, strict=True)
        ]
        together = [job.result() for job in jobs]
    assert together == alone * 2
    assert len({json.dumps(one) for one in alone}) == len(vocabularies)


def test_an_mcp_client_finds_and_calls_it(address, client):
    encoded = base64.b64encode(SCENE.read_bytes()).decode()
    arguments = {"image": f"data:image/png;base64,{encoded}", "classes": NAMES, "threshold": 0.3}

    async def call() -> tuple[list, object]:
        url = f"{address}gradio_api/mcp/"
        async with (
            streamablehttp_client(url) as (read, write, _),
            ClientSession(read, write) as mcp,
        ):
            await mcp.initialize()
            tools = (await mcp.list_tools()).tools
            return tools, await mcp.call_tool(tools[0].name, arguments)

    # The browser's tests leave a loop running in this thread.
    with ThreadPoolExecutor() as pool:
        (tool,), result = pool.submit(asyncio.run, call()).result()
    assert tool.name == "segment" and "aerial picture" in tool.description
    described = {name: one["description"] for name, one in tool.inputSchema["properties"].items()}
    assert described["beta"] == "The same for classes not seen in training."
    assert tool.inputSchema["required"] == ["image", "classes"]
    assert ast.literal_eval(result.content[0].text) == ask(client)


def test_uploads_are_deleted(tiny_model, tmp_path, monkeypatch):
    from score_hf.demo.engine import DemoEngine
    from score_hf.demo.launching import launch_demo
    from score_hf.demo.limits import Limits
    from tests.tiny import tiny_processor

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "kept"))
    engine = DemoEngine(tiny_model, tiny_processor(), limits=Limits(kept_seconds=8))
    page, url = launch_demo(engine, prevent_thread_lock=True, quiet=True, ssr_mode=False)
    try:
        ask(Client(url, verbose=False, download_files=False))

        def kept() -> list[Path]:
            return list((tmp_path / "kept").rglob(SCENE.name))

        assert len(kept()) == 1
        deadline = time.monotonic() + 60
        while kept() and time.monotonic() < deadline:
            time.sleep(0.5)
        assert kept() == []
    finally:
        page.close()
