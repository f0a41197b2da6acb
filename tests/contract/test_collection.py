"""The collection service in memory, on which unit tests rely, keeps the promises of the real one over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.adapters.collected import CollectorReader
from ci.collecting import spelling
from ci.data.rows import conformed
from ci.sources import CollectorTable
from tests import shop
from tests.collection import MemoryReader, MemoryService
from tests.integration.collecting.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ci.collecting.interface import Service

MARCH = (datetime(2024, 3, 1), datetime(2024, 4, 1))
CONTRACT = shop.contract()


@pytest.fixture(params=["memory", "real"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Service, Any]]:
    """A service, and what reads tables from it, made anew with each call."""
    if request.param == "memory":
        memory = MemoryService(CONTRACT)
        yield memory, lambda: MemoryReader(memory)
        return
    project = shop.shop(tmp_path / "shop", params={"source": {"lateness_days": 0}})
    running = Running(tmp_path / "service")
    running.knows(project)
    running.start()

    def reader() -> CollectorReader:
        found = CollectorReader(project, CollectorTable(kind="collector"), tmp_path / "cache")
        found.__dict__["client"] = running.client(project)
        return found

    yield running.client(project, patience_s=10), reader
    running.kill()


def rows(months: int = 3) -> pd.DataFrame:
    frame = conformed(shop.visits(months=months, per_month=40), CONTRACT)
    return frame.assign(at=frame["at"] + pd.DateOffset(months=2))  # from March on


def test_it_counts_what_it_takes(made: tuple[Service, Any]) -> None:
    service, _ = made
    batch = spelling.records(rows(), CONTRACT)
    counts = [service.send("records", batch[:80]), service.send("records", batch[40:])]
    assert [(c.accepted, c.duplicates, c.restated, c.rejected) for c in counts] == [(80, 0, 0, 0), (40, 40, 0, 0)]
    changed = [{**batch[0], "age": batch[0]["age"] + 1}]
    assert (service.send("records", changed).restated, service.send("records", changed).duplicates) == (1, 1)
    state = service.state()
    assert (state.records, state.quarantined) == (120, 0)
    assert str(state.watermark) == rows()["at"].max().isoformat()


def test_it_says_what_it_refuses_and_keeps_the_rest(made: tuple[Service, Any]) -> None:
    service, _ = made
    batch = spelling.records(rows(1), CONTRACT)
    batch[3] = {**batch[3], "age": 200}
    receipt = service.send("records", batch)
    assert (receipt.accepted, receipt.rejected) == (39, 1)
    (fate,) = receipt.results
    assert (fate.index, fate.outcome, fate.reasons[0].field) == (3, "rejected", "age")
    (kept,) = service.quarantine(10)
    assert (kept.record, str(kept.id)) == (batch[3], str(fate.quarantine))
    assert service.state().quarantined == 1


def test_periods_settle_and_change_with_what_they_say(made: tuple[Service, Any]) -> None:
    service, reader = made
    frame = rows()
    service.send("records", spelling.records(frame.iloc[::-1], CONTRACT))
    before = service.periods()
    assert [(h.period, h.rows, h.labelled, h.settled) for h in before] == [
        ("2024-03", 40, 0, True), ("2024-04", 40, 0, True), ("2024-05", 40, 0, False)]  # fmt: skip
    assert reader().settled() == datetime(2024, 5, 1)
    service.send("outcomes", spelling.outcomes(frame.iloc[:40], CONTRACT, None))
    after = service.periods()
    assert after[0].labelled == 40
    assert [a.digest != b.digest for a, b in zip(after, before, strict=True)] == [True, False, False]
    assert (after[0].start[:19], after[0].end[:19]) == ("2024-03-01T00:00:00", "2024-04-01T00:00:00")


def test_a_period_is_read_with_its_outcomes(made: tuple[Service, Any]) -> None:
    service, reader = made
    frame = rows()
    service.send("outcomes", spelling.outcomes(frame, CONTRACT, None))  # before their records: they wait
    service.send("records", spelling.records(frame, CONTRACT))
    before = reader().digest(*MARCH)
    read = conformed(reader().read(*MARCH).reset_index(drop=True), CONTRACT)
    wanted = frame[frame["at"] < MARCH[1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(read[wanted.columns].sort_values("id", ignore_index=True), wanted)
    assert reader().digest(*MARCH) == before
    assert len(reader().read(datetime(2024, 3, 1), datetime(2024, 3, 2))) == int((frame["at"] < "2024-03-02").sum())
    assert len(reader().read(datetime(2025, 1, 1), datetime(2025, 2, 1))) == 0
