"""Edits of a project's params that touch one line and leave every other byte as its owner wrote it."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import said_plainly, write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AS_OF = re.compile(r"^as_of:([ \t]*)([\"']?)(\d{4}-\d\d-\d\d)\2(?=[ \t]*(#|\r?$))", re.MULTILINE)
_SOURCE = re.compile(r"^source:[ \t]*(#[^\r\n]*)?(?P<end>\r?\n)(?P<between>([ \t]*(#[^\r\n]*)?\r?\n)*)(?P<indent>[ ]+)(?=[^ \t\r\n#])", re.MULTILINE)  # fmt: skip
_WHY = "later rows come from the collection service"


def read(path: Path) -> str:
    """
    Read params with the line ends that they have.

    Raises:
        BadInput: missing, unreadable or not UTF-8.
    """
    with said_plainly(path):
        raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 (byte {error.start})") from error


def write(path: Path, text: str) -> None:
    """Write params beside, then rename: whoever looks sees the former ones or these."""
    write_bytes(path, text.encode("utf-8"))


def as_of_in(text: str, where: str) -> date:
    """
    Return the `as_of` of a project's params.

    Raises:
        BadInput: there is not exactly one line that sets it, or it is no date.
    """
    found = _AS_OF.findall(text)
    if len(found) != 1:
        raise BadInput(f"{where}: no line of its own sets as_of", hint='write as_of: "2013-07-01" at the top')
    try:
        return date.fromisoformat(found[0][2])
    except ValueError as error:
        raise BadInput(f"{where}: as_of: {found[0][2]} is no date") from error


def moved(text: str, as_of: date, where: str) -> str:
    """
    Return a project's params with another `as_of`; nothing else of the text is touched.

    Raises:
        BadInput: there is not exactly one line that sets it.
    """
    as_of_in(text, where)

    def line(found: re.Match[str]) -> str:
        quote = found[2] or '"'  # DVC cannot store a bare date
        return f"as_of:{found[1] or ' '}{quote}{as_of}{quote}"

    return _AS_OF.sub(line, text)


def taken_over(text: str, since: date, where: str) -> str:
    """
    Return params whose rows come from the collection service from `since` on: one line more below `source:`.

    Raises:
        BadInput: `source` is not written as a block; the hint has the line to write by hand.
    """
    line = f'collector: {{since: "{since}"}}'
    found = _SOURCE.search(text)
    if found is None:
        raise BadInput(f"{where}: source: not written as a block of lines", hint=f"write into it: {line}")
    place = found.start("indent")
    return f"{text[:place]}{found['indent']}{line}   # {_WHY}{found['end']}{text[place:]}"


def nothing_else(before: Mapping[str, Any], after: Mapping[str, Any], where: str) -> None:
    """
    Hold an edit to what it was for: `as_of` and `source.collector`.

    Raises:
        BadInput: another value changed with them, which an anchor or a repeated key can bring about.
    """
    if _others(before) != _others(after):
        raise BadInput(f"{where}: cannot be edited line by line", hint="move as_of by hand")


def _others(document: Mapping[str, Any]) -> dict[str, Any]:
    source = document.get("source")
    kept = {key: value for key, value in document.items() if key not in {"as_of", "source"}}
    if isinstance(source, dict):
        kept["source"] = {key: value for key, value in source.items() if key != "collector"}
    return kept
