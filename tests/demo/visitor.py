"""A visitor of the page, in a browser."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

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
        """The table; only rows in sight are in the page, so let there be few."""
        cells = self.page.locator("#table [role=gridcell]")
        expect(cells.first).to_be_visible(timeout=WAIT)
        rows: dict[str, list[str]] = {}
        for row, text in cells.evaluate_all(
            "cells => cells.map(cell => [cell.dataset.row, cell.innerText.trim()])"
        ):
            rows.setdefault(row, []).append(text)
        return list(rows.values())

    def download(self, button: str) -> Path:
        with self.page.expect_download(timeout=WAIT) as download:
            self.page.get_by_role("button", name=button).click()
        return Path(download.value.path())
