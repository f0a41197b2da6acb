"""CSV to Parquet: types that change half-way, encodings, archives, and files that are broken in every way."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ci.adapters import csv
from ci.errors import BadInput


def read(path: Path, *, separator: str = ",", encoding: str = "utf-8") -> Any:
    target = path.with_name("out.parquet")
    csv.to_parquet(path, target, separator=separator, encoding=encoding)
    return pq.read_table(target)


def column(table: Any, name: str) -> list[Any]:
    return list(table.column(name).to_pylist())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_numbers_and_booleans_are_typed_everything_else_is_text(path: Path) -> None:
    path.write_text("a,b,c,d,e\n1,1.5,true,2024-01-01,x\n,,,,\n")
    table = read(path)
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "bool", "string", "string"]
    assert column(table, "a") == [1, None]


@pytest.mark.parametrize(
    ("late", "kind", "first"), [("1.5", "double", 1.0), ("x", "string", "1"), ("2024-01-01", "string", "1")]
)
def test_a_type_that_changes_after_the_first_block_is_widened(
    path: Path, monkeypatch: pytest.MonkeyPatch, late: str, kind: str, first: Any
) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 1000)
    path.write_text("a,b\n" + "1,x\n" * 1000 + f"{late},y\n")
    table = read(path)
    assert str(table.schema.field("a").type) == kind
    assert column(table, "a")[0] == first
    assert len(table) == 1001


def test_a_number_that_becomes_a_number_and_then_text_is_text(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 1000)
    path.write_text("\ufeffa,b\n" + "1,x\n" * 1000 + "1.5,y\n" * 1000 + "n/k,z\n", encoding="utf-8")
    table = read(path)
    assert table.schema.names == ["a", "b"]
    assert (column(table, "a")[0], column(table, "a")[-1]) == ("1", "n/k")


def test_quoted_values_may_hold_separators_and_lines(path: Path) -> None:
    path.write_text('a,b\n1,"x, ""y""\nz"\n')
    assert column(read(path), "b") == ['x, "y"\nz']


@pytest.mark.parametrize(
    ("separator", "encoding"), [("\t", "utf-8"), (";", "latin-1"), ("|", "cp1252"), (",", "utf-16")]
)
def test_separators_and_encodings(path: Path, separator: str, encoding: str) -> None:
    path.write_bytes(
        separator.join(["a", "b"]).encode(encoding)
        + f"\n1{separator}Zürich\n".encode(encoding.replace("utf-16", "utf-16-le"))
    )
    assert column(read(path, separator=separator, encoding=encoding), "b") == ["Zürich"]


def test_archives_of_one_file_are_opened(tmp_path: Path) -> None:
    content = b"a,b\n1,x\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("deep/a.csv", content)
        archive.writestr("__MACOSX/._a.csv", b"junk")
    for name in ("a.csv.gz", "a.csv.zip"):
        assert column(read(tmp_path / name), "b") == ["x"]


def two_in_one() -> bytes:
    import io

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    return held.getvalue()


def zipped(content: bytes) -> bytes:
    import io

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return held.getvalue()


LONG = b"a,b\n" + b"1234567,abcdefg\n" * 5000
BROKEN: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "empty"),
    "mixed encodings": ("a.csv", "a,b\n1,Zürich\n".encode() + "2,Zürich\n".encode("latin-1"), "not utf-8, or of mixed encodings"),
    "mixed encodings, late": ("a.csv", b"a,b\n" + b"1,x\n" * 100_000 + "2,Zürich\n".encode("latin-1"), "not utf-8, or of mixed encodings"),
    "lines of different lengths": ("a.csv", b"a,b\n1,2\n1,2,3\n", "not readable as CSV .*Expected 2 columns, got 3"),
    "binary": ("a.csv", bytes(range(256)) * 10, "not (utf-8|readable as CSV)"),
    "too wide": ("a.csv", b",".join(b"x%d" % n for n in range(10_000)) + b"\n", "10,000 columns, at most 1,000 are read"),
    "a column twice": ("a.csv", b"a,b,a\n1,2,3\n", "column 'a' appears twice"),
    "no zip": ("a.csv.zip", b"PK, but no more", "not a zip file with one CSV in it"),
    "two in a zip": ("a.csv.zip", two_in_one(), "not a zip file with one CSV in it"),
    "truncated zip": ("a.csv.zip", zipped(LONG)[:-60], "not a zip file with one CSV in it"),
    "damaged zip": ("a.csv.zip", zipped(LONG)[:60] + b"\xff" * 40 + zipped(LONG)[100:], "not readable as CSV"),
    "no gzip": ("a.csv.gz", b"a,b\n1,2\n", "not readable as CSV"),
    "truncated gzip": ("a.csv.gz", gzip.compress(LONG)[:-20], "not readable as CSV"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_file_is_one_line_that_names_it(tmp_path: Path, case: str) -> None:
    name, content, said = BROKEN[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=rf"{name}: {said}") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_encoding_that_does_not_exist(path: Path) -> None:
    path.write_text("a\n1\n")
    with pytest.raises(BadInput, match=r"rows\.csv: utf-99 is no encoding"):
        read(path, encoding="utf-99")


def test_a_directory_or_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv: no such file or directory"):
        read(tmp_path / "none.csv")


@pytest.mark.parametrize("place", [0, 999])
def test_a_whole_number_that_begins_with_a_zero_makes_codes_of_its_column(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 1000)
    values = ["98101"] * 1000
    values[place] = "00123"
    path.write_text("zip,n\n" + "".join(f"{value},0\n" for value in values))
    table = read(path)
    assert [str(kind) for kind in table.schema.types] == ["string", "int64"]
    assert column(table, "zip") == values
    assert set(column(table, "n")) == {0}


def test_columns_that_the_contract_calls_texts_are_not_read_as_numbers(path: Path) -> None:
    path.write_text("zip,n\n98101,1\n,2\n")
    target = path.with_name("out.parquet")
    csv.to_parquet(path, target, separator=",", encoding="utf-8", texts=["zip", "not there"])
    assert column(pq.read_table(target), "zip") == ["98101", None]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zip"])
@pytest.mark.parametrize("last", ["", '3,"x'])
def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path: Path, name: str, last: str) -> None:
    content = ('a,b\n1,"two\nlines"\n2,"x\n' + "3,y\n" * 1000 + last).encode()
    content = content if not last else content.replace(b'2,"x\n', b"2,x\n")
    packed = {"a.csv": bytes, "a.csv.gz": gzip.compress, "a.csv.zip": zipped}[name](content)
    (tmp_path / name).write_bytes(packed)
    line = 1004 + 1 if last else 4
    with pytest.raises(BadInput, match=rf"{name}: a quote in line {line:,} is never closed"):
        read(tmp_path / name)


def test_a_lone_quote_inside_a_plain_value_is_a_quote(path: Path) -> None:
    path.write_text('a,b\n5" pipe,1\nx,2\n')
    assert column(read(path), "a") == ['5" pipe', "x"]
