"""
May the challenger take the champion's place? A library with one question, `judge`, and one answer, a `Verdict`.

    from ci.gate import Policy, judge

    verdict = judge(y, challenger, champion, task="binary", clusters=day, slices={"carrier": carrier}, policy=Policy())

Values in, verdict out: no file, no process, no network. docs/reference/gate.md describes policy, checks and verdict.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ci.gate.judge import judge
    from ci.gate.verdict import Verdict
    from ci.params_gate import Policy

__all__ = ["Policy", "Verdict", "judge"]

_HOME = {"judge": "ci.gate.judge", "Policy": "ci.params_gate", "Verdict": "ci.gate.verdict"}


def __getattr__(name: str) -> Any:
    """Import on first use: every step reads the policy with its params, only the gate needs the statistics."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found  # `judge` is also the name of a submodule: the function wins
    return found
