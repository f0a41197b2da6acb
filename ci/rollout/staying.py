"""Whether servers stayed up: what ended by itself is up again before anybody counts errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.report import Check, Found
from ci.rollout.interface import Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


def ended(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Return how often servers ended by themselves between two looks at how often each was started again."""
    return sum(max(0, times - before.get(name, 0)) for name, times in after.items())


def steady(verdict: Verdict, times: int) -> Verdict:
    """Return a verdict that is WORSE if servers ended by themselves while it was made; the verdict itself if none did."""
    if not times or verdict.answer is Answer.WORSE:
        return verdict
    said = f"its servers ended by themselves {times} time{'s' if times > 1 else ''} while it was watched"
    checks = [*verdict.checks, Check("servers stay up", Found.REJECTED, said, observed=times, limit=0)]
    return Verdict(Answer.WORSE, said, checks, verdict.evidence)
