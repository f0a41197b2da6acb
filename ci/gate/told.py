"""What the gate says: a verdict as a result with tables and pictures, fresh or from the comparisons ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome
from ci.gate import plots, tables
from ci.gate.budget import AnchorAt, Comparison, spent
from ci.report import Check, Found, Result, Table, finite
from ci.stats import alpha_spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.data.rows import Array
    from ci.gate.anchor import Anchor
    from ci.gate.budget import Comparisons, Pair
    from ci.gate.champion import Champion
    from ci.gate.heldout import HeldOut
    from ci.gate.verdict import Verdict
    from ci.model.bundles import Bundle
    from ci.params_gate import Policy
    from ci.project import Project

_SHOWN = ("message", "hint", "checks", "facts", "tables", "inputs", "data")


@dataclass(frozen=True)
class Duel:
    """Who is judged, against whom, on what; `found` says how the champion was found, `anchor` where it is another."""

    project: Project
    rows: HeldOut
    challenger: Bundle
    champion: Bundle | None
    found: Champion
    anchor: Anchor | None = None

    @property
    def source(self) -> str:
        """How the champion was found, or why there is none, for people."""
        return self.found.source


def result(duel: Duel, verdict: Verdict, ours: Array | None = None, theirs: Array | None = None) -> Result:
    """Turn a verdict into a result; without answers there is nothing to show but the verdict."""
    curves = {} if ours is None else plots.curves(duel.rows, {"challenger": ours, "champion": theirs})
    data = {
        "release_needed": verdict.release_needed,
        "challenger": duel.challenger.digest,
        "champion": duel.champion and duel.champion.digest,
        "test_set": duel.rows.digest,
        "comparison": verdict.comparison,
        "alpha": verdict.alpha,
        "anchor": _next_anchor(duel, verdict).digest,
        "promote": duel.project.params.gate.promote,
        "curves": curves,
    }
    return Result(
        verdict.message,
        verdict.outcome,
        _hint(verdict),
        verdict.checks,
        facts=_facts(duel, verdict),
        tables=tables.made(duel, verdict, ours, theirs),
        inputs={"challenger": duel.challenger.digest, "champion": duel.champion.digest if duel.champion else "none",
                "test set": duel.rows.digest},
        data=data,
    )  # fmt: skip


def comparison(duel: Duel, verdict: Verdict, found: Result, pair: Pair, now: str) -> Comparison:
    """Make the line of the comparisons ledger that answers the same pair the next time."""
    if verdict.comparison is None or verdict.alpha is None:
        raise ValueError("nothing was compared")
    return Comparison(
        project=duel.project.name,
        test_set=duel.rows.digest,
        number=verdict.comparison,
        alpha=verdict.alpha,
        pair=pair,
        window=duel.rows.window,
        anchor=_next_anchor(duel, verdict),
        live=duel.found.live,
        judged=now,
        outcome=verdict.outcome.value,
        message=verdict.message,
        result=finite({name: value for name, value in asdict(found).items() if name in _SHOWN}),
    )


def kept(item: Comparison, policy: Policy, store: Comparisons, *, again: bool) -> Result:
    """Turn a line of the comparisons ledger into a result; `again` if it was there before this run."""
    found = restored(item)
    count = len(store.of(item.project, item.test_set))
    note = f"; judged on {item.judged[:16].replace('T', ' ')}, nothing spent" if again else ""
    facts = {**found.facts, **budget_facts(count, policy.alpha), "comparisons ledger": store.place()}
    return replace(found, message=found.message + note, facts=facts, data={**found.data, "answered_from_ledger": again})


def restored(item: Comparison) -> Result:
    """Make the result of a comparison again, without pictures."""
    held = item.result
    checks = [Check(**{**check, "outcome": Found(check["outcome"])}) for check in held["checks"]]
    shown = [Table(**table) for table in held["tables"]]
    return Result(**{**held, "outcome": Outcome(item.outcome), "checks": checks, "tables": shown})


def budget_facts(count: int, alpha: float) -> dict[str, Any]:
    """Spell how much of a test set's budget `count` comparisons have left."""
    left = alpha - spent(count, alpha)
    return {
        "comparisons on this test set": count,
        "error budget left": f"{left:.2g} of {alpha:g}",
        "share of the next comparison": f"{alpha_spending(count + 1, alpha):.2g}",
    }


def _facts(duel: Duel, verdict: Verdict) -> Mapping[str, Any]:
    facts: dict[str, Any] = {
        "challenger": duel.challenger.digest[:12],
        "champion": f"{duel.champion.digest[:12]} ({duel.source})" if duel.champion else duel.source,
        "policy": duel.project.params.gate.promote,
        "test rows": len(duel.rows.frame),
        "release needed": verdict.release_needed,
    }
    if duel.anchor:
        facts["anchor"] = f"{duel.anchor.bundle.digest[:12]} ({duel.anchor.source})"
    if duel.project.params.gate.reason:
        facts["because"] = duel.project.params.gate.reason
    if verdict.disagreement is not None:
        facts["disagreement"] = f"{verdict.disagreement:.2%}"
    if verdict.alpha is not None:
        facts["decided at alpha"] = f"{verdict.alpha:.3g}"
    return facts


def _next_anchor(duel: Duel, verdict: Verdict) -> AnchorAt:
    """Return what successors are held to once the challenger is released: itself if it beats the anchor."""
    if duel.champion is None or verdict.beats_anchor or not verdict.release_needed:
        return AnchorAt(digest=duel.challenger.digest)
    if duel.anchor:
        return AnchorAt(digest=duel.anchor.bundle.digest, at=duel.anchor.at)
    return AnchorAt(digest=duel.champion.digest, at=duel.found.at)


def _hint(verdict: Verdict) -> str:
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return "more test days or rows would tell; `steps.gate --explain` shows what is missing"
    if verdict.outcome is Outcome.REJECTED:
        return "nothing is released; the champion stays"
    return ""
