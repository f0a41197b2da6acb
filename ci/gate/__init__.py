"""
May the challenger take the champion's place? A library with one question, `judge`, and one answer, a `Verdict`.

    from ci.gate import Policy, judge

    verdict = judge(y, challenger, champion, task="binary", clusters=day, slices={"carrier": carrier}, policy=Policy())

Values in, verdict out: no file, no process, no network. docs/reference/gate.md describes policy, checks and verdict.
"""

from ci.gate.judging import judge, same
from ci.gate.verdict import Verdict
from ci.params_gate import Policy

__all__ = ["Policy", "Verdict", "judge", "same"]
