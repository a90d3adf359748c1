"""Photographs the demo for the documentation: `python -m tests.demo.screenshots docs/demo`."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.demo_load import running_demo
from score_hf.visualize import PALETTE
from tests.scenes.drawn_rasters import write_raster

EXAMPLES = Path(__file__).parents[2] / "demo" / "examples"
NAMES = "plane | airplane, storage tank, roundabout, tennis court, soccer field, helipad"
WAIT = 60_000
# Name, width of the screen, dark or not, and columns that the long page is folded into.
PICTURES = (("light", 1280, False, 1), ("dark", 1280, True, 1), ("narrow", 390, False, 3))
GAP = 24
# The drawn airfield, so often beside and above itself, is the scene.
SCENE, REPEATS = "drawn_airfield.png", 3


def visit(page: Page, address: str) -> None:
    """Segments a drawn scene and has an object explained."""
    page.goto(address)
    page.get_by_role("button", name="Drawn scene: airfield").click()
    status = page.locator("#status")
    expect(status).to_contain_text("of 7 classes", timeout=WAIT)
    page.get_by_label("Classes to look for").fill(NAMES)
    expect(page.locator("#vocabulary")).to_contain_text("helipad", timeout=WAIT)
    page.get_by_label("number input for Lowest score").fill("0.5")
    page.keyboard.press("Tab")
    expect(status).to_contain_text("threshold of 0.50", timeout=WAIT)
    page.locator("#segment").click()
    expect(status).to_contain_text("of 5 classes", timeout=WAIT)
    page.locator("#table").get_by_text("roundabout").first.click()
    expect(page.locator("#region img")).to_be_visible(timeout=WAIT)
    expect(page.locator("#explanation")).to_contain_text("roundabout", timeout=WAIT)
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.wait_for_timeout(1000)


def visit_scene(page: Page, address: str, scene: Path) -> None:
    """Segments a whole scene."""
    page.goto(address)
    page.get_by_role("button", name="A whole scene").click()
    page.locator("#scene-upload input[type=file]").set_input_files(scene)
    expect(page.locator("#scene-upload")).to_contain_text(scene.name, timeout=WAIT)
    page.locator("#scene-start").click()
    expect(page.locator("#scene-status")).to_contain_text("Found", timeout=2 * WAIT)
    expect(page.locator("#scene-picture img")).to_be_visible(timeout=WAIT)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)


def draw_scene_file(folder: Path) -> Path:
    """Writes a GeoTIFF of the drawn airfield."""
    with Image.open(EXAMPLES / SCENE) as picture:
        pixels = np.tile(np.asarray(picture.convert("RGB")), (REPEATS, REPEATS, 1))
    return write_raster(folder / "airfields.tif", pixels.transpose(2, 0, 1).copy())


def fold(picture: Image.Image, columns: int) -> Image.Image:
    """Puts the parts of a long picture side by side."""
    height = -(-picture.height // columns)
    width = columns * picture.width + (columns - 1) * GAP
    sheet = Image.new("RGB", (width, height), "white")
    for column in range(columns):
        bottom = min((column + 1) * height, picture.height)
        part = picture.crop((0, column * height, picture.width, bottom))
        sheet.paste(part, (column * (picture.width + GAP), 0))
    return sheet


def in_few_colors(picture: Image.Image) -> Image.Image:
    """Reduces a picture to 256 colours, of which those of the classes stay as they are."""
    most = picture.quantize(256 - len(PALETTE)).getpalette()
    assert most is not None
    kept = most[: 3 * (256 - len(PALETTE))] + [level for color in PALETTE for level in color]
    palette = Image.new("P", (1, 1))
    palette.putpalette(kept)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with running_demo("--examples", str(EXAMPLES)) as (address, _), sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width, dark, columns in PICTURES:
            page = browser.new_page(
                viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
            )
            visit(page, address)
            path = folder / f"{name}.png"
            page.screenshot(path=path, full_page=True)
            page.close()
            with Image.open(path) as picture:
                folded = fold(picture.convert("RGB"), columns)
            in_few_colors(folded).save(path, optimize=True)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with TemporaryDirectory() as scenes:
            visit_scene(page, address, draw_scene_file(Path(scenes)))
        path = folder / "scene.png"
        page.locator("#scene").screenshot(path=path)
        with Image.open(path) as picture:
            in_few_colors(picture.convert("RGB")).save(path, optimize=True)


if __name__ == "__main__":
    main()
