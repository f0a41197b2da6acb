"""
Look at a candidate under traffic until there is an answer, or until the deadline; touch nothing.

What was seen is kept as evidence: the windows, the queries, the policy and the method, from which the same verdict
follows again, offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput, Unavailable
from ci.files import to_json
from ci.params import Model, parse
from ci.params_verification import Rule, Verification
from ci.report import Check, Found, finite
from ci.rollout.interface import Answer, Question, Verdict
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge, Judged
from ci.verification.plan import plan
from ci.verification.sequential import METHOD
from ci.verification.tape import Tape
from ci.verification.windows import Grid, Windows, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.verification.interface import Clock, Provider, Query, Wanted

_DECIDED = {Answer.WORSE, Answer.NOT_WORSE, Answer.INVALID}


@dataclass
class Looking:
    """What a verification needs of the world."""

    providers: Callable[[Question], Mapping[str, Provider]]
    clock: Clock
    tell: Callable[[str], None]
    accept: Callable[[Question], Sequence[Check]] = lambda _: ()
    keep: Callable[[dict[str, Any]], Mapping[str, str]] = lambda _: {}
    judge: Judge | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


class Verify:
    """A `ci.rollout.interface.Verifier`."""

    def __init__(self, policy: Verification, looking: Looking) -> None:
        self.policy, self.looking = policy, looking

    def verify(self, question: Question) -> Verdict:
        """
        Check what the candidate answers, then look until there is an answer, or until the deadline: NOT_ENOUGH.

        Raises:
            Unavailable: a source was silent for longer than the policy's patience.
            BadInput: a source refuses the question.
        """
        accepted = list(self.looking.accept(question))
        broken = next((check for check in accepted if check.outcome is Found.REJECTED), None)
        if broken:
            judged = Judged(Answer.WORSE, f"{broken.name}: {broken.message}", [], [])
            return self._done(question, judged, accepted, {}, None)
        if question.weight >= 100:  # a predecessor without requests tells nothing: the limits do
            question = replace(question, baseline=None)
        policy = spending(self.policy, question)
        rules, wanted = plan(question, policy)
        watch = _Watch(question, policy, rules, wanted, self.looking)
        self.looking.judge, self.looking.evidence = watch.judge, {}
        judged = watch.until_decided()
        return self._done(question, judged, accepted, rules, watch)

    def _done(
        self,
        question: Question,
        judged: Judged,
        accepted: list[Check],
        rules: Mapping[str, Rule],
        watch: _Watch | None,
    ) -> Verdict:
        wanted = watch.wanted if watch else None
        skipped = [
            Check(n, Found.SKIPPED, f"not asked for: {why}") for n, why in (wanted.skipped if wanted else {}).items()
        ]
        checks = [*accepted, *judged.checks, *skipped]
        self.looking.evidence |= {
            "schema_version": 1,
            "method": METHOD,
            "question": _of_question(question),
            "policy": spending(self.policy, question).model_dump(mode="json"),
            "rules": {name: rule.model_dump(mode="json") for name, rule in rules.items()},
            "order": list(rules),
            "queries": [_of_query(q) for queries in (wanted.by_source if wanted else {}).values() for q in queries],
            "unusable_windows": dict(watch.unusable) if watch else {},
            "accepted": [[check.name, check.outcome.value, check.message] for check in accepted],
            "verdict": finite(spelled(judged)),
        }
        self.looking.evidence.setdefault("windows", {})
        self.looking.evidence.setdefault("complaints", [])
        kept = self.looking.keep(self.looking.evidence)
        return Verdict(judged.answer, (watch.why if watch else "") + judged.message, tuple(checks), kept)


class _Watch:
    """One look after the other."""

    def __init__(
        self, question: Question, policy: Verification, rules: Mapping[str, Rule], wanted: Wanted, looking: Looking
    ) -> None:
        self.question, self.policy, self.rules, self.wanted, self.looking = question, policy, rules, wanted, looking
        self._providers = looking.providers(question)
        self.judge, self.tape = Judge(rules, policy), Tape()
        since = datetime.fromisoformat(question.since)
        self.start = (since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp()
        self.grid = Grid(self.start, policy.window_s, policy.lag_s, policy.stale_s)
        self.next = 0
        self.unusable = dict.fromkeys(rules, 0)
        self._heard: dict[str, float] = {}
        self._read_until = self.start
        self.why = ""

    def until_decided(self) -> Judged:
        begun = self.looking.clock.now()
        deadline = begun + self.policy.deadline_s
        while True:
            judged = self._look(begun)
            now = self.looking.clock.now()
            if judged.answer in _DECIDED or now >= deadline:
                break
            if now - begun >= self.policy.idle_s and not self._traffic(judged):
                self.why = f"no traffic within {self.policy.idle_s:g} s: "
                break
            self.looking.tell(f"{self.question.candidate.release.name}: {judged.message}{self._outlook(judged, now)}")
            self.looking.clock.sleep(max(0.01, min(self._until_next(now), deadline - now)))
        self.looking.evidence["windows"] = {
            name: found.as_json() for name, item in self.judge.metrics.items() if (found := item.windows) is not None
        }
        self.looking.evidence["complaints"] = list(self.tape.complaints)
        return judged

    def _traffic(self, judged: Judged) -> bool:
        """Whether the candidate has had a request so far; those that acceptance sends are none."""
        own = self.policy.acceptance.golden_rows
        return any(
            standing.canary[1] > own or self.rules[standing.metric].kind == "counts" for standing in judged.standings
        )

    def _until_next(self, now: float) -> float:
        return self.policy.window_s - (now - self.start) % self.policy.window_s + 1e-3

    def _look(self, begun: float) -> Judged:
        now = self.looking.clock.now()
        for source, queries in self.wanted.by_source.items():
            self._read(source, queries, now, begun)
        self._read_until = now
        edges = self.grid.edges(self.next, now)
        if len(edges) > 1:
            for name, rule in self.rules.items():
                self._cut(name, rule, edges)
            self.next = round((edges[-1] - self.grid.origin) / self.grid.length_s)
            self.tape.forget_before(edges[-1] - self.policy.stale_s)
        return self.judge.judged(self.tape.complaints)

    def _read(self, source: str, queries: Sequence[Query], now: float, begun: float) -> None:
        try:
            reading = self._providers[source].read(queries, self._read_until - self.policy.stale_s, now)
        except KeyError as error:
            raise BadInput(f"verification: there is no source {source}") from error
        except Unavailable as error:
            silent = self.looking.clock.now() - self._heard.get(source, begun)
            if silent >= self.policy.patience_s:
                raise
            self.looking.tell(f"{source}: {error}; asked again for {self.policy.patience_s - silent:.0f} s")
            return
        self._heard[source] = now
        self.tape.add(reading)
        ahead = max([s.at for s in reading.samples], default=now) - now
        skew = reading.skew_s if reading.skew_s is not None else 0.0
        for off in (skew, ahead):
            if abs(off) > self.policy.max_skew_s and (off is skew or off > 0):
                text = f"{source}: its clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours"
                self.tape.complaints += (
                    [] if any(c.startswith(f"{source}: its clock") for c in self.tape.complaints) else [text]
                )

    def _cut(self, name: str, rule: Rule, edges: list[float]) -> None:
        queries = [q for group in self.wanted.by_source.values() for q in group if q.metric == name]
        instances = {q.arm: q.instances for q in sorted(queries, key=lambda q: (BASELINE, CANARY).index(q.arm))}
        weight = self.question.weight / 100 if BASELINE in instances else 1.0
        windows, unusable = cut(self.tape, self.grid, edges, name, rule.kind, instances, weight)
        self.unusable[name] += unusable
        self.judge.add(windows)

    def _outlook(self, judged: Judged, now: float) -> str:
        """Say when there could be an answer, if evidence goes on to gather as it has."""
        left = []
        for standing in judged.standings:
            if standing.not_worse_at is None and self.rules[standing.metric].required:
                spent = max(now - self.start, 1e-9)
                speed = standing.log_not_worse / spent
                left.append((standing.need_not_worse - standing.log_not_worse) / speed if speed > 0 else float("inf"))
        if not left or max(left) == float("inf"):
            return ""
        return f"; about {max(left):.0f} s to go at this rate"


def spending(policy: Verification, question: Question) -> Verification:
    """Return the policy with the alpha that this question may spend; the other promise needs no parts (ADR 28)."""
    return policy.model_copy(update={"alpha": policy.alpha * question.spends})


def spelled(judged: Judged) -> dict[str, Any]:
    """Spell a verdict so that equal ones have equal bytes."""
    return {
        "answer": judged.answer.value,
        "message": judged.message,
        "checks": [[c.name, c.outcome.value, c.message, c.n, dict(sorted(c.extra.items()))] for c in judged.checks],
    }


def _of_question(question: Question) -> dict[str, Any]:
    arms = {CANARY: question.candidate, BASELINE: question.baseline}
    return {
        "project": question.project,
        "environment": question.environment,
        "weight": question.weight,
        "since": question.since,
        "spends": question.spends,
        "arms": {
            role: {"release": arm.release.name, "bundle": arm.release.bundle, "cluster": arm.cluster,
                   "addresses": list(arm.addresses)}
            for role, arm in arms.items()
            if arm
        },
    }  # fmt: skip


def _of_query(query: Query) -> dict[str, Any]:
    cells = {cell: str(selector) for cell, selector in query.cells.items()}
    beat = str(query.heartbeat) if query.heartbeat else None
    return {"metric": query.metric, "arm": query.arm, "source": query.source, "cells": cells, "heartbeat": beat}


class _Kept(Model):
    """What a replay needs of an evidence file."""

    method: str
    policy: Verification
    rules: dict[str, Rule]
    order: list[str]
    windows: dict[str, dict[str, Any]]
    complaints: list[str]
    accepted: list[tuple[str, str, str]]
    verdict: dict[str, Any]


def replay(document: Any, where: str) -> tuple[Judged, Judge | None]:
    """
    Judge stored windows again, as they were judged then; no judge where acceptance had decided.

    Raises:
        BadInput: the file is not evidence, is of another method, or its windows do not give the verdict that it tells.
    """
    if not isinstance(document, dict):
        raise BadInput(f"{where}: not an evidence file")
    kept = parse(_Kept, {key: document.get(key) for key in _Kept.model_fields}, where)
    if kept.method != METHOD:
        raise BadInput(f"{where}: judged by {kept.method[:60]}, and this is {METHOD}")
    broken = next((item for item in kept.accepted if item[1] == Found.REJECTED.value), None)
    if broken:
        judged, judge = Judged(Answer.WORSE, f"{broken[0]}: {broken[2]}", [], []), None
    else:
        if sorted(kept.order) != sorted(kept.rules):
            raise BadInput(f"{where}: order and rules name different metrics")
        judge = Judge({name: kept.rules[name] for name in kept.order}, kept.policy)
        for name, found in kept.windows.items():
            if name not in kept.rules:
                raise BadInput(f"{where}: windows of {name[:60]}, for which there is no rule")
            judge.add(Windows.from_json(name, found))
        judged = judge.judged(kept.complaints)
    if to_json(finite(spelled(judged))) != to_json(kept.verdict):
        raise BadInput(f"{where}: tells {kept.verdict.get('answer')!r}, but its windows say {judged.answer.value!r}")
    return judged, judge
