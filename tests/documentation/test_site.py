"""The site is built as in `.ci/run`; its links lead somewhere, and nothing comes from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(find_spec("zensical") is None, reason="needs score-hf[docs]"),
    pytest.mark.skipif(not (REPOSITORY / "mkdocs.yml").exists(), reason="no documentation here"),
]


class Page(HTMLParser):
    """What a page can be linked by, what it links to and what it loads by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.classes: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.classes |= set(given.get("class", "").split())
        for name in ("href", "src"):
            if name in given:
                (self.links if tag == "a" else self.loads).append(given[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built in a copy, so that test runs side by side do not meet."""
    project = tmp_path_factory.mktemp("project")
    for name in ("docs", "tools"):
        shutil.copytree(REPOSITORY / name, project / name)
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(REPOSITORY / name, project / name)
    (project / "score_hf").symlink_to(REPOSITORY / "score_hf")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    # What mkdocstrings cannot find is told, but does not count as an issue.
    assert not re.search(r"(?i)warn|error", told), told
    return project / "site"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_all_pages_are_in_the_navigation():
    named = set(re.findall(r"[\w/]+\.md", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")))
    docs = REPOSITORY / "docs"
    assert named == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


def test_links_lead_to_places_that_are_there(site, pages):
    astray = []
    for path, page in pages.items():
        # The page for addresses that are not there is shown at any address.
        if path.name == "404.html":
            continue
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data") or not (
                parts.path or parts.fragment
            ):
                continue
            target = path
            if parts.path:
                target = Path(os.path.normpath(path.parent / unquote(parts.path)))
            fragment = unquote(parts.fragment)
            known = pages.get(target)
            if not target.exists() or (fragment and known and fragment not in known.anchors):
                astray.append(f"{path.relative_to(site)}: {link}")
    assert not astray


def test_nothing_is_loaded_from_other_servers(site, pages):
    elsewhere = [
        f"{path.relative_to(site)}: {load}"
        for path, page in pages.items()
        for load in page.loads
        if urlsplit(load).netloc
    ]
    assert not elsewhere
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text()), path
    # For these the theme's script asks a public server.
    asking = {"mermaid", "glightbox", "pyodide", "math"}
    assert not {name for page in pages.values() for name in page.classes & asking}


@pytest.mark.parametrize("module", ["score_hf", "score_hf.scenes", "score_hf.drawn_scenes"])
def test_every_public_name_has_an_entry(pages, module):
    if module == "score_hf.scenes":
        pytest.importorskip("shapely")
    entries = {anchor for page in pages.values() for anchor in page.anchors}
    names = {f"{module}.{name}" for name in import_module(module).__all__}
    assert names <= entries


def test_included_files_are_shown_whole(site, pages):
    card, changelog = (pages[site / f"{name}.html"] for name in ("score_tiny", "changelog"))
    assert "score-tiny" in card.anchors and "unreleased" in changelog.anchors
    text = (site / "score_tiny.html").read_text(encoding="utf-8")
    assert "library_name" not in text and "Not fit for real imagery" in text


def test_entries_show_links_types_and_defaults(site):
    processor, model = (
        (site / "api" / f"{name}.html").read_text(encoding="utf-8")
        for name in ("processor", "model")
    )
    assert re.search(r'href="#score_hf.ScoreImageProcessor.preprocess"', processor)
    # Brackets of our docstrings, as they would look like without `tools/api_reference.py`.
    assert "[<code>" not in processor + model
    entry = model.partition('id="score_hf.ScoreConfig"')[2]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", entry))
    assert "num_queries (int, default: 300 )" in text
