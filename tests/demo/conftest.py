import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from score_hf.demo.engine import DemoEngine
from score_hf.demo.found import StoredResult, find_objects
from score_hf.demo.launching import launch_demo

EXAMPLES = Path(__file__).parents[2] / "demo" / "examples"
SCENE = EXAMPLES / "drawn_airfield.png"
NAMES = "plane | airplane, storage tank, vehicle, roundabout, tennis court, zebra"


@pytest.fixture(scope="session")
def engine() -> DemoEngine:
    return DemoEngine.load("score-tiny", "cpu")


@pytest.fixture(scope="session")
def result(engine) -> StoredResult:
    vocabulary = engine.read_vocabulary(NAMES)
    return engine.segment(engine.open(str(SCENE)), vocabulary, engine.encode(vocabulary))


@pytest.fixture(scope="session")
def objects(engine, result):
    return find_objects(result, engine.about.ensemble, engine.about.max_detections)


@pytest.fixture(scope="session")
def address(engine, tmp_path_factory) -> Iterator[str]:
    """The demo, running in this process."""
    folder = tmp_path_factory.mktemp("uploads")
    kept = {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR",)}
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    page, url = launch_demo(
        engine, EXAMPLES, prevent_thread_lock=True, quiet=True, ssr_mode=False, inbrowser=False
    )
    yield url
    page.close()
    for name, value in kept.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        reason = "the browser tests need Chromium: `apt-get install chromium`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield opened
        opened.close()


@pytest.fixture
def hold(engine, monkeypatch):
    """Makes a step of the engine wait until the event is set that this returns."""
    may_go_on = Event()

    def hold_step(name: str) -> Event:
        act = getattr(engine, name)

        def wait(*values):
            may_go_on.wait(60)
            return act(*values)

        monkeypatch.setattr(engine, name, wait)
        return may_go_on

    yield hold_step
    may_go_on.set()


@pytest.fixture
def visit(browser, address):
    """Opens pages as visitors of their own, about which no browser may complain."""
    from tests.demo.visitor import Visitor

    visitors: list[Visitor] = []

    def open_page(**options) -> Visitor:
        visitors.append(Visitor(browser, address, **options))
        return visitors[-1]

    yield open_page
    for one in visitors:
        one.context.close()
        assert one.complaints == [] and one.elsewhere == []
