"""The manifest: a data version is the digest of what it says, and broken files are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ci.data.manifest import Manifest, Part, intact, load_manifest, read_parquet, read_part
from ci.errors import BadInput
from ci.files import sha256, write_text


def part(**changes: Any) -> Part:
    given = {
        "period": "2024-01", "era": "shop", "start": "2024-01-01T00:00:00", "end": "2024-02-01T00:00:00", "closed": True,
        "rows": 10, "file": "2024-01.parquet", "sha256": "0" * 64, "newest": "2024-01-31T23:00:00", "source": "1" * 64,
        "tables": {"visits": {"age": "integer"}},
    }  # fmt: skip
    return Part(**{**given, **changes})


def manifest(*parts: Part, **changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "project": "shop",
        "as_of": "2024-05-01",
        "contract": "2" * 64,
        "columns": {"age": "integer"},
    }
    return Manifest(**{**given, **changes, "parts": list(parts)})


def test_it_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    made = manifest(part(), part(period="2024-02", rows=5, newest="2024-02-03T00:00:00"))
    made.save(tmp_path)
    assert load_manifest(tmp_path) == made
    assert (made.rows, made.watermark) == (15, "2024-02-03T00:00:00")


@pytest.mark.parametrize("changed", [{"rows": 11}, {"sha256": "3" * 64}, {"closed": False}])
def test_the_version_changes_with_whatever_it_says(changed: dict[str, Any]) -> None:
    assert manifest(part(**changed)).version != manifest(part()).version
    assert manifest(part()).version == manifest(part()).version


def test_rows_without_time_have_no_watermark() -> None:
    assert manifest(part(newest=None)).watermark is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "manifest.json: no such file or directory"),
        ("", "manifest.json: not JSON"),
        ('{"parts": [], "project": "x"', "manifest.json: not JSON"),
        ("{}", "manifest.json: project: missing"),
        ("[]", "manifest.json: the file: input should be"),
    ],
)
def test_a_broken_manifest_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        write_text(tmp_path / "manifest.json", text)
    with pytest.raises(BadInput, match=said):
        load_manifest(tmp_path)


def test_a_part_is_intact_only_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "2024-01.parquet"
    pd.DataFrame({"age": [1, 2]}).to_parquet(path)
    good = part(sha256=sha256(path))
    assert intact(tmp_path, good)
    assert list(read_part(tmp_path, good)["age"]) == [1, 2]
    path.write_bytes(path.read_bytes()[:-8])
    assert not intact(tmp_path, good)
    path.unlink()
    assert not intact(tmp_path, good)


@pytest.mark.parametrize("keep", [0, 4, 60, -8, -1])
def test_a_truncated_parquet_is_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"age": range(100)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInput, match=r"a\.parquet: not readable as Parquet \(.+\)$") as caught:
        read_parquet(path)
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    pd.DataFrame({"age": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="agge"):
        read_parquet(tmp_path / "a.parquet", ["agge"])
