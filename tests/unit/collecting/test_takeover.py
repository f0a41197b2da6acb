"""The collection service takes over: earlier rows stay where they were, later ones come from it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.data.manifest import load_manifest
from ci.errors import BadInput
from ci.sources import Source
from tests import shop

if TYPE_CHECKING:
    from tests.unit.collecting.conftest import Yard

TABLES: dict[str, Any] = {"visits": {"kind": "file", "path": "rows.csv", "time": "at"}}


def source(since: str | None, *eras: tuple[str, str | None, str | None]) -> Source:
    written = [{"name": name, "start": start, "end": end, "tables": TABLES} for name, start, end in eras]
    return Source.model_validate({"collector": {"since": since} if since else None, "eras": written})


def bounds(of: Source) -> list[tuple[str, str | None, str | None, str]]:
    return [(era.name, str(era.start), str(era.end), next(iter(era.tables.values())).kind) for era in of.in_force]


def test_eras_are_cut_where_the_service_takes_over() -> None:
    written = source("2013-07-01", ("a", "2013-01-01", "2014-01-01"), ("b", "2023-01-01", "2024-01-01"))
    assert bounds(written) == [
        ("a", "2013-01-01", "2013-07-01", "file"), ("a", "2013-07-01", "2014-01-01", "collector"),
        ("b", "2023-01-01", "2024-01-01", "collector"), ("collected", "2024-01-01", "None", "collector")]  # fmt: skip
    assert [str(era.end) for era in written.eras] == ["2014-01-01", "2024-01-01"], "what is written stays"


def test_an_open_era_goes_on_in_the_service() -> None:
    assert bounds(source("2024-03-01", ("shop", "2024-01-01", None))) == [
        ("shop", "2024-01-01", "2024-03-01", "file"), ("shop", "2024-03-01", "None", "collector")]  # fmt: skip


def test_a_service_that_was_there_from_the_start_leaves_nothing_else() -> None:
    assert bounds(source("2024-01-01", ("shop", "2024-01-01", None))) == [("shop", "2024-01-01", "None", "collector")]
    assert bounds(source("2025-01-01", ("a", "2013-01-01", "2014-01-01")))[-1] == (
        "collected",
        "2025-01-01",
        "None",
        "collector",
    )


def test_later_months_come_from_the_service_and_earlier_ones_are_not_read_again(yard: Yard) -> None:
    yard.collect(as_of="2024-03-01")
    before = {part.period: part for part in load_manifest(yard.raw).parts}
    yard.replay("2024-03..2024-05-02")
    (yard.root / "rows.csv").write_text("at\n")  # whatever becomes of the file now
    shop.visits(months=6).to_csv(yard.root / "rows.csv", index=False)
    result = yard.collect(collector=True)
    assert result.message.startswith("as_of 2024-03-01 → 2024-05-01; the collection service takes over; ")
    assert result.data["read"] == ["2024-03", "2024-04"]
    manifest = load_manifest(yard.raw)
    assert {part.period: part for part in manifest.parts if part.period in before} == before
    assert yard.reader.reads == ["2024-03", "2024-04"]


def test_collected_rows_are_those_of_the_file_once_their_outcomes_are_there(yard: Yard) -> None:
    yard.collect(as_of="2024-05-01")
    from_file = {path.name: pd.read_parquet(path) for path in yard.raw.glob("*.parquet")}
    yard.params.write_text(yard.params.read_text().replace("2024-05-01", "2024-03-01"))
    yard.replay("2024-03..2024-05-02")
    yard.collect(collector=True)
    for name, frame in from_file.items():
        pd.testing.assert_frame_equal(pd.read_parquet(yard.raw / name)[frame.columns], frame, check_like=True)


def test_labels_that_come_later_restate_their_month(yard: Yard) -> None:
    yard.replay("2024-03..2024-04-01")
    yard.collect(collector=True)
    assert pd.read_parquet(yard.raw / "2024-03.parquet")["back"].isna().sum() > 0, (
        "of the last days nothing is known yet"
    )
    yard.replay("2024-04-02..2024-04-03")
    result = yard.collect()
    assert result.data["restated"] == ["2024-03"]
    assert pd.read_parquet(yard.raw / "2024-03.parquet")["back"].isna().sum() == 0


def test_a_month_comes_from_one_place(yard: Yard) -> None:
    yard.collect(as_of="2024-03-15")
    with pytest.raises(BadInput, match="lies within a month"):
        yard.collect(collector=True)


def test_taking_over_twice_is_taking_over_once(yard: Yard) -> None:
    yard.replay("2024-03..2024-04-01")
    yard.collect(collector=True)
    params = yard.params.read_text()
    yard.collect(collector=True)
    assert yard.params.read_text() == params
    assert params.count("collector:") == 1


def test_an_empty_service_says_that_nothing_is_new(yard: Yard) -> None:
    result = yard.collect(collector=True, as_of=None)
    assert "as_of stays 2024-03-01" in result.message
    assert yard.project().params.source.collector is not None
    assert yard.project().params.source.collector.since == date(2024, 3, 1)


def test_the_quarantine_is_told_with_a_patch(yard: Yard) -> None:
    frame = shop.visits(months=6)
    frame.loc[frame["at"].str.startswith("2024-03-1"), "age"] = 131
    frame.to_csv(yard.root / "rows.csv", index=False)
    assert yard.replay("2024-03..2024-04-01").outcome == "rejected"
    result = yard.collect(collector=True)
    (check,) = [check for check in result.checks if check.name == "quarantine"]
    assert check.outcome == "warned"
    assert check.extra["patch"] == ["# columns: age: maximum: 131"]
    assert [table.title for table in result.tables if table.title in {"Quarantine", "Contract patch"}] == [
        "Quarantine",
        "Contract patch",
    ]


def test_a_service_needs_event_times(yard: Yard) -> None:
    folder = yard.root / "projects" / "shop"
    changes = {"event_time": None, "cluster": None}
    (folder / "contract.yaml").write_text(shop.spelled(shop.merged(shop.CONTRACT, changes)), encoding="utf-8")
    with pytest.raises(BadInput, match="event_time"):
        yard.collect(collector=True)
