"""
From a body to judged records.

The quick way decodes a whole batch into typed structs, which checks names, types, ranges and categories on the way.
What that refuses is looked at record by record, and then value by value (`fields.py`), for the words of the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from collector.store.interface import Reason, Refused
from serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.forms import Form

REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_UTF8_MARK, _UTF16_MARKS, _GZIP = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff"), b"\x1f\x8b"


def without_mark(body: bytes) -> bytes:
    """
    Take the mark away with which some programs begin UTF-8.

    Raises:
        Problem: 400, when it is UTF-16, UTF-32 or gzip: every line of it would be refused for a reason of its own.
    """
    if body[:2] == _GZIP:
        raise Problem(
            400, "encoding", "the body is gzip within what you said; send Content-Encoding: gzip, and pack it once"
        )
    if body[:2] in _UTF16_MARKS or b"\0" in body[:2]:
        raise Problem(400, "encoding", "the body is UTF-16 or UTF-32; send UTF-8")
    return body.removeprefix(_UTF8_MARK)


def pieces(body: bytes, *, lines: bool) -> Sequence[bytes | msgspec.Raw]:
    """
    Cut a body into records, without looking into them.

    Raises:
        Problem: 400, when the body is no JSON array: then nobody knows where a record begins.
    """
    if lines:
        return [line for line in body.split(b"\n") if line and not line.isspace()]
    try:
        return _RAW.decode(body)
    except REFUSALS as error:
        raise Problem(400, "malformed", f"the body is not a JSON array: {_plain(error)}") from None


def read(body: bytes, form: Form, now: int, *, lines: bool, most: int, longest: int) -> tuple[list[Any], list[Refused]]:
    """
    Read a delivery: items for the store, and what is refused with reasons.

    Raises:
        Problem: 400 for a body that cannot be cut into records, 413 for too many of them.
    """
    body = without_mark(body)
    if lines and body.count(b"\n") > 2 * most + 1:
        raise _too_many(most)
    plain = body.isascii() and b"\\u" not in body  # then it is in Unicode NFC and without U+0000
    if plain and len(body) <= longest * most:
        quick = _quick(body, form, now, lines=lines, most=most)
        if quick is not None:
            return quick
    parts = pieces(body, lines=lines)
    if len(parts) > most:
        raise _too_many(most)
    return slowly(((bytes(part), frozenset()) for part in parts), form, now, longest)


def _quick(body: bytes, form: Form, now: int, *, lines: bool, most: int) -> tuple[list[Any], list[Refused]] | None:
    try:
        records = form.lines(body) if lines else form.array(body)
        if len(records) <= most:
            return form.items(records, now), []
    except REFUSALS:
        return None
    return None


def slowly(
    parts: Iterable[tuple[bytes, frozenset[str]]], form: Form, now: int, longest: int
) -> tuple[list[Any], list[Refused]]:
    """Judge records one by one; beside each go the hashes in it that are no values but were hashed before."""
    items: list[Any] = []
    refused: list[Refused] = []
    for index, (part, hashed) in enumerate(parts):
        reasons: list[Reason] = []
        document = _document(part, longest, reasons)
        item = form.item(index, document, now, hashed, reasons) if document is not None else None
        if item is None:
            refused.append(Refused(index, reasons, form.kept(part, document, longest)))
        else:
            items.append(item)
    return items, refused


def _document(part: bytes, longest: int, reasons: list[Reason]) -> dict[str, Any] | None:
    if len(part) > longest:
        reasons.append(Reason(None, f"has {len(part):,} bytes, at most {longest:,} are taken"))
        return None
    try:
        found = _ANY.decode(part)
    except UnicodeDecodeError:
        reasons.append(Reason(None, "is not UTF-8"))
        return None
    except REFUSALS as error:
        fault = "is not UTF-8" if not _is_utf8(part) else f"is not JSON: {_plain(error)}"
        reasons.append(Reason(None, fault))
        return None
    if not isinstance(found, dict):
        meant = "; an array of records is application/json" if isinstance(found, list) else ""
        reasons.append(Reason(None, f"is not an object with names and values{meant}"))
        return None
    return found


def _is_utf8(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")[:120]


def _too_many(most: int) -> Problem:
    return Problem(413, "too-many", f"the body has more than {most:,} records; send smaller batches")
