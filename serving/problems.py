"""What a caller did wrong, as RFC 9457 problem details."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

# Nothing was done, and another server may have a model: a router sends such a request there. Overload is not marked so,
# because then others have enough to do as well.
ELSEWHERE = ((b"retry-after", b"1"), (b"x-slipway-elsewhere", b"1"))
LISTED = 100  # faults that an answer spells out; the rest is a number
_SHOWN = 40  # characters of a caller's value that an answer repeats

_TITLES = {
    400: "Bad request",
    401: "Not authorised",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Invalid input",
    431: "Header fields too large",
    500: "Internal error",
    503: "Unavailable",
    507: "Insufficient storage",
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault in one value: which row, which field, what is wrong."""

    code: str
    message: str
    row: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row is not None else []
        where += [f"field {self.field}"] if self.field is not None else []
        return ", ".join(where) + (": " if where else "") + self.message


class Problem(Exception):  # noqa: N818 # it is an answer, not a failure of ours
    """An answer that is not a prediction: status, detail, faults, extra headers."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        more: int = 0,
        headers: Sequence[tuple[bytes, bytes]] = (),
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.more = errors, more
        self.headers = [*headers, (b"connection", b"close")] if close else list(headers)

    def body(self, request_id: str) -> bytes:
        """Spell the problem as `application/problem+json`; `error` is the member that v2 clients read."""
        document: dict[str, Any] = {
            "type": f"urn:slipway:problem:{self.kind}",
            "title": _TITLES.get(self.status, "Problem"),
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = self.errors
        if self.more:
            document["more_errors"] = self.more
        return msgspec.json.encode(document)


class Faults:
    """Collects the faults of one request: all are counted, the first `LISTED` are spelled out."""

    def __init__(self) -> None:
        self.listed: list[FieldError] = []
        self.counts: Counter[tuple[str | None, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, code: str, message: str, *, row: int | None = None, field: str | None = None) -> None:
        """Note one fault."""
        self.counts[field, code] += 1
        if len(self.listed) < LISTED:
            self.listed.append(FieldError(code, message, row, field))

    def problem(self, status: int = 422) -> Invalid:
        """Turn what was noted into the answer."""
        return Invalid(status, self)


class Invalid(Problem):
    """The values do not fit the signature; carries the counts for the metrics."""

    def __init__(self, status: int, faults: Faults) -> None:
        errors = sorted(faults.listed, key=lambda fault: -1 if fault.row is None else fault.row)
        total = faults.counts.total()
        rest = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(status, "invalid", f"{errors[0]}{rest}", errors=errors, more=total - len(errors))
        self.counts = faults.counts


def show(value: object) -> str:
    """Spell a caller's value, shortened, for a message."""
    text = repr(value) if not isinstance(value, str) else f'"{value[: _SHOWN + 1]}"'
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def json_type(value: object) -> str:
    """Name a decoded value by its JSON type."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
