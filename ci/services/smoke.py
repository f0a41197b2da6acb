"""
Whether a collection service does what it is for: it is the release that it should be, takes a record that its contract
allows, once however often it is sent, refuses one that it does not by the column's name, gives out what it took, and
knows who sends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NDJSON = "application/x-ndjson"


class Ask(Protocol):
    """Sends one request to the service under test."""

    def __call__(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers (lower case) and body."""


def smoke(ask: Ask, golden: Mapping[str, Any], release: str, token: str) -> Iterator[Check]:
    """Yield what was found; `release` is how its header ends: `@1.2.0; bundle=sha256:0123456789ab`."""
    yield _release(ask, release)
    pairs = golden["records"]
    if not pairs:
        yield Check("golden records", Found.REJECTED, "there are none")
        return
    yield _stranger(ask, pairs[0])
    for pair in pairs:
        yield _accepted(ask, pair, token)
        yield _refused(ask, pair, token)
        yield _given(ask, pair, token)


def _release(ask: Ask, release: str) -> Check:
    status, headers, _ = ask("GET", "/v2/health/ready", None, {})
    said = headers.get("x-slipway-release", "")
    good = status == 200 and said.endswith(release)
    return _check("release", good, f"answers {status} as {said[:120] or 'nobody'}")


def _stranger(ask: Ask, pair: Mapping[str, Any]) -> Check:
    status, _ = _sent(ask, pair, "accepted", "nobody")
    return _check("stranger", status == 401, f"a token that nobody was given: {status}")


def _accepted(ask: Ask, pair: Mapping[str, Any], token: str) -> Check:
    first, again = _sent(ask, pair, "accepted", token), _sent(ask, pair, "accepted", token)
    taken = [_counts(first), _counts(again)]
    good = first[0] == again[0] == 200 and taken == [{"accepted": 1}, {"duplicates": 1}]
    said = (
        "accepted once, and known again" if good else f"{first[0]} {taken[0]}, then {again[0]} {taken[1]}: {first[1]}"
    )
    return _check(f"{pair['project']}: golden record", good, said[:300])


def _refused(ask: Ask, pair: Mapping[str, Any], token: str) -> Check:
    status, said = _sent(ask, pair, "refused", token)
    reasons = [reason for result in said.get("results", []) for reason in result.get("reasons", [])]
    good = status == 200 and _counts((status, said)) == {"rejected": 1} and any(
        reason.get("field") == pair["field"] for reason in reasons
    )  # fmt: skip
    words = f"{reasons[0].get('field')}: {reasons[0].get('reason')}" if reasons else f"{status} {said}"
    return _check(f"{pair['project']}: bad record", good, f"{'refused' if good else 'not refused'}: {words}"[:300])


def _given(ask: Ask, pair: Mapping[str, Any], token: str) -> Check:
    """Ask for the periods: their digests are over the Parquet files, which are written then."""
    status, _, raw = ask("GET", f"/v1/{pair['project']}/periods", None, {"authorization": f"Bearer {token}"})
    rows = [item.get("rows") for item in _read(raw).get("periods", [])]
    return _check(f"{pair['project']}: periods", status == 200 and rows == [1], f"{status}: rows in periods: {rows}")


def _sent(ask: Ask, pair: Mapping[str, Any], which: str, token: str) -> tuple[int, dict[str, Any]]:
    body = json.dumps(pair[which]).encode() + b"\n"
    headers = {"content-type": NDJSON, "authorization": f"Bearer {token}"}
    status, _, raw = ask("POST", f"/v1/{pair['project']}/records", body, headers)
    return status, _read(raw)


def _read(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _counts(answer: tuple[int, Mapping[str, Any]]) -> dict[str, int]:
    names = ("accepted", "duplicates", "restated", "rejected")
    return {name: int(answer[1][name]) for name in names if answer[1].get(name)}


def _check(name: str, good: bool, message: str) -> Check:
    return Check(name, Found.PASSED if good else Found.REJECTED, message)
