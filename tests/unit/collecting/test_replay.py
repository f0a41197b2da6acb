"""Replay: rows when they happen, outcomes when they are known, everything once, whatever breaks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.errors import BadInput, Outcome, Unavailable
from tests import shop
from tests.unit.collecting.conftest import Bell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.collecting.conftest import Yard

LATER = {"back", "returned_on"}


class Failing:
    """A service that is away after some batches; what it took before, it has."""

    def __init__(self, service: Any, batches: int) -> None:
        self.service, self.left = service, batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)

    def send(self, kind: Any, rows: Sequence[dict[str, Any]]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Unavailable("the service does not answer")
        return self.service.send(kind, rows)


def test_rows_come_without_what_nobody_could_know(yard: Yard) -> None:
    yard.replay("2024-03")
    records = [row for kind, row in yard.service.log if kind == "records"]
    assert len(records) == 300
    assert not any(LATER & row.keys() for row in records)
    assert set(records[0]) == set(shop.CONTRACT["columns"]) - LATER


def test_outcomes_follow_a_label_horizon_later_in_event_time(yard: Yard) -> None:
    yard.replay("2024-03")
    newest = ""
    for kind, row in yard.service.log:
        newest = max(newest, row["at"]) if kind == "records" else newest
        if kind == "outcomes":
            happened = next(r["at"] for k, r in yard.service.log if k == "records" and r["id"] == row["id"])
            assert pd.Timestamp(row["known_at"]) - pd.Timestamp(happened) == pd.Timedelta(days=2)
            assert row["known_at"][:10] <= newest[:10]
    last = max(pd.Timestamp(row["at"]) for row in yard.service.rows.values())
    unknown = [row for key, row in yard.service.rows.items() if key not in yard.service.known]
    assert 15 < len(unknown) < 25, "two days of ten rows each"
    assert all(pd.Timestamp(row["at"]) > last - pd.Timedelta(days=2.2) for row in unknown)


def test_the_next_span_begins_with_the_outcomes_that_were_left(yard: Yard) -> None:
    yard.replay("2024-03")
    yard.replay("2024-04")
    march = [key for key, row in yard.service.rows.items() if row["at"].startswith("2024-03")]
    assert all(key in yard.service.known for key in march)


def test_of_rows_that_were_never_sent_no_outcome_is(yard: Yard) -> None:
    yard.replay("2024-03")
    assert set(yard.service.known) <= set(yard.service.rows)


def test_sending_again_is_sending_nothing_and_again_is_all_duplicates(yard: Yard) -> None:
    yard.replay("2024-03")
    sent = len(yard.service.log)
    assert "everything was sent before" in yard.replay("2024-03").message
    assert len(yard.service.log) == sent
    result = yard.replay("2024-03", again=True)
    assert (result.data["sent"], result.data["duplicates"], result.data["restated"]) == (sent, sent, 0)


def test_a_service_that_lost_its_rows_is_sent_them_again(yard: Yard) -> None:
    yard.replay("2024-03")
    yard.service.rows.clear()
    yard.service.known.clear()
    assert yard.replay("2024-03").data["accepted"] == len(yard.service.rows) + len(yard.service.known) > 500


@pytest.mark.parametrize("batches", [0, 1, 7, 40])
def test_a_broken_replay_goes_on_where_it_was(yard: Yard, batches: int) -> None:
    with pytest.raises(Unavailable):
        yard.replay("2024-03", service=Failing(yard.service, batches))
    result = yard.replay("2024-03")
    assert len(yard.service.rows) == 300
    assert result.data["duplicates"] <= 20, "a day at most is sent twice"
    assert result.data["sent"] < 600 - 9 * max(0, batches - 2)


def test_a_speed_is_kept(yard: Yard) -> None:
    yard.replay("2024-03-01..2024-03-03", speed=86_400.0)
    assert sum(yard.naps) == pytest.approx(3 - 1, abs=1.01), "a day is a second"


def test_a_day_at_a_low_speed_comes_hour_by_hour(yard: Yard) -> None:
    yard.replay("2024-03-01", speed=3600.0)
    assert len(yard.naps) > 5
    assert sum(yard.naps) == pytest.approx(23, abs=3)


def test_the_front_door_is_asked_under_ids_that_outcomes_repeat(yard: Yard) -> None:
    bell = Bell()
    result = yard.replay("2024-03", door=bell)
    ids = [name for name, _ in bell.asked]
    assert len(ids) == len(set(ids)) == 300
    assert {uuid.UUID(name).version for name in ids} == {5}
    assert all(set(row) == {"age", "spent", "town", "member"} for _, row in bell.asked)
    outcomes = [row for kind, row in yard.service.log if kind == "outcomes"]
    assert {row["request_id"] for row in outcomes} < set(ids)
    assert result.data["answered"] == 300


def test_a_share_is_the_same_rows_each_time(yard: Yard) -> None:
    first, second = Bell(), Bell()
    yard.replay("2024-03", door=first, share=0.2)
    yard.replay("2024-03", door=second, share=0.2, again=True)
    assert first.asked == second.asked
    assert 30 < len(first.asked) < 90


def test_refusals_are_a_rejection_with_reasons_and_a_patch(yard: Yard) -> None:
    frame = shop.visits(months=6)
    frame.loc[frame["at"].str.startswith("2024-03-05"), "age"] = 140
    frame.to_csv(yard.root / "rows.csv", index=False)
    result = yard.replay("2024-03")
    assert result.outcome is Outcome.REJECTED
    assert result.data["rejected"] == 9 or result.data["rejected"] == 10
    assert "age: is out of range" in result.checks[0].message
    (patch,) = [table for table in result.tables if table.title == "Contract patch"]
    assert patch.rows == [["# columns: age: maximum: 140"]]
    assert len(yard.service.rows) == 300 - result.data["rejected"], "the others are there"


def test_where_there_are_no_rows_that_is_said(yard: Yard) -> None:
    with pytest.raises(BadInput, match="no rows in 2030-01-01"):
        yard.replay("2030-01-01..2030-01-02")


@pytest.mark.parametrize(
    ("changes", "said"), [({"event_time": None, "cluster": None}, "no event_time"), ({"keys": []}, "no keys")]
)
def test_a_contract_that_names_no_rows_is_refused(yard: Yard, changes: dict[str, Any], said: str) -> None:
    folder = yard.root / "projects" / "shop"
    document = {**shop.CONTRACT, **changes}
    (folder / "contract.yaml").write_text(
        shop.spelled({k: v for k, v in document.items() if v is not None}), encoding="utf-8"
    )
    with pytest.raises(BadInput, match=said):
        yard.replay("2024-03")


def test_a_service_is_not_played_to_itself(yard: Yard) -> None:
    era = {"name": "s", "start": "2024-01-01", "tables": {"rows": {"kind": "collector"}}}
    yard.params.write_text(shop.spelled(shop.merged(shop.PARAMS, {"source": {"eras": [era]}})))
    with pytest.raises(BadInput, match="comes from the collection service itself"):
        yard.replay("2024-03")
