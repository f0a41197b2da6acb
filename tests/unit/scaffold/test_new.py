from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ci.contract import Role, load_contract
from ci.errors import BadInput, Outcome
from ci.params import load
from ci.project import ProjectParams
from tests.unit.scaffold.conftest import SHARED, Scaffold, people

if TYPE_CHECKING:
    from pathlib import Path

N = 200
DAYS = pd.date_range("2024-01-01", periods=N, freq="D")


def contract(scaffold: Scaffold) -> Any:
    return load_contract(scaffold.root / "projects/churn/contract.yaml")


def params(scaffold: Scaffold) -> Any:
    return load(ProjectParams, scaffold.root / "projects/churn/params.yaml")


def test_a_plain_table_becomes_a_project_that_passes_its_rehearsal(scaffold: Scaffold) -> None:
    result = scaffold.make(scaffold.csv(people()), "left")
    assert result.outcome is Outcome.PASSED
    assert [check.outcome.value for check in result.checks if check.name == "rehearsal"] == ["passed"]
    found = contract(scaffold)
    assert (found.task.value, found.target, found.positive, found.event_time) == ("binary", "left", "yes", None)
    assert list(found.features) == ["age", "income", "town"]
    assert params(scaffold).split.strategy == "random"
    table = params(scaffold).source.eras[0].tables["rows"]
    assert (table.path, table.format) == ("rows.csv", "csv")
    assert (scaffold.root / "params.yaml").read_text() == SHARED.replace("  - flights\n", "  - flights\n  - churn\n")
    assert {path.name for path in (scaffold.root / "projects/churn").iterdir()} == {
        "__init__.py", "contract.yaml", "params.yaml", "source.py", "features.py", "model.py",
    }  # fmt: skip


def test_a_dry_run_tells_the_files_and_writes_none(scaffold: Scaffold) -> None:
    result = scaffold.make(scaffold.csv(people()), "left", dry_run=True)
    assert not (scaffold.root / "projects").exists()
    assert (scaffold.root / "params.yaml").read_text() == SHARED
    assert "target: left" in result.data["files"]["contract.yaml"]
    json.dumps(result.data)


def test_what_it_guessed_is_told_with_its_reason(scaffold: Scaffold, capsys: pytest.CaptureFixture[str]) -> None:
    result = scaffold.make(scaffold.csv(people().assign(land="CH")), "left")
    told = {row[0]: row[1:4] for row in result.tables[0].rows}
    assert told["land"] == ("string", "meta", "always 'CH': it tells nothing")
    assert told["left"][:2] == ("string", "target")
    said = capsys.readouterr().err
    assert "land" in said
    assert "always 'CH'" in said


def test_rows_with_dates_are_split_by_time_and_delivered_by_month(scaffold: Scaffold) -> None:
    scaffold.make(scaffold.csv(people().assign(day=DAYS.strftime("%Y-%m-%d"))), "left")
    settings = params(scaffold)
    assert (settings.as_of.isoformat(), settings.split.strategy, settings.source.period) == (
        "2024-07-19",
        "time",
        "month",
    )
    assert settings.source.eras[0].tables["rows"].time == "day"
    assert (contract(scaffold).event_time, contract(scaffold).cluster) == ("day", "day")


def test_dates_of_another_order_are_read_by_source_py(scaffold: Scaffold) -> None:
    scaffold.make(scaffold.csv(people().assign(day=DAYS.strftime("%d/%m/%Y"))), "left")
    assert 'rows["day"] = pd.to_datetime(rows["day"], format="%d/%m/%Y")' in scaffold.text("source.py")
    assert params(scaffold).source.eras[0].tables["rows"].time is None, "such text does not sort like time"
    assert contract(scaffold).event_time == "day"


def test_a_column_that_is_the_target_in_disguise_is_known_only_afterwards(scaffold: Scaffold) -> None:
    table = people()
    table["reason"] = np.where(table["left"] == "yes", "price", None)
    result = scaffold.make(scaffold.csv(table), "left")
    assert contract(scaffold).columns["reason"].role is Role.AFTER
    assert any(check.name == "column reason" and "leak" in check.message for check in result.checks)


