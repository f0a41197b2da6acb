"""Pages that builds have put away, looked at in a browser as Jenkins serves them: what is wrong with them, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from tests.browser import WIDTH, Browser, Seen
from tests.integration.test_pages import Site, served

if TYPE_CHECKING:
    from pathlib import Path

# The strictest that Jenkins has had as its default; newer ones add allow-same-origin.
POLICY = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"
PAPER = "rgb(244, 246, 248)"  # templates/report/report.css: --wash


def looked_at(archive: Path, scratch: Path) -> tuple[list[str], list[str]]:
    """
    Serve an archive, and open every page of it: all that is wrong, and what was opened.

    Of pages that differ in numbers and digests alone, one is opened: the same step, which ended alike.
    """
    pages = list({_likeness(page): page for page in published(archive)}.values())
    browser = Browser(scratch / "browser")
    try:
        with served(Site(archive, scratch, POLICY)) as site:
            found = [fault for page in pages for fault in faults(site, browser, page)]
    finally:
        browser.close()
    return [*found, *not_archived(archive)], [str(page.relative_to(archive)) for page in pages]


def published(archive: Path) -> list[Path]:
    """
    Return every page that builds have published, in the layout in which the htmlpublisher plugin serves it.

    `<build>/html/<report name>/` is what the plugin keeps of `reportDir`, file by file; below `<build>/artifacts/` lies
    what `archiveArtifacts` kept.
    """
    return sorted(archive.glob("*/html/*/**/*.html"))


def _likeness(page: Path) -> tuple[str, str]:
    return page.name, re.sub(r"[0-9a-f]{7,}|\d+", "0", page.read_text(encoding="utf-8"))


def not_archived(archive: Path) -> list[str]:
    """Return published files that the archived artifacts do not have, byte for byte: links into either must work."""
    return [
        str(path.relative_to(archive))
        for path in sorted(archive.glob("*/html/Slipway/**/*"))
        if path.is_file() and not _same(path, _twin(path, archive))
    ]


def _twin(path: Path, archive: Path) -> Path:
    build, _, _, *rest = path.relative_to(archive).parts
    return archive.joinpath(build, "artifacts", "reports", *rest)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def faults(site: Site, browser: Browser, page: Path) -> list[str]:
    """Open a page, and say everything that is wrong with it."""
    path = page.relative_to(site.folder).as_posix()
    host, port = site.server.server_address[:2]
    seen = browser.open(f"http://{host!s}:{port}/{quote(path)}")
    return [f"{path}: {fault}" for fault in [*seen.complaints, *_looks(seen), *_broken(seen, site)]]


def _looks(seen: Seen) -> list[str]:
    page = seen.page
    found = [f"{image['source']} is not shown" for image in page["images"] if not image["width"]]
    if not page["sheets"] or page["paper"] != PAPER or "sans-serif" not in page["font"]:
        found.append(f"no stylesheet: {page['sheets']} sheets, {page['paper']}, {page['font']}")
    if page["wide"] > WIDTH:
        found.append(f"{page['wide']} pixels wide")
    if len(page["words"].split()) < 3 or not page["title"]:
        found.append("says nothing")
    return [*found, *(f"does not fit: {item}" for item in page["outside"])]


def _broken(seen: Seen, site: Site) -> list[str]:
    """Return links that lead nowhere: all are to files beside the page."""
    return [
        f"broken link: {link}"
        for link in seen.page["links"]
        if not (site.folder / unquote(urlsplit(link).path).lstrip("/")).is_file()
    ]
