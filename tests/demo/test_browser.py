"""The page as a visitor meets it, in Debian's Chromium."""

import gc
import re
import time

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from score_hf.demo.engine import DemoEngine
from score_hf.demo.handlers import Visit
from score_hf.demo.launching import launch_demo
from score_hf.demo.limits import Limits
from tests.demo.conftest import EXAMPLES, SCENE
from tests.demo.visitor import WAIT, Visitor
from tests.tiny import tiny_processor


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False)


def ask(client: Client, names: str) -> list[dict]:
    return client.predict(handle_file(SCENE), names, 0.3, api_name="/segment")["instances"]


def as_rows(instances: list[dict]) -> list[list[str]]:
    """Instances as the table shows them."""
    rows = []
    for number, one in enumerate(instances, start=1):
        left, top, right, bottom = map(int, one["box"])
        place = [left, top, right - left, bottom - top]
        numbers = [round(one["score"], 3), one["area"], *place]
        seen = "seen" if one["seen"] else "unseen"
        rows.append([str(number), one["name"], seen, *map(str, numbers)])
    return rows


def test_an_example_gives_a_result(visit):
    visitor = visit()
    visitor.page.get_by_role("button", name="Drawn scene: harbor with ships and planes").click()
    visitor.expect_result()
    expect(visitor.page.get_by_label("Classes to look for")).to_have_value(
        "ship | boat, harbor | pier, plane, storage tank, vehicle"
    )
    expect(visitor.page.locator("#legend")).to_contain_text("ship")
    expect(visitor.page.locator("#upload img")).to_have_attribute(
        "alt", "The picture to be segmented"
    )
    unnamed = "images => images.filter(image => !image.alt).map(image => image.outerHTML)"
    assert (
        visitor.page.locator("#upload img, #overlay img, #examples img").evaluate_all(unnamed) == []
    )


def test_the_table_has_the_rows_that_the_api_gives_and_downloads_agree(visit, client):
    names = "plane | airplane, roundabout"
    expected = ask(client, names)
    visitor = visit()
    visitor.upload(SCENE)
    visitor.name(names)
    visitor.segment()
    visitor.expect_result()
    assert len(expected) > 2 and visitor.rows() == as_rows(expected)

    coco = COCO(visitor.download("Download instances (COCO json)"))
    assert coco.imgs[1]["file_name"] == SCENE.name
    for annotation, one in zip(coco.dataset["annotations"], expected, strict=True):
        assert annotation["segmentation"] == one["segmentation"]
        assert annotation["score"] == one["score"]
        assert coco.cats[annotation["category_id"]]["name"] == one["name"]
    with Image.open(visitor.download("Download overlay (PNG)")) as overlay:
        assert overlay.format == "PNG" and overlay.width > 400


def test_a_higher_threshold_and_hidden_classes_leave_fewer_rows(visit, client):
    visitor = visit()
    visitor.page.get_by_role("button", name="Drawn scene: airfield").click()
    visitor.expect_result()
    visitor.page.get_by_label("number input for Lowest score").fill("0.9")
    visitor.page.keyboard.press("Tab")
    expect(visitor.status).to_contain_text("at a threshold of 0.90", timeout=WAIT)
    rows = visitor.rows()
    assert rows and all(float(row[3]) >= 0.9 for row in rows)
    visitor.page.get_by_role("button", name="Classes shown").click()
    visitor.page.get_by_role("checkbox", name="tennis court").uncheck()
    expect(visitor.page.locator("#legend")).not_to_contain_text("tennis court", timeout=WAIT)
    kept = [row for row in rows if row[1] != "tennis court"]
    assert len(kept) < len(rows) and visitor.rows() == kept
    visitor.page.get_by_role("radio", name="Semantic").check()
    expect(visitor.status).to_contain_text("of the picture has", timeout=WAIT)


def test_a_clicked_object_is_explained(visit, client):
    names = "plane | airplane, roundabout"
    largest = max(ask(client, names), key=lambda one: one["area"])
    row, column = map(int, np.argwhere(coco_mask.decode(largest["segmentation"]))[10])
    visitor = visit()
    visitor.upload(SCENE)
    visitor.name(names)
    visitor.segment()
    visitor.expect_result()
    overlay = visitor.page.locator("#overlay img")
    scale = overlay.bounding_box()["width"] / 400
    overlay.click(position={"x": (column + 0.5) * scale, "y": (row + 0.5) * scale})
    explanation = visitor.page.locator("#explanation")
    expect(explanation).to_contain_text(f": {largest['name']}", timeout=WAIT)
    expect(explanation.get_by_role("columnheader", name="Out of vocabulary")).to_be_visible()
    expect(visitor.page.locator("#region img")).to_have_attribute(
        "alt", re.compile("Region-Aware Integration"), timeout=WAIT
    )
    visitor.page.locator("#table [data-row='1'][data-col='1']").click()
    expect(explanation).to_contain_text("No. 2:", timeout=WAIT)


