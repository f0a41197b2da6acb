"""The pages under `/docs`: files of this package, nothing from elsewhere, so that they work without a network."""

from __future__ import annotations

from pathlib import Path

from serving.wire import Reply

_PAGES = Path(__file__).parent / "static"  # importlib.resources would be a tenth of the start
_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
]
_KINDS = {
    "docs.html": b"text/html; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
    "docs.css": b"text/css; charset=utf-8",
}


def page(name: str) -> Reply:
    """Return one of the files."""
    return Reply(200, _KINDS[name], (_PAGES / name).read_bytes(), _HEADERS)
