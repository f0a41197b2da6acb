"""The smoke test of a service says no to one that is somebody else, forgets, takes all, refuses all, or knows everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ci.report import Found
from ci.services.golden import golden
from ci.services.smoke import smoke
from tests.e2e.collectors import contract

RELEASE = "@1.0.0; bundle=sha256:0123456789ab"


class Service:
    """A collection service that does what it should, but for what is set."""

    def __init__(self, **faults: Any) -> None:
        self.faults, self.known = faults, set[str]()

    def __call__(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        said = {"x-slipway-release": f"collector{self.faults.get('release', RELEASE)}"}
        if path == "/v2/health/ready":
            return self.faults.get("ready", 200), said, b"{}"
        if headers["authorization"] != "Bearer t" and not self.faults.get("open"):
            return 401, said, b"{}"
        if path.endswith("/periods"):
            rows = self.faults.get("rows", 1)
            return (200, said, json.dumps({"periods": [{"rows": rows}]}).encode()) if rows else (503, said, b"oh")
        return 200, said, json.dumps(self.taken(json.loads(body or b"{}"))).encode()

    def taken(self, record: dict[str, Any]) -> dict[str, Any]:
        bad = isinstance(record["age"], list)
        if (bad or self.faults.get("none")) and not self.faults.get("all"):
            reasons = [{"field": self.faults.get("field", "age"), "reason": "must be a whole number"}]
            return {"rejected": 1, "results": [{"outcome": "rejected", "reasons": reasons}]}
        key = json.dumps(record)
        if key in self.known and not self.faults.get("forgets"):
            return {"duplicates": 1}
        self.known.add(key)
        return {"accepted": 1}


def found(**faults: Any) -> dict[str, str]:
    """Return what was rejected, and why."""
    checks = list(smoke(Service(**faults), golden([contract("York")]), RELEASE, "t"))
    assert len(checks) == 5
    return {check.name: check.message for check in checks if check.outcome is not Found.PASSED}


def test_one_that_does_what_it_should_passes() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("faults", "check", "said"),
    [
        ({"release": "@1.0.0; bundle=sha256:ffffffffffff"}, "release", "answers 200 as collector@1.0.0"),
        ({"ready": 503}, "release", "answers 503"),
        ({"open": True}, "stranger", "a token that nobody was given: 200"),
        ({"none": True}, "shop: golden record", "must be a whole number"),
        ({"forgets": True}, "shop: golden record", "then 200 {'accepted': 1}"),
        ({"all": True}, "shop: bad record", "not refused"),
        ({"field": "town"}, "shop: bad record", "not refused: town"),
        ({"rows": 0}, "shop: periods", "503"),
        ({"rows": 2}, "shop: periods", "rows in periods: [2]"),
    ],
)
def test_a_fault_is_named(faults: dict[str, Any], check: str, said: str) -> None:
    assert said in found(**faults)[check]


def test_nothing_to_send_is_no_pass() -> None:
    checks = list(smoke(Service(), {"records": []}, RELEASE, "t"))
    assert checks[-1].outcome is Found.REJECTED
