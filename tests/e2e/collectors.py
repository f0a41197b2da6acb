"""A collection service in an environment of its own for tests: bundles of a small shop, and a sender that never gives up."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from ci.adapters import environments
from ci.adapters.http import ask
from ci.adapters.targets.units import Units
from ci.adapters.wanted import _unsigned as unsigned
from ci.files import sha256_of
from ci.params_environments import Environment
from ci.services.bundle import make
from ci.shared import Shared

TOKEN, START = "the-token-of-the-tests", datetime(2024, 1, 1)
COLUMN = {"role": "feature", "nullable": False, "minimum": None, "maximum": None, "categories": None,
          "unknown": "accept", "max_length": 200, "sensitive": None}  # fmt: skip


def contract(*towns: str) -> dict[str, Any]:
    """The contract of a shop whose customers come from these towns, and from no others."""
    columns = {
        "age": {**COLUMN, "type": "integer", "minimum": 0, "maximum": 120},
        "town": {**COLUMN, "type": "string", "categories": list(towns), "unknown": "reject"},
        "day": {**COLUMN, "type": "datetime", "role": "meta"},
        "id": {**COLUMN, "type": "integer", "role": "meta"},
        "back": {**COLUMN, "type": "boolean", "role": "target"},
    }
    return {
        "schema_version": 1, "project": "shop", "digest": sha256_of(columns), "event_time": "day", "keys": ["id"],
        "cluster": None, "target": "back", "label_horizon_days": 1, "period": "month", "lateness_days": 0,
        "columns": columns,
    }  # fmt: skip


def record(number: int, town: str = "York") -> dict[str, Any]:
    """The customer of a number."""
    day = (START + timedelta(minutes=number)).isoformat()
    return {"age": number % 100, "town": town, "day": day, "id": number}


@dataclass
class Place:
    """One environment below a folder; `open` again and again, as agents do."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    bundles: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = self.folder / "tokens"
        self.tokens.write_text(f"tests send,read,correct {sha256(TOKEN.encode()).hexdigest()}\n")
        for version, towns in {"1.0.0": ("York",), "2.0.0": ("York", "Łódź")}.items():
            self.bundles[version] = self.folder / f"bundle-{version}"
            make([contract(*towns)], self.bundles[version])

    @property
    def shared(self) -> Shared:
        settings = {"tokens": str(self.tokens), "min_free_mb": 0, **self.settings}
        return Shared(projects=["shop"], services={"collector": settings})  # type: ignore[arg-type]

    @property
    def environment(self) -> Environment:
        return self.shared.seen("collector", Environment(name="staging", root=str(self.folder), lease_s=5))

    @property
    def units(self) -> Units:
        return Units(self.folder / "collector/staging/processes")

    def open(self) -> Any:
        bundles = environments.FolderBundles(*self.bundles.values())
        return environments.running("collector", self.environment, self.shared, bundles=bundles)

    def release(self, version: str) -> Any:
        return unsigned("collector", version, self.bundles[version])

    def deploy(self, version: str) -> Any:
        verifier = environments.verifier("collector", self.environment, self.shared)
        return self.open().roll_out(self.release(version), self.environment.strategy, verifier, "tests")

    @property
    def door(self) -> str:
        return str(self.open().actual().door)


def read(door: str, path: str) -> bytes:
    """GET with the token."""
    status, _, raw = ask(f"{door}{path}", headers={"authorization": f"Bearer {TOKEN}"}, timeout_s=30)
    assert status == 200, (path, status, raw[:200])
    return raw


def stored(door: str) -> list[int]:
    """Return the ids that the service gives out, as often as it does."""
    found: list[int] = []
    for item in json.loads(read(door, "/v1/shop/periods"))["periods"]:
        table = pq.read_table(io.BytesIO(read(door, f"/v1/shop/periods/{item['period']}/records.parquet")))
        found += table.column("id").to_pylist()
    return sorted(found)


def send(door: str, records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """POST records; a broken connection is status 0."""
    place = urlsplit(door)
    body = b"".join(json.dumps(item).encode() + b"\n" for item in records)
    headers = {"content-type": "application/x-ndjson", "authorization": f"Bearer {TOKEN}"}
    connection = http.client.HTTPConnection(str(place.hostname), place.port or 80, timeout=30)
    try:
        connection.request("POST", "/v1/shop/records", body, headers)
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, {"error": str(error)}
    finally:
        connection.close()
    return answer.status, json.loads(raw) if raw.startswith(b"{") else {"said": raw[:200].decode()}


class Sender(threading.Thread):
    """Sends batches one after the other until it is told to stop; what was not acknowledged is sent again."""

    def __init__(self, door: str, first: int, size: int = 20) -> None:
        super().__init__(daemon=True)
        self.door, self.next, self.size = door, first, size
        self.acknowledged: list[int] = []
        self.trouble: list[Any] = []
        self.rejected: list[Any] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            batch = [record(number) for number in range(self.next, self.next + self.size)]
            status, said = send(self.door, batch)
            if status == 200:
                self.acknowledged += [item["id"] for item in batch]
                self.rejected += [item for item in said["results"] if item["outcome"] == "rejected"]
                self.next += self.size
            else:
                self.trouble.append((status, said))
                time.sleep(0.02)

    def stop(self) -> None:
        self.done.set()
        self.join(60)
