"""The service is asked to remove what is published, old enough and the same there and here; nothing else."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from ci.data.held import Held
from ci.errors import Unavailable
from ci.publishing.sparing import due, spare
from ci.report import Check, Found

if TYPE_CHECKING:
    from tests.unit.collecting.conftest import Yard


def collected(yard: Yard, keep_days: int | None = 40) -> None:
    """March and April come from the service and lie here; May is there, and not settled."""
    yard.collect(as_of="2024-03-01")
    yard.replay("2024-03..2024-05-02")
    yard.collect(collector=True)
    if keep_days:
        text = yard.params.read_text()
        yard.params.write_text(
            text.replace('{since: "2024-03-01"}', f'{{since: "2024-03-01", keep_days: {keep_days}}}')
        )


def spared(yard: Yard, remove: Any = None) -> tuple[list[Check], list[str]]:
    gone: list[str] = []
    checks = spare(
        yard.project(), yard.open, yard.service.periods, remove or (lambda held: gone.append(held.period)), yard.raw
    )
    return checks, gone


def test_without_a_policy_nothing_is_asked(yard: Yard) -> None:
    collected(yard, keep_days=None)
    assert spared(yard) == ([], [])


def test_what_is_published_and_old_enough_goes(yard: Yard) -> None:
    collected(yard, keep_days=30)
    ((check,), gone) = spared(yard)
    assert gone == ["2024-03"], "as_of is 2024-05-01: April ended that day"
    assert (check.outcome, check.message) == (
        Found.PASSED, "rows of 2024-03 are published, and no longer kept there (source.collector.keep_days: 30)"
    )  # fmt: skip
    collected_anew = spared(yard)[1]
    assert collected_anew == ["2024-03"], "who asks again asks for the same"


def test_what_reads_differently_by_now_stays(yard: Yard) -> None:
    collected(yard, keep_days=1)
    assert spared(yard)[1] == ["2024-03"]
    key = min(key for key, row in yard.service.rows.items() if row["at"].startswith("2024-03"))
    yard.service.rows[key] = {**yard.service.rows[key], "age": 99}
    assert spared(yard)[1] == []


def test_what_does_not_lie_here_as_it_was_published_stays(yard: Yard) -> None:
    collected(yard, keep_days=1)
    (yard.raw / "2024-03.parquet").write_bytes(b"spoilt")
    assert spared(yard)[1] == []


def test_a_service_that_does_not_answer_is_a_warning(yard: Yard) -> None:
    collected(yard, keep_days=1)

    def away(_: Held) -> None:
        raise Unavailable("nobody there")

    ((check,), _) = spared(yard, away)
    assert (check.outcome, "nobody there" in check.message) == (Found.WARNED, True)


@pytest.mark.parametrize(
    ("changes", "goes"),
    [({}, True), ({"settled": False}, False), ({"removed": "2026-01-01"}, False), ({"period": "2013-02"}, False),
     ({"end": "2013-02-01T00:00:01"}, False)],
)  # fmt: skip
def test_age_settling_and_presence(changes: dict[str, Any], goes: bool) -> None:
    held = {"period": "2013-01", "start": "2013-01-01T00:00:00", "end": "2013-02-01T00:00:00", "rows": 1, "settled": True,
            "digest": "0" * 64, **changes}  # fmt: skip
    assert bool(due([Held.model_validate(held)], {"2013-01"}, date(2013, 3, 3), 30)) is goes
