"""Cost: how large the bundle is, how long one answer takes, whether it still answers as when it was sealed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ci.model.bundles import Bundle
    from ci.params_gate import Cost

_ROUNDS, _CALLS, _WARM, _ROWS = 3, 300, 20, 50


def checks(bundle: Bundle, frame: pd.DataFrame, limits: Cost) -> Iterator[Check]:
    """Hold a bundle to its budgets; `frame` gives the rows whose answers are timed."""
    yield _parity(bundle, limits.parity)
    yield _limited("size", bundle.size / 1e6, limits.size_mb, "MB")
    p99 = p99_ms(bundle, frame)
    yield _limited("latency", p99, limits.p99_ms, "ms for one row on one thread, 99th percentile", n=_CALLS)


def p99_ms(bundle: Bundle, frame: pd.DataFrame) -> float:
    """
    Return the 99th percentile of answering one encoded row on one thread, in milliseconds.

    The quietest of three rounds, because what else runs on an agent is no property of the model.
    """
    tensors = bundle.encode(frame.iloc[np.linspace(0, len(frame) - 1, _ROWS).astype(int)])
    rows = [{name: values[at : at + 1] for name, values in tensors.items()} for at in range(_ROWS)]
    for place in range(_WARM):
        bundle.run(rows[place % len(rows)], threads=1)
    return min(_round(bundle, rows) for _ in range(_ROUNDS))


def _round(bundle: Bundle, rows: list[Any]) -> float:
    taken = []
    for call in range(_CALLS):
        start = time.perf_counter()
        bundle.run(rows[call % len(rows)], threads=1)
        taken.append(time.perf_counter() - start)
    return float(np.quantile(taken, 0.99) * 1000)


def _parity(bundle: Bundle, limit: float) -> Check:
    """Ask for the golden rows again, all at once: another machine or runtime must not change the answers."""
    golden = bundle.golden
    wanted = np.asarray(golden["outputs"], dtype=np.float64)
    found = bundle.score(bundle.frame(golden["rows"])) if len(wanted) else wanted
    limit = max(limit, float(golden["tolerance"]))
    if found.shape != wanted.shape:
        message = f"answers {found.shape} where it was sealed with {wanted.shape}"
        return Check("parity", Found.REJECTED, message, None, limit, n=len(wanted))
    apart = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    most = float(apart.max()) if apart.size else 0.0
    off = int((~(apart <= limit)).sum())
    message = f"{off} golden answers differ" if off else "answers its golden rows as when it was sealed"
    return Check("parity", Found.REJECTED if off else Found.PASSED, message, most, limit, n=len(wanted), extra=_KIND)


def _limited(name: str, value: float, limit: float, unit: str, n: int | None = None) -> Check:
    outcome = Found.PASSED if value <= limit else Found.REJECTED
    message = f"{value:.3g} of at most {limit:g} {unit}"
    return Check(name, outcome, message, value, limit, n=n, extra=_KIND)


_KIND = {"kind": "cost"}
