"""A small shop whose rows every test can make for itself: mixed types, gaps, non-ASCII text, a target, an afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from ci.contract import Contract
from ci.params import parse
from ci.project import Project, ProjectParams

if TYPE_CHECKING:
    from collections.abc import Callable

TOWNS = ["Köln", "Łódź", "York", "Zürich"]
CONTRACT: dict[str, Any] = {
    "description": "Will this customer come back?",
    "owner": "shop@example.org",
    "task": "binary",
    "target": "back",
    "event_time": "at",
    "keys": ["id"],
    "cluster": "day",
    "slices": ["town"],
    "columns": {
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "spent": {"type": "number", "nullable": True, "minimum": 0},
        "town": {"type": "string", "categories": TOWNS},
        "member": {"type": "boolean"},
        "at": {"type": "datetime", "role": "meta"},
        "id": {"type": "integer", "role": "meta"},
        "returned_on": {"type": "number", "role": "after", "nullable": True},
        "back": {"type": "boolean", "role": "target", "nullable": True},
    },
}
PARAMS: dict[str, Any] = {
    "as_of": "2024-05-01",
    "source": {
        "period": "month",
        "eras": [
            {
                "name": "shop",
                "start": "2024-01-01",
                "tables": {"visits": {"kind": "file", "path": "rows.csv", "time": "at"}},
            }
        ],
    },
    "check": {"min_rows": 50, "max_age_days": 3},
    "split": {"strategy": "time", "test_days": 30},
    "train": {"seed": 1, "estimator": {"max_iter": 15}, "parity_rows": 50},
    "evaluate": {},
}


def visits(months: int = 4, per_month: int = 300, start: str = "2024-01-01", seed: int = 0) -> pd.DataFrame:
    """Rows from `start` on; who is older and spends more comes back more often."""
    draw = np.random.default_rng(seed)
    first = pd.Timestamp(start)
    moments = []
    for month in range(months):
        low, high = first + pd.DateOffset(months=month), first + pd.DateOffset(months=month + 1)
        moments.append(pd.date_range(low, high, periods=per_month + 1)[:-1])
    at = pd.DatetimeIndex(np.concatenate([part.to_numpy() for part in moments])).floor("s")
    n = len(at)
    age = draw.integers(18, 90, n)
    spent = np.where(draw.random(n) < 0.1, np.nan, draw.gamma(2, 30, n).round(2))
    lean = (age - 54) / 20 + np.nan_to_num(spent - 60) / 60
    back = draw.random(n) < 1 / (1 + np.exp(-lean))
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "at": at.strftime("%Y-%m-%dT%H:%M:%S"),
            "age": age,
            "spent": spent,
            "town": draw.choice(TOWNS, n, p=[0.4, 0.3, 0.2, 0.1]),
            "member": draw.random(n) < 0.5,
            "returned_on": np.where(back, draw.integers(1, 20, n), np.nan),
            "back": back,
        }
    )


def merged(base: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; None takes a key away."""
    made = {key: merged(value) if isinstance(value, dict) else value for key, value in base.items()}
    for change in changes:
        for key, value in change.items():
            if value is None and key in made:
                del made[key]
            elif isinstance(value, dict) and isinstance(made.get(key), dict):
                made[key] = merged(made[key], value)
            else:
                made[key] = value
    return made


def contract(**changes: Any) -> Contract:
    """The shop's contract with changes."""
    return parse(Contract, merged(CONTRACT, changes), "contract.yaml")


def params(**changes: Any) -> ProjectParams:
    """The shop's params with changes."""
    return parse(ProjectParams, merged(PARAMS, changes), "params.yaml")


def spelled(document: dict[str, Any]) -> str:
    """Spell a document as YAML."""
    return str(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))


@dataclass(frozen=True)
class Shop(Project):
    """A project in a folder, whose code is given as functions."""

    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def code(self, function: str) -> Any | None:
        """Return what the test gave."""
        return self.functions.get(function)


def shop(
    root: Path, *, contract: dict[str, Any] | None = None, params: dict[str, Any] | None = None, **code: Any
) -> Shop:
    """Write the shop into `root`/projects/shop; its table is `root`/rows.csv unless the params say otherwise."""
    folder = root / "projects" / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    source = {"source": {"eras": [merged(PARAMS["source"]["eras"][0])]}}
    source["source"]["eras"][0]["tables"]["visits"]["path"] = str(root / "rows.csv")
    (folder / "contract.yaml").write_text(spelled(merged(CONTRACT, contract or {})), encoding="utf-8")
    (folder / "params.yaml").write_text(spelled(merged(PARAMS, source, params or {})), encoding="utf-8")
    for name in ("source", "features", "model"):
        (folder / f"{name}.py").touch()
    return Shop("shop", folder, code)
