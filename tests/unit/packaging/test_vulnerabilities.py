from __future__ import annotations

import json
import zipfile

import pytest

from ci.errors import BadInput
from ci.packaging.locks import Locked, read
from ci.packaging.vulnerabilities import look
from ci.report import Found

PACKAGES = [Locked("uvicorn", "0.32.0", ("a" * 64,)), Locked("numpy", "2.1.0", ("b" * 64,))]


def entry(name="Uvicorn", **affected):
    where = {"package": {"ecosystem": "PyPI", "name": name}, **affected}
    return {"id": "GHSA-1", "summary": "It  answers\ntoo much", "affected": [where]}


def ranged(*events):
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


def told(tmp_path, *entries):
    for number, item in enumerate(entries):
        (tmp_path / f"{number}.json").write_text(json.dumps(item))
    return look(tmp_path, PACKAGES)


def test_without_a_database_nothing_was_scanned():
    check, table = look(None, PACKAGES)
    assert (check.outcome, table) == (Found.SKIPPED, None)
    assert check.message.startswith("not scanned")


@pytest.mark.parametrize(
    "affected",
    [
        {"versions": ["0.31.0", "0.32.0"]},
        ranged({"introduced": "0"}, {"fixed": "0.33.0"}),
        ranged({"introduced": "0"}),
        ranged({"introduced": "0.32.0"}, {"last_affected": "0.32.0"}),
        ranged({"introduced": "0"}, {"fixed": "0.10"}, {"introduced": "0.20"}, {"fixed": "1.0"}),
    ],
)
def test_affected_versions_are_told(tmp_path, affected):
    check, table = told(tmp_path, entry(**affected))
    assert (check.outcome, check.observed) == (Found.WARNED, 1)
    assert "uvicorn 0.32.0" in check.message
    assert table.rows[0][2:] == ["GHSA-1", table.rows[0][3], "It answers too much"]


@pytest.mark.parametrize(
    "item",
    [
        entry(**ranged({"introduced": "0"}, {"fixed": "0.32.0"})),
        entry(**ranged({"introduced": "0.33"})),
        entry(**ranged({"introduced": "0"}, {"last_affected": "0.31.9"})),
        entry("other", versions=["0.32.0"]),
        {**entry(versions=["0.32.0"]), "withdrawn": "2024-01-01T00:00:00Z"}
        | {"affected": [{"package": {"ecosystem": "PyPI", "name": "x"}}]},
    ],
)
def test_others_are_not(tmp_path, item):
    check, table = told(tmp_path, item, entry("something"))
    assert (check.outcome, table) == (Found.PASSED, None)


def test_a_zip_and_a_list_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(entry(versions=["0.32.0"])))
    assert look(tmp_path / "all.zip", PACKAGES)[0].outcome is Found.WARNED
    (tmp_path / "list.json").write_text(json.dumps([entry(versions=["0.32.0"])]))
    assert look(tmp_path / "list.json", PACKAGES)[0].outcome is Found.WARNED


@pytest.mark.parametrize("content", ["[]", '{"affected": [{"package": {"ecosystem": "npm", "name": "uvicorn"}}]}', "x"])
def test_a_database_about_nothing_is_no_pass(tmp_path, content):
    (tmp_path / "db.json").write_text(content)
    with pytest.raises(BadInput, match=r"db\.json"):
        look(tmp_path / "db.json", PACKAGES)
    with pytest.raises(BadInput):
        look(tmp_path / "none", PACKAGES)


def test_lock_files():
    text = f"# x\nuvicorn[standard]==0.32.0 ; python_version > '3' \\\n    --hash=sha256:{'b' * 64} \\\n    --hash=sha256:{'a' * 64}\n\n--index-url x\n"
    assert read(text, "lock") == [Locked("uvicorn", "0.32.0", ("a" * 64, "b" * 64))]
    for bad in ("uvicorn>=1", "uvicorn==1"):
        with pytest.raises(BadInput, match="lock: uvicorn"):
            read(bad, "lock")
