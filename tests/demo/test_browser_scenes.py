"""Whole scenes, waiting and odd names as a visitor meets them, in Debian's Chromium."""

from importlib.util import find_spec

import geopandas
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.demo.conftest import SCENE
from tests.demo.visitor import WAIT
from tests.scenes.drawn_rasters import write_raster

needs_scenes = pytest.mark.skipif(find_spec("folium") is None, reason="needs score-hf[geo]")
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def scene(tmp_path):
    picture = np.asarray(Image.open(SCENE).convert("RGB"))
    return write_raster(tmp_path / "scene.tif", np.tile(picture, (2, 2, 1)).transpose(2, 0, 1))


def open_section(visitor, scene):
    page = visitor.page
    page.get_by_role("button", name="A whole scene").click()
    page.locator("#scene-upload input[type=file]").set_input_files(scene)
    expect(page.locator("#scene-upload")).to_contain_text("scene.tif", timeout=WAIT)
    return page


@needs_scenes
def test_a_scene_gives_a_picture_a_map_and_files(visit, scene):
    visitor = visit()
    visitor.name("plane, vehicle, storage tank")
    page = open_section(visitor, scene)
    page.locator("#scene-start").click()
    status = page.locator("#scene-status")
    expect(status).to_contain_text("of 4 tiles", timeout=WAIT)
    expect(status).to_contain_text("Found: ", timeout=WAIT)
    picture = page.locator("#scene-picture img")
    expect(picture).to_be_visible(timeout=WAIT)
    assert "plane" in picture.get_attribute("alt")
    expect(page.locator("#scene-legend")).to_contain_text("storage tank")
    # Closed, the map asks no other server: see what `visit` checks in the end.
    assert page.locator("#scene-map iframe").get_attribute("srcdoc") is None
    links = page.locator("#scene-files a")
    expect(links).to_have_count(2, timeout=WAIT)
    for number, suffix in enumerate((".gpkg", ".geojson")):
        with page.expect_download(timeout=WAIT) as download:
            links.nth(number).click()
        assert download.value.suggested_filename == f"objects{suffix}"
        kept = scene.with_name(f"got{suffix}")
        download.value.save_as(kept)
        assert len(geopandas.read_file(kept, rows=5)) == 5


@needs_scenes
def test_a_scene_can_be_cancelled_and_no_scene_is_told(visit, scene, hold):
    waiting = hold("segment")
    visitor = visit()
    page = visitor.page
    page.get_by_role("button", name="A whole scene").click()
    page.locator("#scene-start").click()
    told = page.get_by_test_id("toast-body")
    expect(told).to_contain_text("There is no scene yet", timeout=WAIT)
    expect(page.locator("#scene-cancel")).to_be_disabled(timeout=WAIT)
    told.get_by_role("button").first.click()
    page.locator("#scene-upload input[type=file]").set_input_files(scene)
    expect(page.locator("#scene-upload")).to_contain_text("scene.tif", timeout=WAIT)
    page.locator("#scene-start").click()
    expect(page.locator("#scene-cancel")).to_be_enabled(timeout=WAIT)
    page.locator("#scene-cancel").click()
    expect(page.locator("#scene-status")).to_contain_text("Cancelled.", timeout=WAIT)
    expect(page.locator("#scene-cancel")).to_be_disabled()
    waiting.set()


def test_who_waits_for_a_turn_is_told_and_can_cancel(visit, hold):
    waiting = hold("encode")
    first, second = visit(), visit()
    for visitor in (first, second):
        visitor.upload(SCENE)
    first.segment()
    expect(first.status).to_contain_text("Reading 9 names", timeout=WAIT)
    second.segment()
    expect(second.status).to_contain_text("Waiting for a turn", timeout=WAIT)
    second.page.locator("#cancel").click()
    expect(second.status).to_contain_text("Cancelled.", timeout=WAIT)
    expect(second.page.locator("#cancel")).to_be_disabled()
    waiting.set()
    first.expect_result()
    expect(second.status).to_contain_text("Cancelled.")


def test_names_are_text_and_never_markup(visit):
    visitor = visit()
    page, dialogs = visitor.page, []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    visitor.upload(SCENE)
    visitor.name(f"{MARKUP}, ${{alert(2)}}, {{{{constructor}}}}, plane | <b>jet</b>")
    page.get_by_label("number input for Lowest score").fill("0.05")
    page.keyboard.press("Tab")
    visitor.segment()
    visitor.expect_result()
    assert {row[1] for row in visitor.rows()} & {MARKUP, "${alert(2)}", "{{constructor}}"}
    page.locator("#table [role=gridcell]").nth(1).click()
    expect(page.locator("#explanation h3")).to_contain_text("No. 1: ", timeout=WAIT)
    expect(page.locator("#legend")).to_contain_text("plane")
    page.get_by_role("button", name="Classes shown").click()
    expect(page.locator("#shown")).to_contain_text(MARKUP)
    expect(page.locator("#vocabulary")).to_contain_text("<b>jet</b>")
    assert page.locator("[onerror], #vocabulary b").count() == 0 and dialogs == []
