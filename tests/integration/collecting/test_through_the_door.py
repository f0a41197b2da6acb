"""A replay through a live front door: the real server predicts, the real service joins what became known later."""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.adapters import tables
from ci.adapters.doors import FrontDoor
from ci.adapters.replaying import FileKeeper
from ci.collecting.replay import Stage, Wish, replay
from ci.collecting.spans import span
from ci.progress import Progress
from ci.project import Project
from tests import shop
from tests.integration.collecting.running import TOKEN, Running
from tests.integration.serving.conftest import running as serving
from tests.unit.serving import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS: dict[str, Any] = {
    "carrier": {"type": "string", "nullable": True}, "distance": {"type": "integer"},
    "temp": {"type": "number", "nullable": True}, "origin": {"type": "string"}, "waterfront": {"type": "boolean"},
    "scheduled_departure": {"type": "datetime"}, "flight": {"type": "integer", "role": "meta"},
    "late": {"type": "boolean", "role": "target", "nullable": True},
}  # fmt: skip
CONTRACT = {
    "description": "Late?", "owner": "flights@example.org", "task": "binary", "target": "late", "keys": ["flight"],
    "event_time": "scheduled_departure", "label_horizon_days": 1, "columns": COLUMNS,
}  # fmt: skip
ERA = {"name": "file", "start": "2013-01-01", "tables": {"rows": {"kind": "file", "path": "rows.parquet", "time": "scheduled_departure"}}}  # fmt: skip
PARAMS = {"as_of": "2014-01-01", "source": {"period": "month", "lateness_days": 30, "eras": [ERA]},
          "check": {}, "split": {}, "train": {}, "evaluate": {}}  # fmt: skip
N = 400


@pytest.fixture
def flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Flights of a month, every tenth of which never arrived."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(bundles.rows(N))
    january = frame["scheduled_departure"].str.replace("2013-..-", "2013-01-", regex=True)
    frame["scheduled_departure"] = pd.to_datetime(january).astype("datetime64[us]")
    frame = frame.assign(flight=range(N), late=pd.Series([None if n % 10 == 0 else n % 3 == 0 for n in range(N)], dtype="boolean"))  # fmt: skip
    frame.to_parquet(tmp_path / "rows.parquet")
    folder = tmp_path / "projects" / "flights"
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(shop.spelled(CONTRACT))
    (folder / "params.yaml").write_text(shop.spelled(PARAMS))
    (folder / "source.py").touch()
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    return shop.Shop(folder.name, folder)


@pytest.fixture
def service(tmp_path: Path, flights: Project) -> Iterator[Running]:
    made = Running(tmp_path / "service")
    made.knows(flights)
    made.start()
    yield made
    made.kill()


def asked(service: Running, path: str) -> bytes:
    request = urllib.request.Request(f"{service.url}/v1/flights{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def test_predictions_meet_their_labels(tmp_path: Path, flights: Project, service: Running) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    options = ("--events-rate", "1", "--events-url", service.url, "--release-version", "1.4.0")
    with serving(bundle, *options, env={**os.environ, "SLIPWAY_SERVING_EVENTS_TOKEN": TOKEN}) as server:
        stage = Stage(
            tables.opener(tmp_path / "cache"), service.client(flights, patience_s=20),
            FrontDoor(f"http://127.0.0.1:{server.port}"), FileKeeper(tmp_path / "memory.json"),
            time.monotonic, time.sleep, Progress(),
        )  # fmt: skip
        result = replay(flights, Wish(span("2013-01..2013-02-01")), stage)
        assert (result.outcome, result.data["answered"], result.data["rejected"]) == ("passed", N, 0)
        until = time.monotonic() + 20
        while json.loads(asked(service, ""))["predictions"] < N and time.monotonic() < until:
            time.sleep(0.1)
    joined = [json.loads(line) for line in asked(service, "/joined?limit=10000").splitlines()]
    known = {row["request_id"] for row in joined}
    assert len(joined) == len(known) == N - N // 10
    assert {uuid.UUID(name).version for name in known} == {5}
    assert {row["version"] for row in joined} == {"1.4.0"}
    days = json.loads(asked(service, "/labels"))["labels"]
    assert len({day["day"] for day in days}) == len(days)
    assert (sum(day["predictions"] for day in days), sum(day["labelled"] for day in days)) == (N, len(joined))
    again = replay(flights, Wish(span("2013-01..2013-02-01"), again=True), stage_without_door(stage))
    assert (again.data["duplicates"], again.data["restated"]) == (again.data["sent"], 0)


def stage_without_door(stage: Stage) -> Stage:
    return Stage(stage.open_table, stage.service, None, stage.keeper, stage.clock, stage.sleep, stage.progress)
