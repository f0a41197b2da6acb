"""When a live release is taken back: a pure function of what was seen, so that it can be tried on every history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from ci.report import Found
from ci.rollout.interface import Answer

if TYPE_CHECKING:
    from datetime import datetime

    from ci.params_watching import Cause, Watching
    from ci.rollout.interface import Verdict
    from ci.watching.state import Look, Memory


class Todo(StrEnum):
    """What follows from the looks so far."""

    WELL = "well"
    UNSURE = "unsure"  # the newest look could not tell
    SUSPECT = "suspect"  # the newest look found it worse, too few others did
    QUIET = "quiet"  # it is worse, but the last rollback was a moment ago
    STUCK = "stuck"  # it is worse, and there is nothing to go back to
    DEMOTE = "demote"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, why, and for what cause; `to` where it goes back to."""

    todo: Todo
    message: str
    to: str | None = None
    cause: Cause = "code"
    worse: int = 0
    counted: int = 0


def decide(
    memory: Memory, policy: Watching, now: datetime, way_back: str | None, moved: datetime | None = None
) -> Decision:
    """
    Decide after the newest look.

    Args:
        memory: With the newest look as its last.
        policy: k of n, memory, quiet time.
        now: This moment.
        way_back: The last known good version, or None.
        moved: The last rollback by anybody, as far as known.

    """
    counted = counting(memory.looks, policy, now)
    worse = [look for look in counted if look.answer is Answer.WORSE]
    if not counted:
        return Decision(Todo.UNSURE, "nobody has looked")
    newest, seen = counted[-1], f"worse in {len(worse)} of the last {len(counted)} looks"
    numbers = (len(worse), len(counted))
    if newest.answer is Answer.NOT_WORSE:
        return Decision(Todo.WELL, f"not worse ({seen})", None, "code", *numbers)
    if newest.answer is not Answer.WORSE:
        return Decision(Todo.UNSURE, f"{newest.answer}: {newest.message}", None, "code", *numbers)
    cause = common_cause(worse)
    if len(worse) < policy.k:
        return Decision(
            Todo.SUSPECT, f"{seen}, {policy.k} of {policy.n} decide: {newest.message}", None, cause, *numbers
        )
    if (until := quiet_until(memory, policy, moved)) and now < until:
        told = f"{seen}, but the last rollback was a moment ago: quiet until {until:%Y-%m-%d %H:%M:%S} UTC"
        return Decision(Todo.QUIET, told, None, cause, *numbers)
    if way_back is None or way_back == newest.version or way_back in memory.shunned():
        return Decision(
            Todo.STUCK, f"{seen}, and nothing else was live, verified and not marked bad", None, cause, *numbers
        )
    return Decision(Todo.DEMOTE, f"{seen}: {newest.message}", way_back, cause, *numbers)


def counting(looks: list[Look], policy: Watching, now: datetime) -> list[Look]:
    """Return the looks that count: the newest n of this stay of this release that are neither old nor of the future."""
    if not looks:
        return []
    newest, oldest = looks[-1], now - timedelta(seconds=policy.memory_s)
    same = [look for look in looks if (look.version, look.stay) == (newest.version, newest.stay)]
    return [look for look in same if oldest <= look.at <= now][-policy.n :]


def quiet_until(memory: Memory, policy: Watching, moved: datetime | None) -> datetime | None:
    """Return when the quiet time after the last rollback ends; None if there was none."""
    moments = [item.at for item in memory.demotions] + ([moved] if moved else [])
    return max(moments) + timedelta(seconds=policy.quiet_s) if moments else None


def common_cause(worse: list[Look]) -> Cause:
    """Return what most worse looks tell of; code if any of them does: learning anew mends no code."""
    causes = Counter(look.cause for look in worse)
    return "code" if causes["code"] or not causes else causes.most_common(1)[0][0]


def cause_of(verdict: Verdict, policy: Watching) -> Cause:
    """Say what a worse verdict tells of, by the checks that rejected; whatever is not named is the code's."""
    causes = {policy.causes.get(check.name, "code") for check in verdict.checks if check.outcome is Found.REJECTED}
    if not causes or "code" in causes:
        return "code"
    return "quality" if "quality" in causes else "drift"
