"""A shop that sells, a service in memory that collects, and a file that was there before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import tables
from ci.collecting.collect import Wish, World, collect
from ci.collecting.memory import Memory
from ci.collecting.replay import Stage, replay
from ci.collecting.replay import Wish as Play
from ci.collecting.spans import span
from ci.progress import Progress
from tests import shop
from tests.collection import MemoryReader, MemoryService

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.report import Result

HORIZON = {"label_horizon_days": 2}


@dataclass
class Slate:
    """Satisfies `ci.collecting.memory.Keeper`."""

    memory: Memory | None = None
    writes: int = 0

    def read(self) -> Memory | None:
        return self.memory

    def write(self, memory: Memory) -> None:
        self.memory, self.writes = memory, self.writes + 1


@dataclass
class Bell:
    """Satisfies `ci.collecting.interface.Door`."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def ask(self, asked: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, int]:
        self.asked += asked
        return {"answered": len(asked)}


@dataclass
class Yard:
    """A checkout with the shop in it."""

    root: Path
    service: MemoryService
    slate: Slate = field(default_factory=Slate)
    reader: MemoryReader = field(init=False)
    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = MemoryReader(self.service)

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def params(self) -> Path:
        return self.root / "projects" / "shop" / "params.yaml"

    def project(self) -> shop.Shop:
        return shop.Shop("shop", self.root / "projects" / "shop")

    def open(self, table: Any) -> Any:
        return self.reader if table.kind == "collector" else tables.opener(self.root / "cache")(table)

    def collect(self, today: str = "2026-01-01", **wish: Any) -> Result:
        day = wish.pop("as_of", None)
        wished = Wish(date.fromisoformat(day) if day else None, **wish)
        project = self.project()
        world = World(self.open, self._service, date.fromisoformat(today), Progress())
        return collect(project, wished, world, self.raw)

    def _service(self, project: Any) -> MemoryService | None:
        return self.service if project.params.source.collector else None

    def replay(self, periods: str, *, door: Bell | None = None, service: Any = None, **wish: Any) -> Result:
        stage = Stage(self.open, service or self.service, door, self.slate, lambda: self.now, self._sleep, Progress())
        return replay(self.project(), Play(span(periods), **wish), stage)

    def _sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """Six months of visits in a file; the params know of the first two."""
    monkeypatch.chdir(tmp_path)
    shop.shop(tmp_path, contract=HORIZON, params={"as_of": "2024-03-01"})
    shop.visits(months=6).to_csv(tmp_path / "rows.csv", index=False)
    return Yard(tmp_path, MemoryService(shop.contract(**HORIZON)))
