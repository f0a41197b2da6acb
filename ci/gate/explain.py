"""How much of the test set's budget is left, and what a fresh test period would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.data import layout
from ci.gate.budget import OVERLAP, overlap, spent
from ci.gate.heldout import HeldOut
from ci.gate.told import budget_facts
from ci.report import Result, Table
from ci.stats import alpha_spending
from ci.stats.interval import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ci.gate.budget import Comparison, Comparisons
    from ci.params_gate import Policy
    from ci.project import Project


def explained(project: Project, prepared: Path, store: Comparisons) -> Result:
    """Tell the state of the budget; nothing is judged and nothing is spent."""
    test, policy = HeldOut(prepared / layout.TEST, project.contract), project.params.gate
    past = store.of(project.name, test.digest)
    left = policy.alpha - spent(len(past), policy.alpha)
    following = alpha_spending(len(past) + 1, policy.alpha)
    fresh = alpha_spending(1, policy.alpha)
    message = f"{len(past)} comparisons on this test set; {left:.2g} of the error budget {policy.alpha:g} is left, "
    message += f"the next one is decided at {following:.2g}"
    others = store.others(project.name, test.digest)
    shared = sum(count for other, count in others if overlap(test.window, other.window) > OVERLAP)
    facts: dict[str, Any] = {
        **budget_facts(len(past), policy.alpha),
        "share on a fresh test period": f"{fresh:.2g}",
        "comparisons on overlapping periods": shared,
        "test set": test.digest[:12],
        "comparisons ledger": store.place(),
    }
    return Result(
        message,
        hint="move as_of so that the newest test days are new, and the next comparison is decided at "
        f"{fresh:.2g} again; the same pair on the same test set costs nothing",
        facts=facts,
        tables=[_history(past), *_what_would_change(past, policy)],
        inputs={"test set": test.digest},
        data={"comparisons": len(past), "alpha": policy.alpha, "left": left, "next": following, "fresh": fresh},
    )


def _history(past: Sequence[Comparison]) -> Table:
    shown = [
        (item.number, item.judged[:16].replace("T", " "), item.pair.challenger[:12], item.pair.champion[:12],
         item.outcome, item.alpha, item.message)
        for item in past
    ]  # fmt: skip
    columns = ("no.", "judged", "challenger", "champion", "verdict", "alpha", "in words")
    return Table("Comparisons on this test set", columns, shown)


def _what_would_change(past: Sequence[Comparison], policy: Policy) -> Iterator[Table]:
    """For the last comparison: what the same gain with the same spread would say at other shares."""
    contests = [
        c for item in past[-1:] for c in item.result["checks"] if c["extra"].get("kind") in {"better", "not worse"}
    ]
    if not contests:
        return
    following, fresh = alpha_spending(len(past) + 1, policy.alpha), alpha_spending(1, policy.alpha)
    shown = [
        (check["name"], check["outcome"], *(_would(check, share) for share in (following, fresh)),
         *(_seen(check, share, policy.power) for share in (following, fresh)), 2 * check["extra"]["margin"])
        for check in contests
    ]  # fmt: skip
    columns = (
        "question",
        "the last time",
        "at the next share",
        "on a fresh period",
        "sees from (next)",
        "sees from (fresh)",
        "should see",
    )
    note = "The same gain with the same standard error, judged again; a fresh period has rows of its own: a guide."
    yield Table("What a fresh test period would change", columns, shown, note)


def _estimate(check: dict[str, Any]) -> Estimate:
    extra = check["extra"]
    return Estimate.of(check["observed"], extra["se"], n=check["n"], clusters=extra["clusters"], method=extra["method"])


def _would(check: dict[str, Any], alpha: float) -> str:
    bound = _estimate(check).lower(1 - alpha)
    return (
        f"{'passes' if bound > check['limit'] else 'does not pass'}: at least {bound:+.2g}, limit {check['limit']:+.2g}"
    )


def _seen(check: dict[str, Any], alpha: float, power: float) -> float:
    return _estimate(check).mde(alpha, power)