def test_moments_after_the_event_are_known_only_afterwards(scaffold: Scaffold) -> None:
    later = DAYS + pd.to_timedelta(np.random.default_rng(0).integers(1, 9, N), unit="D")
    table = people().assign(order_date=DAYS.strftime("%Y-%m-%d"), delivered=later.strftime("%Y-%m-%d"))
    scaffold.make(scaffold.csv(table), "left")
    assert contract(scaffold).event_time == "order_date"
    assert contract(scaffold).columns["delivered"].role is Role.AFTER


def test_dates_of_birth_and_of_the_future_are_no_event_time(scaffold: Scaffold) -> None:
    table = people().assign(birth_date=(DAYS - pd.Timedelta(days=15_000)).strftime("%Y-%m-%d"), valid="9999-12-31")
    scaffold.make(scaffold.csv(table), "left")
    assert contract(scaffold).event_time is None


def test_rows_of_one_customer_stay_together(scaffold: Scaffold) -> None:
    table = people(300).assign(customer_id=np.repeat(np.arange(100), 3))
    scaffold.make(scaffold.csv(table), "left")
    assert (contract(scaffold).group, contract(scaffold).cluster) == ("customer_id", "customer_id")
    assert params(scaffold).split.strategy == "group"


def test_a_rare_class_is_kept_among_the_rows_to_learn_from(scaffold: Scaffold) -> None:
    table = people()
    table["plan"] = ["gold", *["basic", "plus"] * 99, "basic"]
    result = scaffold.make(scaffold.csv(table), "plan")
    assert next(check for check in result.checks if check.name == "rehearsal").outcome.value == "passed"
    assert any("'gold' 1" in check.message for check in result.checks)


def test_a_class_of_the_last_days_falls_back_to_a_random_split(scaffold: Scaffold) -> None:
    table = people().assign(day=DAYS.strftime("%Y-%m-%d"), left=["no"] * 180 + ["yes"] * 20)
    scaffold.make(scaffold.csv(table), "left")
    assert params(scaffold).split.strategy == "random"
    assert contract(scaffold).columns["day"].role is Role.AFTER, "the day alone tells it"


def test_a_break_in_the_last_month_is_accepted_and_told(scaffold: Scaffold) -> None:
    draw, rows = np.random.default_rng(0), 780
    days = pd.date_range("2024-01-01", periods=rows, freq="12h")
    jump = np.where(days >= "2025-01-01", 8.0, 0.0)
    table = pd.DataFrame({"day": days.strftime("%Y-%m-%d %H:%M")})
    table = table.assign(**{name: draw.normal(size=rows) + jump for name in "abc"}, y=draw.normal(size=rows))
    result = scaffold.make(scaffold.csv(table), "y")
    assert next(check for check in result.checks if check.name == "rehearsal").outcome.value == "passed"
    assert [(item.period, item.change) for item in contract(scaffold).accepted] == [("2025-01", "drift")]
    assert any("2025-01" in check.message for check in result.checks)


def test_a_file_elsewhere_is_named_in_full(scaffold: Scaffold, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("data [1]") / "my *file*.csv"
    people().to_csv(elsewhere, index=False)
    scaffold.make(elsewhere, "left")
    table = params(scaffold).source.eras[0].tables["rows"]
    assert table.path.startswith("/")
    assert "file" in table.path


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8"), ("\t", "cp1250"), ("|", "utf-16"), (",", "utf-8-sig")]
)
def test_other_separators_and_encodings(scaffold: Scaffold, separator: str, encoding: str) -> None:
    csv = scaffold.csv(people(), sep=separator, encoding=encoding)
    scaffold.make(csv, "left", encoding="utf-8" if encoding == "utf-8-sig" else encoding)
    assert contract(scaffold).columns["town"].categories == ["Köln", "York", "Łódź"]
    assert params(scaffold).source.eras[0].tables["rows"].separator == separator


def test_keys_that_were_named(scaffold: Scaffold) -> None:
    table = people().assign(shop=np.repeat(np.arange(20), 10), nr=np.tile(np.arange(10), 20))
    scaffold.make(scaffold.csv(table), "left", keys=("shop", "nr"))
    assert contract(scaffold).keys == ["shop", "nr"]


