"""What is wrong with a page is found; `test_delivery` and `test_freshness` hold every page of their builds to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.errors import Outcome
from ci.pages import write
from tests.browser import BROWSER, Browser
from tests.integration.test_pages import FORBIDDEN, Site, report, served
from tests.jenkins.pages import POLICY, faults, not_archived, published

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on the path")
LONG = "x" * 400
SAID = {
    "inline.html": (FORBIDDEN, "Content Security Policy"),
    "bare.html": ("<title>t</title><p>three words here", "no stylesheet"),
    "broken.html": ('<title>t</title><p>three words here <img src="none.png">', "none.png is not shown"),
    "link.html": ('<title>t</title><p>three words here <a href="../gone.html">on</a>', "broken link"),
    "wide.html": (f"<title>t</title><p>three words {LONG}", "pixels wide"),
    "blank.html": ("<title>t</title>", "says nothing"),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Site]:
    """An archive with one build."""
    folder = tmp_path / "archive/delivery-1/html/Slipway/shop"
    folder.mkdir(parents=True)
    write(report(Outcome.REJECTED, []), folder / "gate.json")
    with served(Site(tmp_path / "archive", tmp_path, POLICY)) as site:
        yield site


def test_a_report_that_is_in_order_is_found_to_be(build: Site, browser: Browser) -> None:
    (page,) = published(build.folder)
    assert faults(build, browser, page) == []


@pytest.mark.parametrize("name", SAID)
def test_what_is_wrong_with_a_page_is_said(build: Site, browser: Browser, name: str) -> None:
    text, said = SAID[name]
    page = published(build.folder)[0].with_name(name)
    page.write_text(f"<!doctype html><meta charset=utf-8>{text}")
    assert any(said in fault for fault in faults(build, browser, page)), faults(build, browser, page)


def test_a_lost_stylesheet_is_noticed(build: Site, browser: Browser) -> None:
    (page,) = published(build.folder)
    page.with_name("report.css").unlink()
    found = faults(build, browser, page)
    assert any("not loaded" in fault for fault in found)
    assert any("no stylesheet" in fault for fault in found)


def test_what_is_published_and_not_archived_is_noticed(build: Site) -> None:
    assert "delivery-1/html/Slipway/shop/report.css" in not_archived(build.folder)
