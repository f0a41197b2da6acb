"""Ingest: by period, only what is new, all or nothing, and sources that are wrong in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ci.data.manifest import load_manifest
from ci.errors import BadInput, Interrupted, Outcome
from ci.files import sha256
from tests import shop
from tests.unit.data.conftest import found

if TYPE_CHECKING:
    from tests.unit.data.conftest import Room


def read_now(result: Any) -> list[str]:
    return sorted(row[0] for row in result.tables[0].rows if row[4])


def as_of(day: str) -> dict[str, Any]:
    return {"params": {"as_of": day}}


def table(**changes: Any) -> dict[str, Any]:
    era = shop.merged(shop.PARAMS["source"]["eras"][0], {"tables": {"visits": changes}})
    return {"params": {"source": {"eras": [era]}}}


def contents(room: Room) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(room.raw.iterdir())}


def test_rows_land_in_their_period_typed_and_in_order(room: Room) -> None:
    frame = shop.visits()
    room.deliver(frame.sample(frac=1, random_state=0))
    result = room.ingest()
    manifest = load_manifest(room.raw)
    assert result.outcome is Outcome.PASSED
    assert [part.period for part in manifest.parts] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert manifest.rows == len(frame)
    assert result.outputs == {str(room.raw / part.file): part.sha256 for part in manifest.parts}
    back = pd.concat([pd.read_parquet(room.raw / part.file) for part in manifest.parts], ignore_index=True)
    assert back["at"].is_monotonic_increasing
    assert list(back["id"]) == list(frame["id"])
    assert {name: str(kind) for name, kind in back.dtypes.items()} == {
        "age": "int64", "spent": "float64", "town": "str", "member": "bool", "at": "datetime64[us]", "id": "int64",
        "returned_on": "float64", "back": "bool"}  # fmt: skip


def test_nothing_from_the_future_of_as_of_is_read(room: Room) -> None:
    room.deliver(shop.visits(months=6))
    room.ingest(**as_of("2024-03-15"))
    manifest = load_manifest(room.raw)
    assert manifest.watermark is not None
    assert manifest.watermark < "2024-03-15"
    assert not manifest.parts[-1].closed
    assert pd.read_parquet(room.raw / "2024-03.parquet")["at"].max() < pd.Timestamp("2024-03-15")


def test_a_new_as_of_reads_only_what_is_new(room: Room) -> None:
    room.deliver(shop.visits())
    assert read_now(room.ingest(**as_of("2024-03-01"))) == ["2024-01", "2024-02"]
    before = contents(room)
    assert read_now(room.ingest(**as_of("2024-04-01"))) == ["2024-03"]
    assert {name: contents(room)[name] for name in before if name != "manifest.json"} == {
        name: digest for name, digest in before.items() if name != "manifest.json"}  # fmt: skip


def test_nothing_new_reads_nothing_and_changes_no_byte(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest()
    before = contents(room)
    assert read_now(room.ingest()) == []
    assert contents(room) == before


def test_an_open_period_is_read_again_once_it_is_whole(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest(**as_of("2024-03-15"))
    assert read_now(room.ingest(**as_of("2024-04-01"))) == ["2024-03"]


@pytest.mark.parametrize(
    "change",
    [
        {"contract": {"columns": {"age": {"maximum": 130}}}},
        {"params": {"source": {"eras": [shop.merged(shop.PARAMS["source"]["eras"][0], {"name": "other"})]}}},
    ],
    ids=["contract", "era"],
)
def test_what_rows_depend_on_makes_them_read_again(room: Room, change: dict[str, Any]) -> None:
    room.deliver(shop.visits())
    room.ingest(**table())
    assert len(read_now(room.ingest(**shop.merged(table(), change)))) == 4


def test_what_only_tells_reads_nothing_again(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest()
    assert read_now(room.ingest(contract={"description": "Another question?", "slices": []})) == []


def test_own_code_that_changed_reads_again(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest()
    (room.root / "projects/shop/source.py").write_text("# new\n")
    assert len(read_now(room.ingest())) == 4


def test_of_a_monthly_folder_only_the_new_file_is_read(room: Room) -> None:
    months = shop.visits().assign(month=lambda rows: rows["at"].str[:7])
    for name, frame in list(months.groupby("month"))[:3]:
        room.deliver(frame.drop(columns="month"), f"in/{name}.csv")
    folder = table(path=str(room.root / "in"))
    assert len(read_now(room.ingest(**shop.merged(folder, as_of("2024-04-01"))))) == 3
    april = months[months["month"] == "2024-04"].drop(columns="month")
    room.deliver(april, "in/2024-04.csv")
    assert read_now(room.ingest(**folder)) == ["2024-04"]


def test_late_rows_are_told_and_only_their_period_is_read(room: Room) -> None:
    months = shop.visits().assign(month=lambda rows: rows["at"].str[:7])
    parts = {str(name): frame.drop(columns="month") for name, frame in months.groupby("month")}
    for name, frame in parts.items():
        room.deliver(frame.iloc[:-7] if name == "2024-02" else frame, f"in/{name}.csv")
    folder = table(path=str(room.root / "in"))
    room.ingest(**folder)
    room.deliver(parts["2024-02"], "in/2024-02.csv")
    result = room.ingest(**folder)
    assert read_now(result) == ["2024-02"]
    assert found(result, "restated 2024-02").message == "reads differently now: 7 rows more"
    assert found(result, "restated 2024-02").outcome == "warned"


def test_corrected_rows_are_told(room: Room) -> None:
    frame = shop.visits()
    room.deliver(frame)
    room.ingest()
    room.deliver(frame.assign(age=frame["age"].where(frame.index != 0, 99)))
    result = room.ingest()
    assert [item.message for item in result.checks] == ["reads differently now: as many rows, other values"]


@pytest.mark.parametrize("damage", ["truncated", "gone", "manifest", "stranger"])
def test_what_a_crash_left_is_not_trusted(room: Room, damage: str) -> None:
    room.deliver(shop.visits())
    room.ingest()
    before = contents(room)
    path = room.raw / "2024-02.parquet"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    elif damage == "manifest":
        (room.raw / "manifest.json").write_text('{"parts": [')
    else:
        (room.raw / ".2024-05.parquet.x.part").write_text("half")
    room.ingest()
    assert contents(room) == before


@pytest.mark.parametrize("error", [Interrupted(15), MemoryError()])
def test_an_interruption_leaves_the_former_version(room: Room, error: BaseException) -> None:
    room.deliver(shop.visits())
    room.ingest(**as_of("2024-02-01"))
    before = contents(room)

    def assemble(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        if tables["visits"]["at"].max() >= "2024-03":
            raise error
        return tables["visits"]

    with pytest.raises((BadInput, Interrupted)):
        room.ingest(assemble=assemble)
    assert contents(room)["manifest.json"] == before["manifest.json"]
    room.ingest(**as_of("2024-02-01"))
    assert contents(room) == before


def test_own_code_joins_tables(room: Room) -> None:
    room.deliver(shop.visits().drop(columns="town"))
    (room.root / "towns.csv").write_text("id,town\n" + "".join(f"{n},York\n" for n in range(1200)))
    era = shop.merged(shop.PARAMS["source"]["eras"][0])
    era["tables"] = {name: {"kind": "file", "path": f"{name}.csv"} for name in ("rows", "towns")}
    era["tables"]["rows"]["time"] = "at"

    def assemble(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        return tables["rows"].merge(tables["towns"], on="id")

    room.ingest(params={"source": {"eras": [era]}}, assemble=assemble)
    assert set(pd.read_parquet(room.raw / "2024-01.parquet")["town"]) == {"York"}


def two_tables() -> dict[str, Any]:
    era = shop.merged(shop.PARAMS["source"]["eras"][0])
    era["tables"]["more"] = {"kind": "file", "path": "rows.csv"}
    return {"params": {"source": {"eras": [era]}}}


def failing(error: Exception) -> Any:
    def assemble(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        raise error

    return assemble


BAD = {
    "empty file": (lambda frame: None, {}, r"rows\.csv: empty"),
    "only a header": (lambda frame: frame.head(0), {}, "shop: the source has no rows before 2024-05-01"),
    "no such file": (lambda frame: frame, table(path="rowz.csv"), r"rowz\.csv: no such file"),
    "no time column": (lambda frame: frame.drop(columns="at"), {}, r"rows\.csv: no column at"),
    "event time missing": (lambda frame: frame.rename(columns={"at": "when"}), table(time="when"), "event_time at: no such column in the rows"),
    "not a date": (lambda frame: frame.assign(at="2024-01-xx"), {}, "event_time at: not readable as dates, such as '2024-01-xx'"),
    "american dates": (lambda frame: frame.assign(at="01/31/2024"), table(time=None), "event_time at: not readable as dates, such as '01/31/2024'"),
    "time as number": (lambda frame: frame.assign(at=20240131), {}, "time column at is int64, neither a date nor text"),
    "gaps in time": (lambda frame: frame.assign(at=frame["at"].mask(frame.index % 2 == 0)), table(time=None), "event_time at: missing in 600 of 1,200 rows read for 2024-01"),
    "offsets that move": (lambda frame: frame.assign(at=frame["at"] + "+14:00"), {}, "event_time at: [0-9]+ rows move out of 2024-01 once in UTC"),
    "all in the future": (lambda frame: frame.assign(at="2031-01-01"), {}, "shop: the source has no rows before 2024-05-01"),
    "ten thousand columns": (lambda frame: pd.DataFrame(np.zeros((2, 10_000), dtype=int)).add_prefix("x"), {}, r"rows\.csv: 10,000 columns, at most 1,000 are read"),
    "a column twice": (lambda frame: frame.rename(columns={"age": "id"}), {}, r"rows\.csv: column 'id' appears twice"),
    "unknown column named": (lambda frame: frame, table(columns=["at", "aeg"]), r"rows\.csv: no column aeg"),
    "two tables and no code": (lambda frame: frame, two_tables(), "shop: 2 tables, but source.py has no `assemble` to join them"),
    "code wants what is not there": (lambda frame: frame, {"assemble": lambda tables: tables["visits"][["agee"]]}, "source.py: assemble needs .*agee.*, which the source does not have"),
    "code fails": (lambda frame: frame, {"assemble": failing(ValueError("no"))}, r"source\.py: assemble failed \(ValueError: no\)"),
    "code returns nothing": (lambda frame: frame, {"assemble": lambda tables: None}, "source.py: assemble returned NoneType, not a DataFrame"),
    "code makes too many columns": (lambda frame: frame, {"assemble": lambda tables: pd.DataFrame(np.zeros((2, 1001)))}, "shop: 1,001 columns, at most 1,000 are allowed"),
    "wrong encoding": (lambda frame: frame, table(encoding="utf-99"), r"rows\.csv: utf-99 is no encoding"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_a_wrong_source_is_one_line_and_the_former_version_stays(room: Room, case: str) -> None:
    spoil, changes, said = BAD[case]
    room.deliver(shop.visits(months=1))
    room.ingest(**as_of("2024-02-01"))
    before = contents(room)
    spoilt = spoil(shop.visits())
    (room.root / "rows.csv").write_text("") if spoilt is None else room.deliver(spoilt)
    with pytest.raises(BadInput, match=said) as caught:
        room.ingest(**changes)
    assert "\n" not in str(caught.value)
    assert contents(room)["manifest.json"] == before["manifest.json"]
    room.deliver(shop.visits(months=1))
    room.ingest(**as_of("2024-02-01"))
    assert contents(room) == before


def test_an_offset_is_read_with_a_margin(room: Room) -> None:
    frame = shop.visits()
    room.deliver(frame.assign(at=frame["at"] + "+02:00"))
    room.ingest(**table(margin_days=1))
    rows = pd.read_parquet(room.raw / "2024-02.parquet")
    assert rows["at"].min() >= pd.Timestamp("2024-02-01")
    assert load_manifest(room.raw).rows == int(
        (pd.to_datetime(frame["at"]) - pd.Timedelta(hours=2) >= "2024-01-01").sum()
    )


def test_without_an_event_time_all_rows_are_one_part(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest(contract={"event_time": None, "cluster": None}, **table(time=None))
    (part,) = load_manifest(room.raw).parts
    assert (part.period, part.rows, part.newest) == ("all", 1200, None)


def test_a_folder_of_a_stranger_is_left_alone(room: Room) -> None:
    room.deliver(shop.visits())
    (room.raw / "notes").mkdir(parents=True)
    room.ingest()
    assert (room.raw / "notes").is_dir()
