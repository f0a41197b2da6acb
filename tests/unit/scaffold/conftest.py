"""A checkout of two lines, and a scaffold in it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ci.adapters import tables
from ci.progress import Progress
from ci.scaffold.new import new_project
from ci.scaffold.reading import Sheet
from ci.scaffold.wish import Wish
from ci.sources import FileTable

if TYPE_CHECKING:
    from pathlib import Path

    from ci.report import Result

TODAY = dt.date(2025, 7, 1)
SHARED = "# shared\nprojects:   # built by dvc.yaml\n  - flights\n\nremote:\n  jobs: 4   # parallel\n"


def sheet(**columns: Any) -> Sheet:
    """A sheet as the CSV reader would deliver these columns."""
    frame, kinds = pd.DataFrame(columns), {}
    for name, values in columns.items():
        kind = pd.api.types.infer_dtype(pd.Series(values, dtype=object).dropna())
        kinds[name] = {"integer": "integer", "floating": "number", "boolean": "boolean"}.get(kind, "text")
    table = FileTable(kind="file", path="rows.csv", format="csv")
    return Sheet(frame, kinds, table)


@dataclass
class Scaffold:
    """Runs the scaffold in a folder that looks like a checkout."""

    root: Path

    def csv(self, frame: pd.DataFrame, name: str = "rows.csv", **options: Any) -> Path:
        frame.to_csv(self.root / name, index=False, **options)
        return self.root / name

    def make(self, csv: Path, target: str, **options: Any) -> Result:
        wish = Wish(**{"name": "churn", "csv": csv, "target": target, **options})
        return new_project(wish, tables.opener(self.root / "cache"), Progress(), TODAY)

    def text(self, file: str) -> str:
        return (self.root / "projects" / "churn" / file).read_text(encoding="utf-8")


@pytest.fixture
def scaffold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scaffold:
    (tmp_path / "params.yaml").write_text(SHARED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Scaffold(tmp_path)


def people(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """A plain table: two numbers, a text, and a target that they explain in part."""
    draw = np.random.default_rng(seed)
    made = pd.DataFrame({"age": draw.integers(18, 90, rows), "income": draw.normal(3000, 900, rows).round(2)})
    made["town"] = draw.choice(["Köln", "Łódź", "York"], rows)
    return made.assign(left=np.where(made["age"] + draw.normal(0, 20, rows) > 55, "yes", "no"))
