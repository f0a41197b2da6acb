"""Keep an environment as it is meant to be, and the ledger told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.rollout.telling import told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.report import Check, Result
    from ci.rollout.engine import Environments


def keep(running: Environments, settle: Callable[[], Sequence[Check]], who: str) -> Result:
    """
    Reconcile what runs, then tell the ledger what it has not heard of: the end of what was left behind is known by then.

    Raises:
        Unavailable: somebody is at work there, or what is needed does not answer.
    """
    moved = running.reconcile(who)
    checks = settle()
    result = told(moved, running.actual())
    notes = "; ".join(check.message for check in checks)
    message = f"{result.message}; {notes}" if notes else result.message
    return result.because(message=message, checks=[*result.checks, *checks])
