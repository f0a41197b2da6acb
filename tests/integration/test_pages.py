"""Report pages in a browser, under the header with which Jenkins serves them: nothing is blocked, and all of it shows."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.image import imread, imsave

from ci.errors import Outcome
from ci.pages import write
from ci.report import Check, Found, Picture, Result, StepReport, Table
from tests.browser import BROWSER

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'"
PINK = (1.0, 0.0, 0.6)
BANDS = {
    Outcome.PASSED: "#14713f",
    Outcome.REJECTED: "#b3261e",
    Outcome.BAD_INPUT: "#b3261e",
    Outcome.INCONCLUSIVE: "#8a5a00",
    Outcome.UNAVAILABLE: "#8a5a00",
    Outcome.ROLLED_BACK: "#b3261e",
}
FORBIDDEN = """<!doctype html><title>x</title><p style="color: red">inline</p><script>document.title = "ran"</script>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on the path")


@dataclass
class Shown:
    """What the browser made of a page: pixels `(height, width, 3)` from 0 to 1, and what its console said."""

    pixels: np.ndarray[Any, Any]
    console: str

    @property
    def blocked(self) -> list[str]:
        return [line for line in self.console.splitlines() if "Content Security Policy" in line]

    def share(self, colour: tuple[float, ...]) -> float:
        """Say which share of the picture has this colour."""
        return float(np.mean(np.abs(self.pixels - np.array(colour)).max(axis=-1) < 0.03))


@dataclass
class Site:
    """A folder served with a policy; `missing` names are answered by 404, `answered` were sent."""

    folder: Path
    scratch: Path
    policy: str = HEADER
    missing: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    @cached_property
    def server(self) -> http.server.ThreadingHTTPServer:
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def end_headers(self) -> None:
                self.send_header("Content-Security-Policy", site.policy)
                super().end_headers()

            def do_GET(self) -> None:
                if self.path.lstrip("/") in site.missing:
                    return self.send_error(404)
                return super().do_GET()

            def log_error(self, *_: Any) -> None:
                """Say nothing: `/favicon.ico` is asked for, and is not there."""

            def log_request(self, code: Any = "-", size: Any = "-") -> None:
                if int(code) == 200:
                    site.answered.add(self.path.lstrip("/"))

        def handler(*given: Any) -> Handler:
            return Handler(*given, directory=str(site.folder))

        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]

    def show(self, page: str) -> Shown:
        """Open a page and take a picture of it."""
        picture, profile = self.scratch / "page.png", self.scratch / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        quiet = ("no-first-run", "disable-background-networking", "disable-component-update", "disable-sync")
        done = subprocess.run(
            [
                *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", *(f"--{flag}" for flag in quiet)),
                *("--enable-logging=stderr", "--v=0", "--hide-scrollbars", "--window-size=1280,1600"),
                *(f"--user-data-dir={profile}", f"--screenshot={picture}"),
                f"http://127.0.0.1:{self.server.server_address[1]}/{page}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return Shown(imread(picture)[..., :3], done.stderr)


@contextlib.contextmanager
def served(site: Site) -> Iterator[Site]:
    """Serve until the block ends."""
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site", tmp_path)
    made.folder.mkdir()
    with served(made):
        yield made


def report(outcome: Outcome, pictures: list[Picture]) -> StepReport:
    """Fill every part of the page."""
    checks = [
        Check("contract age", Found.REJECTED, "age is missing in 12 of 1,000 rows", 0.012, 0.0, n=1000),
        Check("drift town", Found.WARNED, "town moved", 0.31, 0.1, interval=(0.2, 0.4)),
        Check("rows train", Found.PASSED, "1,000 rows to learn from", 1000, 20),
    ]
    result = Result(
        "12 rows of 1,000 break the contract of <age>",
        outcome,
        "look at the source",
        checks=checks,
        facts={"data version": "0123456789ab", "rows": 1000},
        tables=[Table("Periods", ("period", "rows"), [("2024-01", 500), ("2024-02", None)])],
        pictures=pictures,
        outputs={"data/shop/check.json": "ab" * 32},
    )
    return StepReport("check_data", "shop", result, "2024-05-01T10:00:00+00:00", "2024-05-01T10:00:02+00:00")


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))


def written(site: Site, outcome: Outcome, name: str = "check_data") -> str:
    """Write a page with a pink picture; return its address."""
    pink = site.scratch / "größe & more.png"
    imsave(pink, np.full((200, 400, 3), PINK))
    write(report(outcome, [Picture(pink, "How large?")]), site.folder / f"{name}.json")
    return f"{name}.html"


@pytest.mark.parametrize("outcome", list(BANDS), ids=str)
def test_a_page_is_shown_whole_and_in_the_colour_of_its_verdict(site: Site, outcome: Outcome) -> None:
    shown = site.show(written(site, outcome))
    assert shown.blocked == []
    assert "report.css" in site.answered
    assert any(path.startswith("check_data_files/") for path in site.answered)
    band = shown.pixels[2:6].reshape(-1, 3)
    assert np.abs(band - np.array(rgb(BANDS[outcome]))).max() < 0.03
    assert 0.02 < shown.share(PINK) < 0.1
    assert shown.share(rgb("#1d2733")) > 0.001  # its words


def test_without_its_stylesheet_a_page_looks_otherwise(site: Site) -> None:
    """Given that the stylesheet cannot be loaded, the colours that the tests above look for are not there."""
    site.missing = {"report.css"}
    shown = site.show(written(site, Outcome.PASSED))
    assert np.abs(shown.pixels[2:6].reshape(-1, 3) - np.array(rgb(BANDS[Outcome.PASSED]))).min(axis=0).max() > 0.1
    assert shown.share(rgb("#f4f6f8")) < 0.01


def test_the_browser_tells_when_a_page_breaks_the_policy(site: Site) -> None:
    (site.folder / "bad.html").write_text(FORBIDDEN)
    shown = site.show("bad.html")
    assert len(shown.blocked) >= 2, shown.console


@pytest.mark.parametrize("place", [0, 1, 2], ids=["sizes", "long words", "many rows"])
def test_odd_reports_break_neither_page_nor_policy(site: Site, place: int) -> None:
    odd = [
        Result("a", Outcome.PASSED),
        Result("x" * 4000, Outcome.REJECTED, "y" * 2000, checks=[Check("z" * 300, Found.REJECTED, "w" * 3000)]),
        Result("many", tables=[Table("T", tuple("abcdefghij"), [tuple(range(10))] * 500)]),
    ][place]
    moment = "2024-05-01T10:00:00+00:00"
    write(StepReport("gate", None, odd, moment, moment), site.folder / "gate.json")
    shown = site.show("gate.html")
    assert shown.blocked == []
    assert shown.share(rgb("#f4f6f8")) + shown.share((1.0, 1.0, 1.0)) > 0.3