@pytest.mark.parametrize(
    ("names", "message"),
    [(" ", "There are no class names yet"), ("ship, Ship", "The class names hold 'ship' twice")],
)
def test_a_wrong_vocabulary_is_told(visit, names, message):
    visitor = visit()
    visitor.upload(SCENE)
    visitor.name(names)
    expect(visitor.page.locator("#vocabulary")).to_contain_text(message, timeout=WAIT)
    visitor.segment()
    told = visitor.page.get_by_test_id("toast-body")
    expect(told).to_contain_text(message, timeout=WAIT)
    expect(visitor.page.get_by_role("button", name="Cancel")).to_be_disabled()


def test_no_picture_and_a_huge_one_are_told(visit, tmp_path):
    visitor = visit()
    visitor.segment()
    told = visitor.page.get_by_test_id("toast-body")
    expect(told).to_contain_text("There is no picture yet", timeout=WAIT)
    told.get_by_role("button").first.click()
    Image.new("1", (6000, 4000)).save(tmp_path / "huge.png")
    visitor.upload(tmp_path / "huge.png")
    visitor.segment()
    expect(told).to_contain_text("The picture is 6000 x 4000, 24 million pixels", timeout=WAIT)


def test_two_tabs_at_once_keep_their_own_vocabularies(visit, client):
    wanted = {"plane | airplane": visit(), "roundabout, zebra": visit()}
    for names, visitor in wanted.items():
        visitor.upload(SCENE)
        visitor.name(names)
    for visitor in wanted.values():
        visitor.segment()
    for names, visitor in wanted.items():
        visitor.expect_result()
        rows = as_rows(ask(client, names))
        assert rows and visitor.rows() == rows
    for visitor in wanted.values():
        visitor.page.get_by_label("number input for Lowest score").fill("0.05")
        visitor.page.keyboard.press("Tab")
        expect(visitor.status).to_contain_text("at a threshold of 0.05", timeout=WAIT)
    planes, others = (visitor.rows() for visitor in wanted.values())
    assert {row[1] for row in planes} == {"plane"}
    assert {row[1] for row in others} <= {"roundabout", "zebra"}


def test_a_run_can_be_cancelled(visit, hold):
    waiting = hold("encode")
    visitor = visit()
    visitor.upload(SCENE)
    visitor.segment()
    cancel = visitor.page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_enabled(timeout=WAIT)
    cancel.click()
    expect(visitor.status).to_contain_text("Cancelled.", timeout=WAIT)
    expect(cancel).to_be_disabled()
    waiting.set()
    # Until the page knows that the run is over it ignores the button.
    deadline = time.monotonic() + 60
    while "threshold of" not in visitor.status.inner_text() and time.monotonic() < deadline:
        visitor.segment()
        visitor.page.wait_for_timeout(1000)
    visitor.expect_result()


def test_a_result_is_deleted_after_its_time(browser, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    engine = DemoEngine(tiny_model, tiny_processor(), limits=Limits(kept_seconds=25))
    page, url = launch_demo(engine, EXAMPLES, prevent_thread_lock=True, quiet=True, ssr_mode=False)

    def kept() -> int:
        gc.collect()
        visits = [one for one in gc.get_objects() if isinstance(one, Visit)]
        return sum(one.result.name == "usgs_marina.png" for one in visits)

    try:
        visitor = Visitor(browser, url)
        visitor.page.get_by_role("button", name="Marina with three rows of boats").click()
        visitor.expect_result()
        assert kept() == 1 and list(tmp_path.rglob("overlay.jpg"))
        deadline = time.monotonic() + 120
        while (kept() or list(tmp_path.rglob("*.jpg"))) and time.monotonic() < deadline:
            time.sleep(1)
        assert kept() == 0 and not list(tmp_path.rglob("*.jpg"))
        visitor.page.get_by_label("number input for Lowest score").fill("0.9")
        visitor.page.keyboard.press("Tab")
        expect(visitor.status).to_contain_text("There is no result here", timeout=WAIT)
        visitor.context.close()
    finally:
        page.close()


def test_it_works_by_keyboard_alone(visit):
    visitor = visit()
    example = visitor.page.get_by_role("button", name="Drawn scene: harbor with ships and planes")
    for _ in range(40):
        if example.evaluate("button => button === document.activeElement"):
            break
        visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    visitor.expect_result()
    chosen = visitor.page.get_by_label("Explain an object")
    for _ in range(60):
        if chosen.evaluate("field => field === document.activeElement"):
            break
        visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#explanation")).to_contain_text("No. ", timeout=WAIT)


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_shows_everything(visit, dark):
    visitor = visit(width=390, dark=dark)
    visitor.page.get_by_role("button", name="Drawn scene: harbor with ships and planes").click()
    visitor.expect_result()
    # The result is scrolled to, and nothing is wider than the screen.
    expect(visitor.status).to_be_in_viewport(timeout=WAIT)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 390
    background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) is dark
