"""Asking all packagings: who differs is rejected, who cannot be asked is named and is no pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ci.errors import Outcome, Unavailable
from ci.packaging.asked import ask
from ci.releases.record import Packaged, Release
from ci.report import Found

GOLDEN = {"rows": [{"a": 1}, {"a": 2}], "outputs": [0.25, 0.5], "tolerance": 1e-5}


@dataclass
class Fake:
    answers: list[Any] = field(default_factory=lambda: [0.25, 0.5])
    fails: bool = False

    def ask(self, release: Release, packaged: Packaged, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        assert rows == GOLDEN["rows"]
        if self.fails:
            raise Unavailable("docker: no engine answers", hint="start one")
        return self.answers


def release(*kinds: str) -> Release:
    packaged = Packaged(repository="slipway/flights", digest="sha256:" + "1" * 64, size=1)
    return Release(
        project="flights", version="1.0.0", bundle="a" * 64, data_version="d", recipe="b" * 64, key="c" * 64, gate=None,
        git_commit=None, packagings=dict.fromkeys(kinds, packaged),  # type: ignore[arg-type]
    )  # fmt: skip


def test_all_alike_passes_and_shows_the_numbers() -> None:
    found = ask(release("service", "data"), GOLDEN, {"service": Fake(), "data": Fake()})
    assert found.outcome is Outcome.PASSED
    assert found.message == "flights@v1.0.0: service 0.25, data 0.25: all as when it was sealed"


@pytest.mark.parametrize("answers", [[0.25, 0.6], [0.25], [0.25, float("nan")], []])
def test_one_that_differs_rejects(answers: list[Any]) -> None:
    found = ask(release("service", "data"), GOLDEN, {"service": Fake(answers), "data": Fake()})
    assert found.outcome is Outcome.REJECTED


def test_one_that_cannot_be_asked_is_named() -> None:
    found = ask(release("service", "data"), GOLDEN, {"service": Fake(fails=True), "data": Fake()})
    assert found.outcome is Outcome.PASSED
    assert [(check.name, check.message) for check in found.checks if check.outcome is Found.SKIPPED] == [
        ("service", "docker: no engine answers; start one")
    ]


def test_none_that_can_be_asked_is_no_pass() -> None:
    with pytest.raises(Unavailable, match="no engine answers"):
        ask(release("service"), GOLDEN, {"service": Fake(fails=True)})
