"""
From closed windows to an answer: worse, not worse, not enough evidence, or invalid.

α is split over the critical metrics, so that a good release is rolled back at most α of the time. Going on needs every
required metric's "not worse": wrong only if that one is wrong, so nothing is split (intersection–union).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.report import Check, Found
from ci.rollout.interface import Answer
from ci.verification.alone import claims_of
from ci.verification.claims import Ratio
from ci.verification.interface import BASELINE, CANARY
from ci.verification.labels import MILLION, MILLIONTHS
from ci.verification.sequential import crossed, now
from ci.verification.windows import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ci.params_verification import Rule, Verification
    from ci.verification.claims import Claims
    from ci.verification.reference import Reference
    from ci.verification.windows import Windows

RATIO_ALPHA = 0.01  # chance of calling a right split wrong


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one metric stands: evidence as natural logarithms, moments in seconds since 1970 or None."""

    metric: str
    log_worse: float
    log_not_worse: float
    need_worse: float
    need_not_worse: float
    worse_at: float | None
    not_worse_at: float | None
    windows: int
    baseline: tuple[float, int] | None
    canary: tuple[float, int]
    told_apart: str = ""  # the one server without which there is no case


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer, why, and where each metric stands."""

    answer: Answer
    message: str
    standings: Sequence[Standing]
    checks: Sequence[Check]


class MetricJudge:
    """Follows one metric."""

    def __init__(
        self, name: str, rule: Rule, alpha: float, go_on_alpha: float, leave_one_out: int,
        reference: Reference | None = None,
    ) -> None:  # fmt: skip
        self.name, self.rule, self.reference = name, rule, reference
        self.alpha, self.go_on_alpha = alpha, go_on_alpha
        self._leave_one_out = leave_one_out
        self.parts: list[Windows] = []
        self.claims: Claims | None = None
        self._ends: list[NDArray[np.float64]] = []
        self._totals: dict[str, NDArray[np.int64]] = {}

    def add(self, windows: Windows) -> None:
        """Add closed windows, once."""
        if not len(windows):
            return
        if self.parts and windows.cells != self.parts[0].cells:
            if self.rule.kind == "distribution" and self.claims is None:
                self.parts, self._ends, self._totals = [], [], {}  # until there is traffic nobody knows the buckets
            else:
                windows = joined([self.parts[0], windows]).tail(len(windows), self.parts[0].cells)
        self.parts.append(windows)
        self._ends.append(windows.starts + windows.length_s)
        for arm, found in windows.arms.items():
            self._totals[arm] = self._totals.get(arm, 0) + found.values.sum(axis=(0, 1))
        self.claims = self.claims or claims_of(self.rule, windows, self.reference)
        if self.claims:
            self.claims.add(windows)

    @property
    def windows(self) -> Windows | None:
        """All windows so far, as one."""
        if len(self.parts) > 1:
            self.parts = [joined(self.parts)]
        return self.parts[0] if self.parts else None

    def standing(self) -> Standing | None:
        """Say where the metric stands; None without a window."""
        claims = self.claims
        if not self.parts or claims is None:
            return None
        worse, alone = self._worse(claims)
        cells = self.parts[0].cells
        counts = {arm: _bad_and_all(total.tolist(), cells) for arm, total in self._totals.items()}
        fell = worse is not None and self.rule.kind == "quality"  # that it was well before is no excuse
        return Standing(
            metric=self.name,
            log_worse=now(claims.worse),
            log_not_worse=min((now(item) for item in claims.not_worse), default=0.0),
            need_worse=-math.log(self.alpha) if self.rule.critical else math.inf,
            need_not_worse=-math.log(self.go_on_alpha),
            worse_at=self._ended(worse if self.rule.critical else None),
            not_worse_at=None if fell else self._ended(claims.not_worse_at(self.go_on_alpha)),
            windows=sum(map(len, self._ends)),
            baseline=counts.get(BASELINE),
            canary=counts[CANARY],
            told_apart=alone,
        )

    def _ended(self, place: int | None) -> float | None:
        """Return when a window ended."""
        if place is None:
            return None
        if len(self._ends) > 1:
            self._ends = [np.concatenate(self._ends)]
        return float(self._ends[0][place])

    def _worse(self, claims: Claims) -> tuple[int | None, str]:
        """Find the window from which it is worse whichever server is left out; else the server that makes the case."""
        at = claims.worse_at(self.alpha)
        if at is None:
            return None, ""
        windows = self.windows
        if windows is None:
            return None, ""
        for counts in windows.arms.values():
            if len(counts.instances) < self._leave_one_out:
                continue
            for name in counts.instances:
                again = claims_of(self.rule, windows, self.reference)
                if again is None:
                    continue
                again.add(windows, without=name)
                without = again.worse_at(self.alpha)
                if without is None:
                    return None, name
                at = max(at, without)
        return at, ""


def _bad_and_all(counts: list[int], cells: Sequence[str]) -> tuple[float, int]:
    if len(counts) == 2:
        return (counts[0] / MILLION if cells[0] == MILLIONTHS else counts[0]), counts[1]
    if len(counts) == 1:
        return counts[0], 0
    return sum(counts[len(counts) // 2 :]), sum(counts)


class Judge:
    """Follows all metrics of one question."""

    def __init__(
        self, rules: Mapping[str, Rule], policy: Verification, references: Mapping[str, Reference] | None = None
    ) -> None:
        self.policy, self.rules, self.references = policy, dict(rules), dict(references or {})
        shares = sum(rule.share for rule in rules.values() if rule.critical) or 1.0
        self.metrics = {
            name: MetricJudge(name, rule, policy.alpha * rule.share / shares, policy.go_on_alpha, policy.leave_one_out,
                              self.references.get(name))
            for name, rule in rules.items()
        }  # fmt: skip
        self._ratio = Ratio(policy.ratio_tolerance)
        self._of_ratio = next(
            (name for name, rule in rules.items() if rule.kind == "events" and rule.against == "baseline"), None
        )

    def add(self, windows: Windows) -> None:
        """Add closed windows of one metric."""
        self.metrics[windows.metric].add(windows)
        if self.policy.sample_ratio and windows.metric == self._of_ratio and BASELINE in windows.arms:
            self._ratio.add(windows)

    def judged(self, complaints: Sequence[str] = ()) -> Judged:
        """Answer from all windows so far."""
        standings = {name: found for name, item in self.metrics.items() if (found := item.standing())}
        checks = [
            _check(name, rule, standings.get(name), self.references.get(name)) for name, rule in self.rules.items()
        ]
        checks += self._of_split()
        answer, message = self._answer(standings, complaints, mismatch=self._mismatch())
        checks += [Check("counting", Found.INCONCLUSIVE, text) for text in complaints]
        return Judged(answer, message, list(standings.values()), checks)

    def _mismatch(self) -> bool:
        return crossed(self._ratio, RATIO_ALPHA) is not None

    def _of_split(self) -> list[Check]:
        if not len(self._ratio.log_e):
            return []
        if self._mismatch():
            text = "the releases did not get the traffic that they should: nothing can be concluded from it"
            return [Check("traffic", Found.INCONCLUSIVE, text, math.exp(min(now(self._ratio), 700)), 1 / RATIO_ALPHA)]
        return [Check("traffic", Found.PASSED, "each release got the traffic that it should", None, 1 / RATIO_ALPHA)]

    def _answer(
        self, standings: Mapping[str, Standing], complaints: Sequence[str], *, mismatch: bool
    ) -> tuple[Answer, str]:
        if complaints:
            return Answer.INVALID, complaints[0]
        worse = sorted((s.worse_at, s.metric) for s in standings.values() if s.worse_at is not None)
        required = [name for name, rule in self.rules.items() if rule.required]
        shown = [standings[name].not_worse_at for name in required if name in standings]
        known = [at for at in shown if at is not None]
        complete = bool(required) and len(known) == len(required)
        if worse and not (complete and max(known) < worse[0][0]):
            return Answer.WORSE, f"worse in {worse[0][1]}: {_words(standings[worse[0][1]])}"
        if mismatch:
            return Answer.INVALID, "the releases did not get the traffic that they should"
        if complete:
            return Answer.NOT_WORSE, f"not worse in {', '.join(required)}"
        if not required:
            return Answer.NOT_ENOUGH, "no metric is required, so nothing can be shown"
        if not standings:
            return Answer.NOT_ENOUGH, "no data: not one window in which every release was seen"
        return Answer.NOT_ENOUGH, self._missing(standings, required)

    @staticmethod
    def _missing(standings: Mapping[str, Standing], required: Sequence[str]) -> str:
        apart = next((s for s in standings.values() if s.told_apart), None)
        if apart:
            return f"worse in {apart.metric}, but only because of {apart.told_apart}: look at that alone"
        open_ = [name for name in required if name not in standings or standings[name].not_worse_at is None]
        blind = [name for name in open_ if name not in standings]
        if blind:
            return f"no data on {', '.join(blind)}"
        return f"not yet shown not to be worse: {', '.join(f'{n} ({_words(standings[n])})' for n in open_)}"


def _check(name: str, rule: Rule, standing: Standing | None, reference: Reference | None) -> Check:
    if standing is None:
        found = Found.INCONCLUSIVE if rule.required else Found.SKIPPED
        return Check(name, found, "no data")
    extra = {
        "log_evidence_worse": round(standing.log_worse, 6),
        "log_evidence_not_worse": round(standing.log_not_worse, 6),
        "needed_worse": round(standing.need_worse, 6) if rule.critical else None,
        "needed_not_worse": round(standing.need_not_worse, 6),
        "windows": standing.windows,
        "baseline": standing.baseline,
        "canary": standing.canary,
    }
    found = Found.PASSED
    if standing.worse_at is not None:
        found = Found.REJECTED
    elif standing.not_worse_at is None and rule.required:
        found = Found.INCONCLUSIVE
    bad, n = standing.canary
    limit = _share(standing.baseline) if standing.baseline else rule.limit
    text = _words(standing)
    if reference and standing.baseline is None and not (rule.kind == "quality" and rule.limit is not None):
        limit, text = reference.upper(), f"{text}; held against {reference.of}"
    observed = bad / n if n else None
    return Check(name, found, text, observed, limit, n=n or int(bad), extra=extra)


def _share(pair: tuple[float, int]) -> float | None:
    return pair[0] / pair[1] if pair[1] else None


def _words(standing: Standing) -> str:
    """Say both rates and the evidence, for people."""
    told = [f"canary {_rate(standing.canary)}"]
    if standing.baseline is not None:
        told.insert(0, f"baseline {_rate(standing.baseline)}")
    evidence = f"evidence for worse {_odds(standing.log_worse)}"
    evidence += f" of {_odds(standing.need_worse)}" if math.isfinite(standing.need_worse) else ""
    return f"{', '.join(told)}; {evidence}, for not worse {_odds(standing.log_not_worse)} of {_odds(standing.need_not_worse)}"


def _rate(pair: tuple[float, int]) -> str:
    bad, n = pair
    return f"{bad / n:.2%} of {n:,}" if n else f"{bad:,}"


def _odds(log_e: float) -> str:
    return f"{math.exp(min(log_e, 50)):.3g}" if log_e < 14 else "over a million"
