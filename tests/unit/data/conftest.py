"""A shop in a folder of its own, ingested in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import tables
from ci.data.check import check
from ci.data.ingest import ingest
from ci.data.prepare import prepare
from ci.progress import Progress
from tests import shop

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ci.report import Check, Result


@dataclass
class Room:
    """Runs the data stages of the shop in `root`."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def prepared(self) -> Path:
        return self.root / "data" / "prepared"

    @property
    def verdict(self) -> Path:
        return self.root / "data" / "check.json"

    def deliver(self, frame: pd.DataFrame, name: str = "rows.csv") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)

    def shop(self, **changes: Any) -> shop.Shop:
        return shop.shop(self.root, **changes)

    def ingest(self, **changes: Any) -> Result:
        return ingest(self.shop(**changes), tables.opener(self.root / "cache"), self.raw, Progress())

    def check(self, **changes: Any) -> Result:
        return check(self.shop(**changes), self.raw, self.verdict, Progress())

    def prepare(self, **changes: Any) -> Result:
        return prepare(self.shop(**changes), self.raw, self.prepared, Progress())

    def checked(self, frame: pd.DataFrame, **changes: Any) -> Result:
        """Deliver, ingest and check."""
        self.deliver(frame)
        self.ingest(**changes)
        return self.check(**changes)

    def split(self, frame: pd.DataFrame, **changes: Any) -> Result:
        """Deliver, ingest, check and prepare."""
        assert self.checked(frame, **changes).outcome == "passed"
        return self.prepare(**changes)


def found(result: Result, name: str) -> Check:
    """Return the one check of that name."""
    (check,) = [item for item in result.checks if item.name == name]
    return check


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.chdir(tmp_path)
    return Room(tmp_path)
