"""Tables in files and databases: what is read for a window, and what it is called when it cannot be."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ci.adapters import tables
from ci.errors import BadInput, Unavailable
from ci.params import parse
from ci.sources import FileTable, SqlTable
from tests import shop

FEBRUARY = (datetime(2024, 2, 1), datetime(2024, 3, 1))
ALL = (None, None)


@pytest.fixture
def months(tmp_path: Path) -> Path:
    """A folder of one CSV per month."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, frame in shop.visits().groupby(lambda place: f"2024-{place // 300 + 1:02d}"):
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / ".hidden.csv").write_text("")
    (folder / "_SUCCESS").write_text("")
    return folder


def reader(tmp_path: Path, path: Path | str, **changes: Any) -> tables.FilesReader:
    table = parse(FileTable, {"kind": "file", "path": str(path), "time": "at", **changes}, "table")
    found = tables.opener(tmp_path / "cache")(table)
    assert isinstance(found, tables.FilesReader)
    return found


@pytest.mark.parametrize("pattern", ["in", "in/*.csv", "in/**/*.csv"])
def test_a_folder_and_a_glob_are_one_table(tmp_path: Path, months: Path, pattern: str) -> None:
    found = reader(tmp_path, tmp_path / pattern)
    assert len(found.read(*ALL)) == 1200
    assert len(found.read(*FEBRUARY)) == 300


def test_only_files_with_rows_in_the_window_count_for_its_digest(tmp_path: Path, months: Path) -> None:
    before, whole = (reader(tmp_path, months).digest(*window) for window in (FEBRUARY, ALL))
    (months / "2024-03.csv").unlink()
    shop.visits(1, start="2024-05-01").to_csv(months / "2024-05.csv", index=False)
    assert reader(tmp_path, months).digest(*FEBRUARY) == before
    assert reader(tmp_path, months).digest(*ALL) != whole
    with (months / "2024-02.csv").open("a") as more:
        more.write("9999,2024-02-10T00:00:00,30,1.0,York,True,,False\n")
    assert reader(tmp_path, months).digest(*FEBRUARY) != before


def test_a_csv_is_converted_once(tmp_path: Path, months: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader(tmp_path, months).read(*ALL)
    monkeypatch.setattr("ci.adapters.csv.to_parquet", lambda *_, **__: pytest.fail("converted again"))
    assert len(reader(tmp_path, months).read(*ALL)) == 1200
    assert len(list((tmp_path / "cache" / "tables").iterdir())) == 4


@pytest.mark.parametrize("failure", [RuntimeError("x"), KeyboardInterrupt()])
def test_a_conversion_that_was_stopped_leaves_nothing_to_trust(
    tmp_path: Path, months: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def stop(_path: Path, target: Path, **_options: str) -> None:
        target.write_bytes(b"PAR1 half")
        raise failure

    monkeypatch.setattr("ci.adapters.csv.to_parquet", stop)
    with pytest.raises(type(failure)):
        reader(tmp_path, months).read(*ALL)
    assert list((tmp_path / "cache" / "tables").iterdir()) == []


@pytest.mark.parametrize(
    "time",
    [
        lambda at: at,
        lambda at: at.str.replace("T", " "),
        pd.to_datetime,
        lambda at: pd.to_datetime(at).dt.tz_localize("UTC"),
        lambda at: pd.to_datetime(at).astype("datetime64[s]"),
        lambda at: pd.to_datetime(at).dt.date,
    ],
    ids=["text", "text with a blank", "timestamp", "with zone", "seconds", "date"],
)
def test_time_is_understood_in_its_many_types(tmp_path: Path, time: Any) -> None:
    frame = shop.visits().assign(at=lambda rows: time(rows["at"]))
    frame.to_parquet(tmp_path / "rows.parquet")
    assert len(reader(tmp_path, tmp_path / "rows.parquet").read(*FEBRUARY)) == 300


def test_the_schema_is_told_in_plain_words_and_only_for_what_is_read(tmp_path: Path) -> None:
    frame = shop.visits().assign(
        when=lambda rows: pd.to_datetime(rows["at"]), kind=lambda rows: rows["town"].astype("category")
    )
    frame.astype({"age": "int16", "spent": "float32"}).to_parquet(tmp_path / "a.parquet")
    whole = reader(tmp_path, tmp_path / "a.parquet").schema(*ALL)
    assert whole == {
        "id": "integer", "at": "text", "age": "integer", "spent": "number", "town": "text", "member": "boolean",
        "returned_on": "number", "back": "boolean", "when": "timestamp", "kind": "text"}  # fmt: skip
    some = reader(tmp_path, tmp_path / "a.parquet", columns=["at", "age"])
    assert some.schema(*ALL) == {"at": "text", "age": "integer"}
    assert list(some.read(*FEBRUARY).columns) == ["at", "age"]


def test_a_wide_parquet_is_read_by_the_columns_that_are_named(tmp_path: Path) -> None:
    wide = pd.DataFrame({f"x{n}": [1] for n in range(1200)}).assign(at="2024-02-03")
    wide.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"a\.parquet: 1,201 columns, at most 1,000 are read"):
        reader(tmp_path, tmp_path / "a.parquet").read(*ALL)
    assert len(reader(tmp_path, tmp_path / "a.parquet", columns=["at", "x7"]).read(*FEBRUARY)) == 1


@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ","), ("a.tsv.gz", "\t")])
def test_the_name_tells_the_separator(tmp_path: Path, name: str, separator: str) -> None:
    shop.visits().to_csv(tmp_path / name, sep=separator, index=False)
    assert len(reader(tmp_path, tmp_path / name).read(*ALL)) == 1200


