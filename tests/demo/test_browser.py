"""The page as a visitor meets it, in Debian's Chromium."""

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect

from tests.demo.conftest import NAMES, SCENE

WAIT = 60_000


class Visitor:
    """A page of its own session, which notes what the browser complains about."""

    def __init__(self, browser: Browser, address: str, width: int = 1280, dark: bool = False):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note_address)
        self.address = address
        self.page.goto(address)
        expect(self.page.get_by_role("button", name="Segment")).to_be_enabled(timeout=WAIT)

    def _note(self, message) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _note_address(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def upload(self, picture: Path) -> None:
        self.page.locator("#upload input[type=file]").set_input_files(picture)
        expect(self.page.locator("#upload img")).to_be_visible(timeout=WAIT)

    def name(self, names: str) -> None:
        self.page.get_by_label("Classes to look for").fill(names)

    def segment(self) -> None:
        self.page.get_by_role("button", name="Segment").click()

    @property
    def status(self):
        return self.page.locator("#status")

    def expect_result(self) -> None:
        expect(self.status).to_contain_text("at a threshold of", timeout=WAIT)

    def rows(self) -> list[list[str]]:
        self.page.get_by_role("tab", name="Table").click()
        table = self.page.locator("#table tbody tr")
        expect(table.first).to_be_visible(timeout=WAIT)
        rows = table.evaluate_all(
            "rows => rows.map(row => [...row.querySelectorAll('td')].map(c => c.innerText.trim()))"
        )
        return [row for row in rows if row and row[0]]


@pytest.fixture
def visit(browser, address):
    visitors = []

    def open_page(**options) -> Visitor:
        visitors.append(Visitor(browser, address, **options))
        return visitors[-1]

    yield open_page
    for one in visitors:
        one.context.close()
        assert one.complaints == [] and one.elsewhere == []


@pytest.fixture(scope="module")
def answer(address):
    client = Client(address, verbose=False)
    return client.predict(handle_file(SCENE), NAMES, 0.3, api_name="/segment")


def test_an_example_gives_a_result(visit):
    visitor = visit()
    visitor.page.get_by_role("button", name="Drawn scene: harbor with ships and planes").click()
    visitor.expect_result()
    expect(visitor.page.get_by_label("Classes to look for")).to_have_value(
        "ship | boat, harbor | pier, plane, storage tank, vehicle"
    )
    expect(visitor.page.locator("#legend")).to_contain_text("ship")


def test_the_table_has_the_rows_that_the_api_gives(visit, answer):
    visitor = visit()
    visitor.upload(SCENE)
    visitor.name(NAMES)
    visitor.segment()
    visitor.expect_result()
    shown = [(row[1], float(row[3]), int(row[4])) for row in visitor.rows()]
    found = [(one["name"], round(one["score"], 3), one["area"]) for one in answer["instances"]]
    assert len(shown) > 10 and shown == found