def test_force_replaces_and_its_absence_protects(scaffold: Scaffold) -> None:
    csv = scaffold.csv(people())
    scaffold.make(csv, "left")
    (scaffold.root / "projects/churn/mine.py").touch()
    with pytest.raises(BadInput, match="projects/churn: there is already such a project"):
        scaffold.make(csv, "left")
    scaffold.make(csv, "age", force=True)
    assert contract(scaffold).target == "age"
    assert (scaffold.root / "params.yaml").read_text().count("churn") == 1


def test_nothing_is_left_behind_if_params_cannot_be_written(
    scaffold: Scaffold, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _text: str) -> None:
        raise BadInput("params.yaml: read-only file system")

    monkeypatch.setattr("ci.scaffold.new.write_text", full)
    with pytest.raises(BadInput, match="read-only"):
        scaffold.make(scaffold.csv(people()), "left")
    assert not list((scaffold.root / "projects").iterdir())


def bad_files() -> dict[str, tuple[bytes, str]]:
    text = "a,b\nü,1\n"
    wide = ",".join(f"c{i}" for i in range(10_000)) + "\n" + ",".join("1" * 10_000)
    return {
        "empty": (b"", "rows.csv: empty"),
        "header only": (b"a,b\n", "a header, but no rows"),
        "one column": (b"a\n1\n2\n", "one column, 'a'"),
        "duplicate header": (b"a,a\n1,2\n", "column 'a' appears twice"),
        "ragged": (b"a,b\n1,2\n3\n", "not readable as CSV"),
        "windows": (text.encode("cp1252"), "line 2 is not utf-8"),
        "mixed": (text.encode() + "ü,2\n".encode("latin-1"), "mixed encodings, line 3 is not utf-8 though others are"),
        "utf-16": (text.encode("utf-16"), "begins like UTF-16"),
        "wide": (wide.encode(), "10,000 columns, at most 1,000 are read"),
        "picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "is not utf-8"),
    }


@pytest.mark.parametrize("case", bad_files())
def test_a_bad_file_is_one_clear_line(scaffold: Scaffold, case: str) -> None:
    content, message = bad_files()[case]
    (scaffold.root / "rows.csv").write_bytes(content)
    with pytest.raises(BadInput) as refused:
        scaffold.make(scaffold.root / "rows.csv", "a")
    assert message in str(refused.value)
    assert not (scaffold.root / "projects").exists()
    assert (scaffold.root / "params.yaml").read_text() == SHARED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Bad Name"}, "--name: 'Bad Name' is no project name"),
        ({"name": "all"}, "--name: all is reserved"),
        ({"target": "Left"}, "--target: no column 'Left' (did you mean 'left'?)"),
        ({"keys": ("twn",)}, "--key: no column 'twn' (did you mean 'town'?)"),
        ({"keys": ("town",)}, "of 200 rows repeat town"),
        ({"keys": ("left",)}, "--key: left is the target"),
        ({"event_time": "town"}, "--event-time: town cannot be read as dates"),
        ({"event_time": "most"}, "--event-time: most is missing or unreadable in 1 of 200 rows, such as 'soon'"),
        ({"event_time": "left"}, "--event-time: left is the target"),
        ({"encoding": "klingon"}, "'klingon' is no encoding"),
        ({"positive": "oui"}, "the target is never 'oui'"),
    ],
)
def test_a_bad_option_is_one_clear_line(scaffold: Scaffold, options: dict[str, Any], message: str) -> None:
    csv = scaffold.csv(people().assign(most=[*DAYS.strftime("%Y-%m-%d")[:-1], "soon"]))
    with pytest.raises(BadInput) as refused:
        scaffold.make(**{"csv": csv, "target": "left", **options})
    assert message in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder(scaffold: Scaffold) -> None:
    scaffold.csv(people())
    with pytest.raises(BadInput, match=r"row.csv: no such file \(did you mean rows.csv\?\)"):
        scaffold.make(scaffold.root / "row.csv", "left")
    with pytest.raises(BadInput, match="a folder; name one file"):
        scaffold.make(scaffold.root, "left")


def test_nothing_to_learn_from_is_said(scaffold: Scaffold) -> None:
    table = people()[["left"]].assign(id=range(N))
    with pytest.raises(BadInput, match="no column can be a feature"):
        scaffold.make(scaffold.csv(table), "left")