def test_format_overrules_the_name(tmp_path: Path) -> None:
    shop.visits().to_csv(tmp_path / "rows.dat", index=False)
    assert len(reader(tmp_path, tmp_path / "rows.dat", format="csv").read(*ALL)) == 1200
    with pytest.raises(BadInput, match=r"rows\.dat: not readable as Parquet"):
        reader(tmp_path, tmp_path / "rows.dat").read(*ALL)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"PAR1", "not readable as Parquet"), (b"x" * 100, "not readable as Parquet")]
)
def test_a_broken_parquet_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=rf"a\.parquet: {said}"):
        reader(tmp_path, tmp_path / "a.parquet").read(*ALL)


def test_an_empty_folder_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(BadInput, match="in: no such file"):
        reader(tmp_path, tmp_path / "in")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Visits in SQLite."""
    import sqlalchemy

    url = f"sqlite:///{tmp_path}/shop.db"
    shop.visits().to_sql("visits", sqlalchemy.create_engine(url), index=False)
    monkeypatch.setenv("SHOP_DATABASE", url)
    return url


def query(text: str = "SELECT * FROM visits WHERE at >= :start AND at < :end") -> Any:
    return tables.opener(Path("cache"))(
        parse(SqlTable, {"kind": "sql", "url": "SHOP_DATABASE", "query": text, "time": "at"}, "t")
    )


def test_a_query_is_bound_to_its_window(database: str) -> None:
    rows = query(
        "SELECT * FROM visits WHERE at >= strftime('%Y-%m-%d', :start) AND at < strftime('%Y-%m-%d', :end)"
    ).read(*FEBRUARY)
    assert len(rows) == 300
    assert rows["at"].str[:7].unique().tolist() == ["2024-02"]


def test_a_query_may_do_without_a_window(database: str) -> None:
    assert len(query("SELECT age FROM visits").read(*ALL)) == 1200


def test_a_query_is_known_by_its_text_and_window(database: str) -> None:
    assert query().digest(*FEBRUARY) == query().digest(*FEBRUARY)
    assert query().digest(*FEBRUARY) != query("SELECT 1").digest(*FEBRUARY)
    assert query().digest(*FEBRUARY) != query().digest(*ALL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT * FROM visits WHERE at > :begin", "A value is required for bind parameter 'begin'"),
    ],
)
def test_a_wrong_query_is_named(database: str, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"^query on SHOP_DATABASE: {said}") as caught:
        query(text).read(*FEBRUARY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", [None, "", "no url at all", "oracle9://x"])
def test_a_missing_or_wrong_url_is_bad_input(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    if url is not None:
        monkeypatch.setenv("SHOP_DATABASE", url)
    with pytest.raises(BadInput, match="SHOP_DATABASE"):
        query().read(*FEBRUARY)


def test_a_database_that_is_not_there_may_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path}/no/such/folder/shop.db")
    with pytest.raises(Unavailable, match="database in SHOP_DATABASE: unable to open database file"):
        query().read(*FEBRUARY)


def test_a_password_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "nodriver://user:secret@host/db")
    with pytest.raises(BadInput) as caught:
        query().read(*FEBRUARY)
    assert "secret" not in str(caught.value)
