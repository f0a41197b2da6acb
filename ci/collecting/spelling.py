"""How the world would send rows: at first without what only becomes known later, then that, under the same keys."""

from __future__ import annotations

import json
import math
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Contract, Role, Type
from ci.data.rows import type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

LATER = {Role.TARGET, Role.AFTER}


def records(frame: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    """Spell rows as they are known when they happen."""
    return _spelled(frame, [name for name, column in contract.columns.items() if column.role not in LATER])


def inputs(frame: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    """Spell what a caller sends to be told a prediction."""
    return _spelled(frame, list(contract.features))


def request_ids(frame: pd.DataFrame, contract: Contract, project: str) -> list[str]:
    """Name the request of each row: a UUID (version 5) of its keys, the same whenever it is asked."""
    keys = _spelled(frame, contract.keys)
    names = (json.dumps([project, *row.values()], ensure_ascii=False) for row in keys)
    return [str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in names]


def outcomes(frame: pd.DataFrame, contract: Contract, ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Spell what became known of rows, and when; of a row that nothing became known of, there is no outcome."""
    later = _spelled(frame, [name for name, column in contract.columns.items() if column.role in LATER])
    keys = _spelled(frame, contract.keys)
    moments = frame[contract.event_time] + timedelta(days=contract.label_horizon_days)
    known_at = _values(moments)
    made = []
    for place, found in enumerate(later):
        known = {name: value for name, value in found.items() if value is not None}
        if known:
            named = {"request_id": ids[place], "row": 0} if ids else {}
            made.append({**named, **keys[place], "known_at": known_at[place], **known})
    return made


def _spelled(frame: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Make a mapping of each row; column by column, because row by row takes ten times as long."""
    there = [name for name in names if name in frame]
    columns = [_values(frame[name]) for name in there]
    return [dict(zip(there, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(series: pd.Series[Any]) -> list[Any]:
    missing = series.isna()
    if type_of(series) == Type.DATETIME:
        moments = series.to_numpy(dtype="datetime64[us]")
        whole = not (moments[~missing.to_numpy()].astype("int64") % 1_000_000).any()
        texts = np.datetime_as_string(moments, unit="s" if whole else "us")
        return [None if gone else str(text) for text, gone in zip(texts, missing, strict=True)]
    values = series.astype("object").where(~missing, None).tolist()
    return [str(v) if isinstance(v, float) and not math.isfinite(v) else v for v in values]  # for the door to refuse
