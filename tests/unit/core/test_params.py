"""Params and project params: each mistake is one line with file, key and fact."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.errors import BadInput
from ci.params import load, read_yaml
from ci.project import ProjectParams
from ci.shared import Shared
from tests import shop


def complaint(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(ProjectParams, path)
    return str(caught.value).removeprefix(f"{path}: ")


def spelled(**changes: object) -> str:
    return shop.spelled(shop.merged(shop.PARAMS, changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chekc": {}}, "chekc: unknown key (did you mean check?)"),
        ({"split": {"tets_days": 3}}, "split.tets_days: unknown key (did you mean test_days?)"),
        ({"check": {"drift": {"psy": 0.2}}}, "check.drift.psy: unknown key (did you mean psi?)"),
        ({"zzz": 1}, "zzz: unknown key"),
        ({"as_of": None}, "as_of: missing"),
        ({"train": None}, "train: missing"),
        ({"split": {"test_days": 0}}, "split.test_days: input should be greater than or equal to 1, found 0"),
        (
            {"split": {"test_days": "many"}},
            "split.test_days: input should be a valid integer, unable to parse string as an integer, found 'many'",
        ),
        (
            {"split": {"test_days": 1.5}},
            "split.test_days: input should be a valid integer, got a number with a fractional part, found 1.5",
        ),
        (
            {"split": {"strategy": "luck"}},
            "split.strategy: string should match pattern '^(time|group|random)$', found 'luck'",
        ),
        ({"evaluate": {"level": 1.0}}, "evaluate.level: input should be less than 1, found 1.0"),
        ({"check": []}, "check: input should be a valid dictionary or instance of Check"),
        (
            {"source": {"period": "fortnight"}},
            "source.period: input should be 'day', 'week', 'month' or 'year', found 'fortnight'",
        ),
        ({"source": {"eras": []}}, "source.eras: list should have at least 1 item after validation, not 0"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    assert complaint(tmp_path / "params.yaml", spelled(**changes)) == said


def test_a_bare_date_is_refused_and_shown_as_it_should_be(tmp_path: Path) -> None:
    text = spelled().replace("as_of: '2024-05-01'", "as_of: 2024-05-01")
    assert (
        complaint(tmp_path / "params.yaml", text)
        == 'as_of: write it in quotes, as "2024-05-01": DVC cannot store a bare date'
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "fiel"}, ": input tag 'fiel' found using 'kind' does not match any of the expected tags"),
        ({"kind": "file", "path": "a.csv", "encodign": "latin-1"}, ".encodign: unknown key (did you mean encoding?)"),
        ({"kind": "file"}, ".path: missing"),
        ({"kind": "http", "url": "ftp://x", "sha256": "0" * 64}, ".url: string should match pattern"),
        ({"kind": "http", "url": "http://x/a.csv", "sha256": "abc"}, ".sha256: string should match pattern"),
        ({"kind": "package", "sha256": "0" * 64, "file": "a"}, ".package: missing"),
        ({"kind": "package", "package": "a", "sha256": "0" * 64, "file": "a"}, ".package: string should match pattern"),
        ({"kind": "sql", "url": "postgresql://user@host/db", "query": "SELECT 1"}, ".url: string should match pattern"),
        ({"kind": "file", "path": "a.csv", "separator": ";;"}, ".separator: string should have at most 1 character"),
    ],
)
def test_a_table_is_held_to_its_kind(tmp_path: Path, table: dict[str, object], said: str) -> None:
    source = {"period": "month", "eras": [{"name": "shop", "start": "2024-01-01", "tables": {"visits": table}}]}
    assert complaint(tmp_path / "params.yaml", spelled(source=source)).startswith(f"source.eras.0.tables.visits{said}")


def test_a_password_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    table = {"kind": "sql", "url": "postgresql://user:secret@host/db", "query": "SELECT 1"}
    source = {"eras": [{"name": "shop", "start": "2024-01-01", "tables": {"visits": table}}]}
    assert "secret" not in complaint(tmp_path / "params.yaml", spelled(source=source))


@pytest.mark.parametrize(
    ("eras", "said"),
    [
        ([("a", "2024-01-01", None), ("b", "2024-02-01", None)], "source: eras a and b overlap"),
        ([("a", "2024-01-01", "2024-03-01"), ("b", "2024-02-01", None)], "source: eras a and b overlap"),
        ([("a", "2024-03-01", "2024-01-01")], "source.eras.0: start 2024-03-01 is not before end 2024-01-01"),
    ],
)
def test_eras_follow_each_other(tmp_path: Path, eras: list[tuple[str, str, str | None]], said: str) -> None:
    tables = {"visits": {"kind": "file", "path": "rows.csv"}}
    made = [{"name": name, "start": start, "end": end, "tables": tables} for name, start, end in eras]
    assert complaint(tmp_path / "params.yaml", spelled(source={"eras": made})) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"- a\n- b\n", "expected keys and values, found list"),
        (b"a: [1\n", "not YAML"),
        (b"a: 1\na: 2\n", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"a: \x00\n", "not YAML"),
    ],
)
def test_what_is_no_mapping_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=rf"params\.yaml: {said}") as caught:
        read_yaml(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"params\.yaml: no such file or directory$"):
        load(Shared, tmp_path / "params.yaml")


def test_params_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        shop.params().split.test_days = 3  # type: ignore[misc]
