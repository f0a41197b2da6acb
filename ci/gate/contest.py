"""
One question, three answers: what an interval says about a bound.

The interval decides. The power of the test set matters only for what the interval leaves open: a bound inside it means
"no" where the test set could have seen an effect that matters, and "cannot tell" where it could not. Judging power
first would call a gain of four standard errors inconclusive because the standard error is large (ADR 0011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ci.report import Check, Found
from ci.templating import number

if TYPE_CHECKING:
    from ci.gate.rules import Rule
    from ci.gate.verdict import Measured
    from ci.stats import Estimate

FLOOR_LEVEL = 0.95


class Risk(NamedTuple):
    """
    What may go wrong, and how often.

    alpha  chance of passing a challenger that is exactly at the bound
    power  chance with which a sufficient test set sees an effect that matters
    """

    alpha: float
    power: float


_SKILL_MARGINS = 10  # a model that is worth having beats a constant answer by at least so many margins


def answered(gain: Estimate, bound: float, risk: Risk, matters: float) -> Found:
    """
    Say whether the true gain is above `bound`, wrongly so with at most `risk.alpha`.

    matters  effect that a sufficient test set would have seen, in the unit of the gain
    """
    if gain.lower(1 - risk.alpha) > bound:
        return Found.PASSED
    if gain.upper(1 - risk.alpha) < bound or gain.mde(*risk) <= matters:
        return Found.REJECTED
    return Found.INCONCLUSIVE


def better(rule: Rule, found: Measured, min_gain: float, risk: Risk) -> Check:
    """Ask whether the challenger is better by more than `min_gain`; a tie is no gain."""
    gain, margin = _both(found)
    outcome = answered(gain, min_gain, risk, max(2 * margin, 2 * min_gain))
    surely = "worse" if min_gain == 0 else "too small a gain"
    words = {
        Found.PASSED: "",
        Found.REJECTED: surely if gain.upper(1 - risk.alpha) < min_gain else "not better",
        Found.INCONCLUSIVE: f"cannot be told, gains below {size(gain.mde(*risk))} stay unseen",
    }
    return _contest(f"better {rule.metric.name}", outcome, words[outcome], found, (min_gain, risk))


def not_worse(rule: Rule, found: Measured, risk: Risk) -> Check:
    """Ask whether the challenger loses less than the margin."""
    gain, margin = _both(found)
    outcome = answered(gain, -margin, risk, 2 * margin)
    words = {
        Found.PASSED: "",
        Found.REJECTED: "worse" if gain.upper(1 - risk.alpha) < -margin else "may be worse by more than the margin",
        Found.INCONCLUSIVE: f"cannot be told, losses below {size(gain.mde(*risk))} stay unseen",
    }
    return _contest(f"not worse {rule.metric.name}", outcome, words[outcome], found, (-margin, risk))


def floor(rule: Rule, found: Estimate) -> Check:
    """Judge an absolute limit: rejected if the whole one-sided 95 % interval is past it, a warning if it straddles."""
    limit = rule.floor if rule.floor is not None else 0.0
    low, high = found.lower(FLOOR_LEVEL), found.upper(FLOOR_LEVEL)
    if rule.metric.signed:
        low, high = max(0.0, low, -high), max(-low, high)
    worst, best = (low, high) if rule.metric.direction > 0 else (high, low)
    past = (rule.metric.direction * (worst - limit) < 0, rule.metric.direction * (best - limit) < 0)
    outcome = Found.REJECTED if past[1] else Found.WARNED if past[0] else Found.PASSED
    words = {
        Found.REJECTED: "is past the limit",
        Found.WARNED: "may be past the limit",
        Found.PASSED: "keeps the limit",
    }
    value = abs(found.value) if rule.metric.signed else found.value
    side = "at least" if rule.metric.direction > 0 else "at most"
    message = f"{number(value)} {words[outcome]} of {side} {number(limit)}"
    extra = {"kind": "floor", "metric": rule.metric.name, "level": FLOOR_LEVEL, **plain(found)}
    return Check(f"floor {rule.metric.name}", outcome, message, value, limit, (low, high), found.n, extra)


def skill(rule: Rule, gain: Estimate, constant: float, risk: Risk) -> Check:
    """Ask whether the challenger beats the best constant answer: its value, and the gain over it."""
    matters = _SKILL_MARGINS * rule.margin_at(constant) if rule.margin is not None and constant else 0.0
    outcome = answered(gain, 0.0, risk, matters)
    words = {
        Found.PASSED: "better",
        Found.REJECTED: "no better",
        Found.INCONCLUSIVE: "not shown to be better",
    }
    interval = low, high = gain.lower(1 - risk.alpha), gain.upper(1 - risk.alpha)
    extra = {"kind": "skill", "metric": rule.metric.name, "alpha": risk.alpha, **plain(gain)}
    figures = f"gain {signed(gain.value)} [{signed(low)}, {signed(high)}]"
    message = f"{rule.metric.name} is {words[outcome]} than always giving the same answer, {figures}"
    return Check("skill", outcome, message, gain.value, 0.0, interval, gain.n, extra)


def plain(found: Estimate) -> dict[str, object]:
    """Spell the evidence of an estimate for a report."""
    return {"se": found.se, "clusters": found.clusters, "method": found.method}


def size(value: float) -> str:
    """Spell a size with two significant digits."""
    rounded = float(f"{abs(value):.2g}")
    return f"{rounded:.2g}" if 1e-4 <= rounded < 1 else number(rounded)


def signed(value: float) -> str:
    """Spell a gain with two significant digits and its sign."""
    return f"{'−' if value < 0 else '+'}{size(value)}"


def _both(found: Measured) -> tuple[Estimate, float]:
    if found.gain is None or found.margin is None:
        raise ValueError("nothing to compare with")
    return found.gain, found.margin


def _contest(name: str, outcome: Found, words: str, found: Measured, against: tuple[float, Risk]) -> Check:
    (gain, margin), (limit, risk) = _both(found), against
    low, high = gain.lower(1 - risk.alpha), gain.upper(1 - risk.alpha)
    figures = f"{number(found.challenger.value)} against {number(found.champion)}"
    figures += f", gain {signed(gain.value)} [{signed(low)}, {signed(high)}]"
    extra = {
        "kind": name.rsplit(" ", 1)[0],
        "metric": name.rsplit(" ", 1)[1],
        "challenger": found.challenger.value,
        "champion": found.champion,
        "margin": margin,
        "alpha": risk.alpha,
        "mde": gain.mde(*risk),
        "p_value": gain.p_above(limit),
        **plain(gain),
    }
    message = f"{words}: {figures}" if words else figures
    return Check(name, outcome, message, gain.value, limit, (low, high), gain.n, extra)
