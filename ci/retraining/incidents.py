"""Whether what was seen is a reason to learn anew: pure functions of windows and rollbacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ci.retraining.cases import Incident
from ci.rollout.interface import Answer
from ci.watching.rules import common_cause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ci.params_retraining import Retraining
    from ci.watching.state import Demotion, Look, Memory


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why there is no incident."""

    why: str


def incident_of(memory: Memory, policy: Retraining, now: datetime, known: Sequence[str]) -> Incident | Nothing:
    """
    Return the newest incident that is not `known`: a rollback first, then k of the last n windows and the newest.

    A fault of the code is no reason, whoever saw it: learning anew mends no crash.
    """
    back = [_taken_back(memory, item) for item in memory.demotions
            if item.status == "done" and _recent(item.at, policy, now) and _key(memory, item) not in known]  # fmt: skip
    found = _of_windows(memory, policy, now, known)
    others = [*reversed(back), *([found] if isinstance(found, Incident) else [])]
    mendable = [item for item in others if item.cause != "code"]
    return next(iter([*mendable, *others]), found)


def _taken_back(memory: Memory, demotion: Demotion) -> Incident:
    why = f"v{demotion.version} was taken back: {demotion.reason}"[:1000]
    return Incident(key=_key(memory, demotion), cause=demotion.cause, version=demotion.version, at=demotion.at, why=why)


def _of_windows(memory: Memory, policy: Retraining, now: datetime, known: Sequence[str]) -> Incident | Nothing:
    if not memory.looks:
        return Nothing("nobody has looked yet")
    newest = memory.looks[-1]
    same = [look for look in memory.looks if (look.version, look.stay) == (newest.version, newest.stay)]
    seen = [look for look in same if _recent(look.at, policy, now)][-policy.n :]
    worse = [look for look in seen if look.answer is Answer.WORSE]
    if not seen or seen[-1].answer is not Answer.WORSE:
        return Nothing(f"the newest window of v{newest.version} is not worse")
    if len(worse) < policy.k:
        return Nothing(
            f"v{newest.version} was worse in {len(worse)} of the last {len(seen)} windows, {policy.k} decide"
        )
    key = _key(memory, newest)
    if key in known:
        return Nothing(f"what ails v{newest.version} is known already ({key})")
    why = f"v{newest.version} was worse in {len(worse)} of the last {len(seen)} windows: {newest.message}"
    return Incident(key=key, cause=common_cause(worse), version=newest.version, at=newest.at, why=why[:1000])


def _recent(at: datetime, policy: Retraining, now: datetime) -> bool:
    return now - timedelta(seconds=policy.memory_s) <= at <= now


def _key(memory: Memory, seen: Look | Demotion) -> str:
    """Name the fault after one stay of one release: seen in windows and taken back for it, it is the same fault."""
    return f"{memory.environment}:v{seen.version}:{seen.stay}"
